"""`peopleinfo person` and `peopleinfo retention`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo.privacy.audit import COMMAND
from tests.cli.commands import run, stderr_of, surnames

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def audit(tmp_path: Path) -> dict[str, str]:
    return {"AUDIT_LOG": f"file://{tmp_path / 'audit.jsonl'}"}


@pytest.fixture
def person_id(tmp_path: Path) -> str:
    assert run(tmp_path, "import", "-", stdin=b"surname,name\nM\xc3\xbcller,Anna\nMeyer,Bob\n").returncode == 0
    return str(json.loads(run(tmp_path, "search", "--surname", "muller").stdout)["person_id"])


def audit_events(folder: Path) -> list[tuple[Any, ...]]:
    lines = map(json.loads, (folder / "audit.jsonl").read_text().splitlines())
    return [(line["principal"], line["action"], line["people"]) for line in lines if "outcome" in line]


def test_export_prints_the_record_and_its_audit_events(tmp_path: Path, person_id: str, audit: dict[str, str]) -> None:
    first = run(tmp_path, "person", "export", person_id, settings=audit)
    assert first.returncode == 0, stderr_of(first)
    assert json.loads(first.stdout)["person"]["person_name"] == "Anna"
    (event,) = json.loads(run(tmp_path, "person", "export", person_id, settings=audit).stdout)["audit"]["events"]
    assert (event["action"], event["principal"]) == ("exportPerson", COMMAND)


def test_delete_removes_the_record_and_is_recorded_in_the_audit_log(
    tmp_path: Path, person_id: str, audit: dict[str, str]
) -> None:
    assert run(tmp_path, "person", "delete", person_id, settings=audit).returncode == 0
    assert surnames(tmp_path) == ["Meyer"]
    assert audit_events(tmp_path) == [(COMMAND, "erasePerson", [person_id])]


def test_delete_fails_while_the_audit_log_is_unavailable(tmp_path: Path, person_id: str) -> None:
    nowhere = {"AUDIT_LOG": f"file://{tmp_path / 'nowhere' / 'audit.jsonl'}"}
    ended = run(tmp_path, "person", "delete", person_id, settings=nowhere)
    assert (ended.returncode, surnames(tmp_path)) == (1, ["Meyer", "Müller"])
    assert "the audit log is unavailable (No such file or directory)" in stderr_of(ended)


def test_unknown_person_is_reported(tmp_path: Path, person_id: str) -> None:
    assert run(tmp_path, "person", "delete", person_id).returncode == 0
    for what in ("delete", "export"):
        ended = run(tmp_path, "person", what, person_id)
        assert (ended.returncode, ended.stdout) == (1, b"")
        assert "there is no person with this id" in stderr_of(ended)


def test_retention_run_keeps_records_that_have_not_expired(tmp_path: Path, person_id: str) -> None:
    for more in ([], ["--dry-run"]):
        ended = run(tmp_path, "retention", "run", "--retention-period", "1d", *more)
        assert (ended.returncode, ended.stdout) == (0, b"")
        assert stderr_of(ended).startswith("0 records ")
    assert surnames(tmp_path) == ["Meyer", "Müller"]


@pytest.mark.parametrize("retention", [[], ["--retention-period", "0d"], ["--retention-period", "2 years"]])
def test_retention_run_requires_a_valid_period(tmp_path: Path, retention: list[str]) -> None:
    ended = run(tmp_path, "retention", "run", *retention)
    assert ended.returncode == 2
    assert "730d" in stderr_of(ended)
