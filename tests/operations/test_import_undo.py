"""An import and its undo that are killed at any time end as if they had not been."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.cli.commands import run
from tests.operations.conftest import bodies, fill, run_with_kills
from tests.store_kinds import store_url

if TYPE_CHECKING:
    from pathlib import Path

CREATED, UPDATED = 400, 60
OWN = ("version", "updated_at")


def fields(url: str) -> dict[str, dict[str, object]]:
    """Return the fields of all people by id, without those that a restore changes."""
    return {
        person_id: {name: value for name, value in msgspec.json.decode(body).items() if name not in OWN}
        for person_id, body in bodies(url).items()
    }


@pytest.mark.parametrize("kind", ["sqlite", "ministack"])
def test_killed_import_and_killed_undo_leave_no_trace(tmp_path: Path, kind: str) -> None:
    url, chance = store_url(kind, tmp_path), random.Random(7)
    fill(url, UPDATED)
    before = fields(url)
    rows: list[dict[str, object]] = [{"person_id": person_id, "person_address": "wrong"} for person_id in before]
    rows += [{"person_surname": "Wrong", "n": number} for number in range(CREATED)]
    (tmp_path / "rows.ndjson").write_bytes(b"\n".join(map(msgspec.json.encode, rows)))
    command = ("import", "rows.ndjson", "--key", "person_id", "--store-url", url)
    run_with_kills(tmp_path, 2, chance, *command, longest=1.5)
    assert len(bodies(url)) == UPDATED + CREATED

    (found,) = map(msgspec.json.decode, run(tmp_path, "imports", "list", "--store-url", url).stdout.splitlines())
    assert (found["created"], found["updated"]) == (CREATED, UPDATED)
    run_with_kills(tmp_path, 2, chance, "imports", "undo", found["import_id"], "--store-url", url, longest=1.5)
    assert fields(url) == before
