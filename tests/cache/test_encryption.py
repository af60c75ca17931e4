"""With encryption, personal data does not appear in Redis, or in any file or output of a server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from peopleinfo.crypto.master_key import create_file
from tests import valkey_servers
from tests.http.serving import HANG_TIMEOUT, serving
from tests.store_kinds import all_items, make_table, raw_bytes, table_location

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import redis

CANARY = "Zxqkanarie"
PEOPLE = 1_000


@pytest.fixture
def valkey() -> Iterator[valkey_servers.Server]:
    with valkey_servers.running_server() as server:
        yield server


def dump(client: redis.Redis) -> bytes:
    """Return all keys and values of a server."""
    found = b""
    for key in client.scan_iter():
        value: Any = client.hgetall(key) if client.type(key) == b"hash" else client.dump(key)
        found += key + (
            b"".join(member for pair in value.items() for member in pair) if isinstance(value, dict) else value
        )
    return found


def canary(number: int) -> dict[str, str]:
    return {"person_name": f"{CANARY}n{number}", "person_surname": f"{CANARY}s{number}", "person_birthdate": "1987-06-05",
            "person_address": f"{CANARY}a{number}", f"{CANARY}m": f"{CANARY}v{number}"}  # fmt: skip


def send_requests(client: httpx.Client) -> None:
    """Store, read, reject, change and delete records with unique values."""
    rows = "\n".join(
        httpx.Request("POST", "http://x", json=canary(number)).content.decode() for number in range(PEOPLE)
    )
    imported = client.post("/v1/people/import", content=rows, headers={"Content-Type": "application/x-ndjson"})
    assert f'"stored":{PEOPLE}' in imported.text.splitlines()[-1]
    for number in range(20):
        for _ in range(2):  # from the store, then from the cache
            found = client.post("/v1/people/search", json={"surname": f"{CANARY}s{number}"}).json()["people"]
            assert found[0]["person_address"] == f"{CANARY}a{number}"
            assert client.get(f"/v1/people/{found[0]['person_id']}").json() == found[0]
    headers = {"Idempotency-Key": CANARY}
    created = client.post("/v1/people", json=canary(0), headers=headers)
    assert created.status_code == 201
    assert client.post("/v1/people", json=canary(1), headers=headers).status_code == 422
    assert client.post("/v1/people", json=canary(0) | {"person_birthdate": CANARY}).status_code == 422
    assert (
        client.post("/v1/people", content=f'{{"{CANARY}"', headers={"Content-Type": "application/json"}).status_code
        == 400
    )
    assert client.get(f"/v1/people/{CANARY}").status_code == 404
    assert client.get("/v1/people", params={"surname": CANARY, CANARY: CANARY}).status_code == 422
    assert client.get("/data", params={"person_surname": f"{CANARY}s3"}).status_code == 200
    path = created.headers["Location"]
    patch = {"Content-Type": "application/merge-patch+json"}
    changed = client.patch(path, json={"person_surname": f"{CANARY}z"}, headers={"If-Match": '"1"'} | patch)
    assert changed.status_code == 200
    assert client.patch(path, json={"person_name": CANARY}, headers={"If-Match": '"1"'} | patch).status_code == 412
    assert client.delete(path).status_code == 204


def test_personal_data_is_not_readable_in_files_redis_logs_or_metrics(
    tmp_path: Path, valkey: valkey_servers.Server
) -> None:
    create_file(tmp_path / "master.key")
    settings: dict[str, Any] = {"encryption": f"file://{tmp_path / 'master.key'}", "cache_url": valkey.url, "cache_timeout": 5,
                "cache_fence_ttl": 0.02, "cache_local_size": 0, "log_level": "debug"}  # fmt: skip
    with serving(tmp_path, **settings) as server:
        with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
            send_requests(client)
            metrics = client.get("/metrics").content
        redis_content = dump(valkey.client)
        assert redis_content.count(b"pi:v:") >= 20
        files = {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    assert {"people.db", "people.db-wal", "keys-of-people.db", "server.log"} <= files.keys()
    files |= {f"{file.name}, closed": file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    for location_name, content in (files | {"redis": redis_content, "metrics": metrics}).items():
        for value in (CANARY, "1987-06-05", "person_address"):
            assert value.lower().encode() not in content.lower(), f"{value} in {location_name}"


def test_personal_data_is_not_readable_in_tables_redis_logs_or_metrics(
    tmp_path: Path, valkey: valkey_servers.Server
) -> None:
    create_file(tmp_path / "master.key")
    location = table_location("ministack", tmp_path)
    asyncio.run(make_table(location, encrypted=True))
    settings: dict[str, Any] = {"encryption": f"file://{tmp_path / 'master.key'}", "cache_url": valkey.url, "cache_timeout": 5,
                "cache_fence_ttl": 0.02, "cache_local_size": 0, "log_level": "debug"}  # fmt: skip
    url = f"dynamodb://{location.region}/{location.table}?endpoint={location.endpoint}"
    with serving(tmp_path, store_url=url, **settings) as server:
        with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
            send_requests(client)
            metrics = client.get("/metrics").content
        redis_content = dump(valkey.client)
    assert redis_content.count(b"pi:v:") >= 20
    people, keys = (raw_bytes(asyncio.run(all_items(location, name))) for name in (location.table, location.key_table))
    assert people.count(b"surname_key") >= PEOPLE
    assert keys.count(b"data_key") == PEOPLE + 1  # one item is the secret
    log = (tmp_path / "server.log").read_bytes()
    for location_name, content in {
        "people": people,
        "keys": keys,
        "redis": redis_content,
        "log": log,
        "metrics": metrics,
    }.items():
        for text in (CANARY, "1987-06-05", "person_address"):
            assert text.lower().encode() not in content.lower(), f"{text} in {location_name}"


def test_redis_entries_are_encrypted_even_if_the_store_is_not(tmp_path: Path, valkey: valkey_servers.Server) -> None:
    settings: dict[str, Any] = {
        "cache_url": valkey.url,
        "cache_timeout": 5,
        "cache_fence_ttl": 0.02,
        "cache_local_size": 0,
    }
    with serving(tmp_path, **settings) as server:
        with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
            send_requests(client)
        redis_content = dump(valkey.client)
        assert redis_content.count(b"pi:v:") >= 20
        assert CANARY.lower().encode() not in redis_content.lower()
    assert CANARY.encode() in (tmp_path / "people.db").read_bytes()
    assert CANARY.lower().encode() not in (tmp_path / "server.log").read_bytes().lower()
