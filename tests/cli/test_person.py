"""What somebody may ask for is done on the command line too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo.privacy.retention import COMMAND
from tests.cli.commands import run, said, surnames

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def audit(tmp_path: Path) -> dict[str, str]:
    return {"AUDIT_LOG": f"file://{tmp_path / 'audit.jsonl'}"}


@pytest.fixture
def person_id(tmp_path: Path) -> str:
    assert run(tmp_path, "import", "-", stdin=b"surname,name\nM\xc3\xbcller,Anna\nMeyer,Bob\n").returncode == 0
    return str(json.loads(run(tmp_path, "search", "muller").stdout)["person_id"])


def noted(folder: Path) -> list[tuple[Any, ...]]:
    lines = map(json.loads, (folder / "audit.jsonl").read_text().splitlines())
    return [(line["principal"], line["action"], line["people"]) for line in lines if "outcome" in line]


def test_all_that_is_held_about_a_person_is_printed(tmp_path: Path, person_id: str, audit: dict[str, str]) -> None:
    first = run(tmp_path, "person", "export", person_id, settings=audit)
    assert first.returncode == 0, said(first)
    assert json.loads(first.stdout)["person"]["person_name"] == "Anna"
    (event,) = json.loads(run(tmp_path, "person", "export", person_id, settings=audit).stdout)["audit"]["events"]
    assert (event["action"], event["principal"]) == ("exportPerson", COMMAND)


def test_a_person_is_erased_and_it_is_written_down(tmp_path: Path, person_id: str, audit: dict[str, str]) -> None:
    assert run(tmp_path, "person", "delete", person_id, settings=audit).returncode == 0
    assert surnames(tmp_path) == ["Meyer"]
    assert noted(tmp_path) == [(COMMAND, "erasePerson", [person_id])]


def test_no_person_is_erased_while_the_audit_cannot_be_written(tmp_path: Path, person_id: str) -> None:
    nowhere = {"AUDIT_LOG": f"file://{tmp_path / 'nowhere' / 'audit.jsonl'}"}
    ended = run(tmp_path, "person", "delete", person_id, settings=nowhere)
    assert (ended.returncode, surnames(tmp_path)) == (1, ["Meyer", "Müller"])
    assert "the audit log is unavailable (No such file or directory)" in said(ended)


def test_whoever_is_not_there_is_said_so(tmp_path: Path, person_id: str) -> None:
    assert run(tmp_path, "person", "delete", person_id).returncode == 0
    for what in ("delete", "export"):
        ended = run(tmp_path, "person", what, person_id)
        assert (ended.returncode, ended.stdout) == (1, b"")
        assert "there is no person with this id" in said(ended)


def test_a_sweep_keeps_those_who_are_not_old(tmp_path: Path, person_id: str) -> None:
    for more in ([], ["--dry-run"]):
        ended = run(tmp_path, "retention", "run", "--retention-period", "1d", *more)
        assert (ended.returncode, ended.stdout) == (0, b"")
        assert said(ended).startswith("0 records ")
    assert surnames(tmp_path) == ["Meyer", "Müller"]


@pytest.mark.parametrize("retention", [[], ["--retention-period", "0d"], ["--retention-period", "2 years"]])
def test_a_sweep_needs_to_know_how_long_people_are_kept(tmp_path: Path, retention: list[str]) -> None:
    ended = run(tmp_path, "retention", "run", *retention)
    assert ended.returncode == 2
    assert "730d" in said(ended)
