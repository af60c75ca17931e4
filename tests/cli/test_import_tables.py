"""`peopleinfo import` reads tables of any dialect, encoding and language, and accounts for every row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import run, stderr_of
from tests.table_cases import CASES, TableCase, in_order

if TYPE_CHECKING:
    from pathlib import Path

_READ_ONLY = ("person_id", "version", "created_at", "updated_at")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_command_stores_the_people_of_the_table(tmp_path: Path, case: TableCase) -> None:
    (tmp_path / "people.txt").write_bytes(case.content)
    options = [text for name, value in case.options for text in (f"--{name.replace('_', '-')}", value)]
    imported = run(tmp_path, "import", "people.txt", *options)
    numbers = {"stored": len(case.people), "rejected": len(case.rejected), "skipped": len(case.skipped)}
    account = [f"{sum(numbers.values())} rows read", *(f"{count} {name}" for name, count in numbers.items() if count)]
    assert ", ".join(account) in stderr_of(imported)
    assert imported.returncode == (3 if case.rejected else 0)
    exported = [json.loads(line) for line in run(tmp_path, "export").stdout.splitlines()]
    found = [{name: value for name, value in one.items() if name not in _READ_ONLY} for one in exported]
    assert sorted(found, key=in_order) == sorted(case.people, key=in_order)
    if case.rejected:
        rejects = next(tmp_path.glob("people.txt.rejects.*")).read_text(errors="replace")
        assert all(reason in rejects for reason in case.rejected.values())
