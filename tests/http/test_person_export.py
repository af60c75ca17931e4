"""Somebody may ask for all that is held about them, and is not held for ever."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.store_kinds import person_data

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANNA = {"person_name": "Anna", "person_surname": "Müller", "member of her own": [1.50]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rights")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    with (
        serving(folder, admin_key=ADMIN_KEY, audit_log=f"file://{folder / 'audit.jsonl'}") as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN) as client,
    ):
        yield client


def made(client: httpx.Client) -> str:
    return str(client.post("/v1/people", json=ANNA).json()["person_id"])


def exported(client: httpx.Client, person_id: str) -> dict[str, Any]:
    answer = client.get(f"/v1/people/{person_id}/export")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "private, no-store"
    document: dict[str, Any] = answer.json()
    return document


def test_an_export_holds_the_record_and_who_has_seen_it(client: httpx.Client) -> None:
    person_id, other = made(client), made(client)
    client.get(f"/v1/people/{other}")
    record = client.get(f"/v1/people/{person_id}").json()
    document = exported(client, person_id)
    assert document["person"] == record
    audit = document["audit"]
    assert (audit["availability"], audit["omitted"]) == ("included", 0)
    assert [event["action"] for event in audit["events"]] == ["createPerson", "getPerson"]
    assert {tuple(event["people"]) for event in audit["events"]} == {(person_id,)}
    assert exported(client, person_id)["audit"]["events"][-1]["action"] == "exportPerson"


def test_events_in_files_that_were_moved_away_are_told_too(client: httpx.Client, folder: Path) -> None:
    person_id = made(client)
    (folder / "audit.jsonl").rename(folder / "audit.jsonl.1")
    client.get(f"/v1/people/{person_id}")
    actions = [event["action"] for event in exported(client, person_id)["audit"]["events"]]
    assert actions == ["createPerson", "getPerson"]


def test_an_audit_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl.1").symlink_to("/proc/self/mem")  # reading its beginning fails, for root too
    with (
        serving(tmp_path, audit_log=f"file://{tmp_path / 'audit.jsonl'}") as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        answer = client.get(f"/v1/people/{made(client)}/export")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "60"
        problem = answer.json()
        assert problem["type"] == "urn:peopleinfo:problem:audit-unavailable"
        assert "let the service read its audit files" in problem["detail"]
        assert str(tmp_path) not in problem["detail"]
    assert "audit.jsonl.1" in next(line for line in server.log.read_text().splitlines() if "audit_read_failed" in line)


def test_nobody_is_exported_who_is_not_there(client: httpx.Client) -> None:
    person_id = made(client)
    assert client.delete(f"/v1/people/{person_id}").status_code == 204
    assert client.get(f"/v1/people/{person_id}/export").status_code == 404


@pytest.mark.parametrize(("audit", "availability"), [("", "disabled"), ("stdout", "external")])
def test_it_is_said_where_the_audit_is_when_it_cannot_be_read(tmp_path: Path, audit: str, availability: str) -> None:
    with (
        serving(tmp_path, audit_log=audit) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        assert exported(client, made(client))["audit"] == {"availability": availability}


async def stored_days_ago(folder: Path, days: int) -> str:
    async with open_sqlite(folder / "people.db", now=lambda: datetime.now(UTC) - timedelta(days=days)) as store:
        return (await store.create(person_data("Stored"))).person_id


def test_a_server_erases_those_who_were_kept_too_long(tmp_path: Path) -> None:
    old, new = asyncio.run(stored_days_ago(tmp_path, 731)), asyncio.run(stored_days_ago(tmp_path, 1))
    audit = tmp_path / "audit.jsonl"
    with serving(tmp_path, workers=2, retention_period="730d", audit_log=f"file://{audit}") as server:
        patience = time.monotonic() + HANG_TIMEOUT
        while httpx.get(f"{server.url}/v1/people/{old}").status_code == 200:
            assert time.monotonic() < patience
            time.sleep(0.05)
        assert httpx.get(f"{server.url}/v1/people/{new}").status_code == 200
    lines = map(json.loads, audit.read_text().splitlines())
    assert [line["people"] for line in lines if line.get("principal") == "(retention)" and "outcome" in line] == [[old]]
