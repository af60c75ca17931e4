"""Creation and checks of the table, and the sources of AWS credentials."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from aiodynamo.credentials import Key

from peopleinfo.stores.dynamodb import schema
from peopleinfo.stores.dynamodb.credentials import default_chain
from peopleinfo.stores.dynamodb.factory import open_table
from peopleinfo.stores.dynamodb.http import open_http
from tests import dynamodb_servers
from tests.store_kinds import GENEROUS_TIMEOUT, make_table, table_location

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ROLE_ARN",
             "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")  # fmt: skip


async def test_created_table_passes_check(tmp_path: Path) -> None:
    location = table_location("ministack", tmp_path)
    await make_table(location)
    async with open_table(location) as table:
        assert await schema.check(table) == []
        assert await schema.create(table) == [], "a second creation must change nothing"


async def test_check_reports_every_difference(tmp_path: Path) -> None:
    location = table_location("ministack", tmp_path)
    definition: dict[str, Any] = {"AttributeDefinitions": [], "KeySchema": [], "BillingMode": "PROVISIONED"}
    definition["AttributeDefinitions"] = [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "id", "AttributeType": "S"},
    ]
    definition["KeySchema"] = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "id", "KeyType": "RANGE"}]
    throughput = {"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}
    async with open_table(location) as table:
        await table.call("CreateTable", definition | throughput, GENEROUS_TIMEOUT)
        problems = "\n".join(await schema.check(table))
    for text in ("the key schema is", "attribute definitions are missing", "the index prefixes is missing", "billing mode",
                 "deletion protection", "KMS", "time to live", "point-in-time"):  # fmt: skip
        assert text in problems


@contextmanager
def metadata(responses: dict[str, Any]) -> Iterator[str]:
    """Run a fake metadata service of a container."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(responses[self.path]()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Suppress the log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove all credentials from the environment and the home directory."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


async def key() -> Key | None:
    async with open_http() as http:
        return await default_chain("eu-west-1").get_key(http)


async def test_environment_credentials_have_priority(no_credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    assert await key() == Key("id", "hidden")


async def test_profile_credentials_are_used(
    no_credentials: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text("[work]\naws_access_key_id = id\naws_secret_access_key = hidden\n")
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert await key() == Key("id", "hidden")


async def test_web_identity_credentials_are_used(
    no_credentials: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("a.b.c\n")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::000000000000:role/people")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", dynamodb_servers.endpoint("ministack"))
    found = await key()
    assert found is not None
    assert found.id.startswith("ASIA")
    assert found.secret
    assert found.token


async def test_ecs_task_credentials_are_refreshed_before_expiry(
    no_credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def role() -> dict[str, str]:
        nonlocal calls
        calls += 1
        expires = datetime.now(UTC) + (timedelta(minutes=1) if calls == 1 else timedelta(hours=6))
        times = expires.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"AccessKeyId": f"id{calls}", "SecretAccessKey": "hidden", "Token": "token", "Expiration": times}

    with metadata({"/role": role}) as url:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/role")
        async with open_http() as http:
            chain = default_chain("eu-west-1")
            keys = [await chain.get_key(http) for _ in range(3)]
    assert keys == [Key("id1", "hidden", "token"), Key("id2", "hidden", "token"), Key("id2", "hidden", "token")]


async def test_no_credentials_are_found_without_a_source(no_credentials: None) -> None:
    assert await key() is None
