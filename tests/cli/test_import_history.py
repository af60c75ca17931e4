"""`peopleinfo imports`: list, show and undo on the command line."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from tests.cli.commands import run

if TYPE_CHECKING:
    from pathlib import Path


def lines(output: bytes) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in output.splitlines()]


def test_import_with_a_wrong_mapping_can_be_undone(tmp_path: Path) -> None:
    good, wrong = tmp_path / "good.csv", tmp_path / "wrong.csv"
    good.write_text("name,surname\nAda,Byron\n")
    wrong.write_text("a,b\nGrace,Hopper\nAlan,Turing\n")
    assert run(tmp_path, "import", str(good)).returncode == 0
    before = run(tmp_path, "export", "-").stdout
    mapped = ("--map", "person_surname=a", "--map", "person_name=b")
    assert run(tmp_path, "import", str(wrong), *mapped).returncode == 0
    assert run(tmp_path, "import", str(wrong), *mapped, "--dry-run", "--force").returncode == 0

    newest, first = lines(run(tmp_path, "imports", "list").stdout)
    assert (newest["principal"], newest["state"], newest["created"]) == ("(command)", "finished", 2)
    assert newest["file"] == {"name": "wrong.csv", "digest": hashlib.sha256(wrong.read_bytes()).hexdigest()}
    assert first["file"]["name"] == "good.csv"
    undo = run(tmp_path, "imports", "undo", newest["import_id"])
    assert (undo.returncode, undo.stdout) == (0, b"")
    assert undo.stderr == b"2 people deleted, 0 restored, 0 left\n"
    assert run(tmp_path, "export", "-").stdout == before
    assert run(tmp_path, "imports", "undo", newest["import_id"]).stderr == undo.stderr
    (shown,) = lines(run(tmp_path, "imports", "show", newest["import_id"]).stdout)
    assert shown == newest | {"state": "undone", "deleted": 2}
    assert run(tmp_path, "import", str(wrong), "--map", "person_surname=b").returncode == 0  # with the right mapping


def test_people_that_changed_since_are_printed(tmp_path: Path) -> None:
    rows = tmp_path / "rows.ndjson"
    rows.write_text('{"person_surname":"Byron"}\n')
    assert run(tmp_path, "import", str(rows)).returncode == 0
    (person,) = lines(run(tmp_path, "export", "-").stdout)
    rows.write_text(msgspec.json.encode({"person_id": person["person_id"], "note": "edited"}).decode())
    assert run(tmp_path, "import", str(rows), "--key", "person_id").returncode == 0
    _, first = lines(run(tmp_path, "imports", "list").stdout)
    undo = run(tmp_path, "imports", "undo", first["import_id"])
    assert (undo.returncode, lines(undo.stdout)) == (3, [{"person_id": person["person_id"], "reason": "changed"}])


def test_unknown_import_is_an_error(tmp_path: Path) -> None:
    assert run(tmp_path, "store", "create").returncode == 0
    for import_id in ("0" * 32, "x"):
        shown = run(tmp_path, "imports", "show", import_id)
        assert (shown.returncode, shown.stderr) == (
            1, b"peopleinfo: there is no import with this id, or its entry has expired: list the imports\n"
        )  # fmt: skip
