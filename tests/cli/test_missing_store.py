"""Commands on a missing store: only commands that fill a store create it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from tests.cli.commands import run, stderr_of
from tests.dynamodb_servers import missing_requirement
from tests.store_kinds import all_items, store_url, table_location

if TYPE_CHECKING:
    from pathlib import Path

ID: Final = "0" * 32
NEEDING: Final = [
    ["stats"],
    ["search", "--surname", "x"],
    ["get", ID],
    ["export", "out.ndjson"],
    ["person", "export", ID],
    ["person", "delete", ID],
    ["retention", "run", "--retention-period", "1d"],
    ["retention", "run", "--retention-period", "1d", "--dry-run"],
    ["keys", "list"],
    ["keys", "revoke", "x"],
    ["keys", "rotate", "x"],
    ["backup", "saved"],
    ["restore", "saved", "--merge"],
    ["reindex"],
    ["encryption", "purge"],
    ["store", "check"],
    ["doctor"],
]
ENCRYPTING: Final = [["encryption", "enable"], ["encryption", "rotate"]]


def output(folder: Path, command: list[str], store: str, **settings: str) -> str:
    """Return the output of a command that fails."""
    ran = run(folder, *command, settings={"STORE_URL": store, **settings})
    assert ran.returncode == 1, ran.stdout + ran.stderr
    return ran.stdout.decode() + stderr_of(ran)


@pytest.mark.parametrize("command", NEEDING, ids=" ".join)
def test_command_that_needs_a_store_creates_none(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "backup").mkdir()
    if command[0] == "restore":
        run(tmp_path, "keys", "create", "x", settings={"STORE_URL": "sqlite:///other.db"})
        assert run(tmp_path, "backup", "saved", settings={"STORE_URL": "sqlite:///other.db"}).returncode == 0
    before = sorted(tmp_path.rglob("*"))
    text = output(tmp_path, command, "sqlite:///t/mistyped/x.db")
    assert "there is no t/mistyped/x.db: create it with `peopleinfo store create`" in text
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", ENCRYPTING, ids=" ".join)
def test_encryption_command_creates_no_store(tmp_path: Path, command: list[str]) -> None:
    run(tmp_path, "encryption", "create-key", "master.key")
    before = sorted(tmp_path.rglob("*"))
    text = output(tmp_path, command, "sqlite:///t/mistyped/x.db", ENCRYPTION=f"file://{tmp_path}/master.key")
    assert "t/mistyped/x.db" in text
    assert sorted(tmp_path.rglob("*")) == before


def test_copy_does_not_create_its_source(tmp_path: Path) -> None:
    ran = run(tmp_path, "copy", "sqlite:///mistyped.db", "sqlite:///target.db")
    assert ran.returncode == 1
    assert "there is no mistyped.db" in stderr_of(ran)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", None])
def test_file_without_a_store_is_not_modified(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "people.db"
    if content is None:  # a database without tables
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA user_version = 0")
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    assert "there is no " in output(tmp_path, ["stats"], "sqlite:///people.db")
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["people.db"]


def test_read_command_does_not_encrypt_an_empty_store(tmp_path: Path) -> None:
    run(tmp_path, "encryption", "create-key", "master.key")
    assert run(tmp_path, "store", "create").returncode == 0
    before = sorted(tmp_path.iterdir())
    text = output(tmp_path, ["stats"], "sqlite:///people.db", ENCRYPTION=f"file://{tmp_path}/master.key")
    assert "there is no encrypted store in people.db: create it with `peopleinfo store create`" in text
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "command",
    [
        ["store", "create"],
        ["import", "in.csv"],
        ["keys", "create", "first"],
        ["restore", "saved"],
        ["copy", "sqlite:///other.db", "sqlite:///new/people.db"],
    ],
    ids=" ".join,
)
def test_command_that_fills_a_store_creates_it(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "in.csv").write_text("surname\nHarte\n")
    assert run(tmp_path, "import", "in.csv", settings={"STORE_URL": "sqlite:///other.db"}).returncode == 0
    assert run(tmp_path, "backup", "saved", settings={"STORE_URL": "sqlite:///other.db"}).returncode == 0
    store = {"STORE_URL": "sqlite:///new/people.db"}
    ran = run(tmp_path, *command, settings=store)
    assert ran.returncode == 0, ran.stderr
    assert run(tmp_path, "stats", settings=store).returncode == 0


def test_dry_run_validates_a_file_without_creating_a_store(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("surname,birthdate\nHarte,1990-02-30\nLund,1990-02-11\n")
    ran = run(tmp_path, "import", "in.csv", "--dry-run", "--rejects", "bad.csv")
    assert ran.returncode == 3
    assert "1 stored, 1 rejected (dry run: nothing is stored)" in stderr_of(ran)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bad.csv", "in.csv"]


def test_read_command_does_not_modify_an_empty_table(tmp_path: Path) -> None:
    if problem := missing_requirement("ministack"):
        pytest.skip(f"ministack {problem}")
    location = table_location("ministack", tmp_path)
    store = {"STORE_URL": store_url("ministack", tmp_path)}
    ran = run(tmp_path, "stats", settings=store)
    assert ran.returncode == 1
    assert f"there is no store in table {location.table}: create it with `peopleinfo store create`" in stderr_of(ran)
    assert asyncio.run(all_items(location, location.table)) == []
    assert run(tmp_path, "keys", "create", "first", settings=store).returncode == 0
    assert run(tmp_path, "stats", settings=store).returncode == 0
