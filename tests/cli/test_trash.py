"""Commands for deleted people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from peopleinfo.privacy.audit import COMMAND
from tests.cli.commands import run, stderr_of
from tests.cli.test_person import audit_events

if TYPE_CHECKING:
    from pathlib import Path


def imported(folder: Path, *surnames: str) -> list[str]:
    """Import people and return their ids."""
    (folder / "people.ndjson").write_text("".join(json.dumps({"person_surname": name}) + "\n" for name in surnames))
    run(folder, "import", "people.ndjson")
    return [json.loads(run(folder, "search", "--surname", name).stdout)["person_id"] for name in surnames]


def trashed(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(folder, "trash", "list").stdout.splitlines()]


def test_people_are_deleted_listed_restored_and_erased(tmp_path: Path) -> None:
    settings = {"TRASH": "30d", "AUDIT_LOG": f"file://{tmp_path / 'audit.jsonl'}"}
    first, second, third = imported(tmp_path, "First", "Second", "Third")
    for person_id in (first, second, third):
        message = stderr_of(run(tmp_path, "person", "delete", person_id, settings=settings))
        assert message == f"{person_id} deleted; `peopleinfo trash restore {person_id}` restores it\n"
    assert {(entry["person_id"], entry["deleted_by"]) for entry in trashed(tmp_path)} == {
        (person_id, COMMAND) for person_id in (first, second, third)
    }
    run(tmp_path, "trash", "restore", first, settings=settings)
    run(tmp_path, "trash", "erase", second, settings=settings)
    run(tmp_path, "person", "erase", third, settings=settings)
    assert trashed(tmp_path) == []
    assert json.loads(run(tmp_path, "get", first).stdout)["version"] == 3
    assert [action for _, action, _ in audit_events(tmp_path)] == [
        *["deletePerson"] * 3, "restoreDeletedPerson", "eraseDeletedPerson", "erasePerson",
    ]  # fmt: skip
    for command in (("trash", "restore"), ("trash", "erase"), ("person", "erase")):
        failed = run(tmp_path, *command, second)
        assert (failed.returncode, "there is no person with this id" in stderr_of(failed)) == (1, True)


def test_deletion_without_trash_erases(tmp_path: Path) -> None:
    (person_id,) = imported(tmp_path, "Only")
    assert stderr_of(run(tmp_path, "person", "delete", person_id)) == f"{person_id} deleted\n"
    assert trashed(tmp_path) == []
