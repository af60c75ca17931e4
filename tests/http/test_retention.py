"""Retention: a server deletes people that were not modified within the retention period."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx

from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.http.serving import HANG_TIMEOUT, serving
from tests.store_kinds import person_data

if TYPE_CHECKING:
    from pathlib import Path


async def create_person_days_ago(folder: Path, days: int) -> str:
    async with open_sqlite(folder / "people.db", now=lambda: datetime.now(UTC) - timedelta(days=days)) as store:
        return (await store.create(person_data("Stored"))).person_id


def test_server_deletes_people_after_the_retention_period(tmp_path: Path) -> None:
    old, new = asyncio.run(create_person_days_ago(tmp_path, 731)), asyncio.run(create_person_days_ago(tmp_path, 1))
    audit = tmp_path / "audit.jsonl"
    with serving(tmp_path, workers=2, retention_period="730d", audit_log=f"file://{audit}") as server:
        deadline = time.monotonic() + HANG_TIMEOUT
        while httpx.get(f"{server.url}/v1/people/{old}").status_code == 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert httpx.get(f"{server.url}/v1/people/{new}").status_code == 200
    lines = map(json.loads, audit.read_text().splitlines())
    assert [line["people"] for line in lines if line.get("principal") == "(retention)" and "outcome" in line] == [[old]]
