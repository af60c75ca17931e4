"""`peopleinfo import` reads the files of other programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.commands import run, stderr_of
from tests.format_cases import CASES, Case
from tests.workbooks import workbook

if TYPE_CHECKING:
    from pathlib import Path

_READ_ONLY = ("person_id", "version", "created_at", "updated_at")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_command_stores_the_people_of_the_file(tmp_path: Path, case: Case) -> None:
    (tmp_path / case.name).write_bytes(case.content)
    imported = run(tmp_path, "import", case.name)
    rows = len(case.people) + case.rejected + case.skipped
    assert f"{rows} rows read, {len(case.people)} stored" in stderr_of(imported)
    assert imported.returncode == (3 if case.rejected else 0)
    exported = [json.loads(line) for line in run(tmp_path, "export").stdout.splitlines()]
    for person in exported:
        for field in _READ_ONLY:
            del person[field]
    assert sorted(exported, key=_in_order) == sorted(case.people, key=_in_order)


def _in_order(person: dict[str, Any]) -> str:
    return json.dumps(person, sort_keys=True)


def test_rejected_card_is_stored_after_its_correction(tmp_path: Path) -> None:
    (tmp_path / "a.vcf").write_text("BEGIN:VCARD\nN:Harte;Ida\nBDAY:30/02/1990\nEND:VCARD\n")
    assert run(tmp_path, "import", "a.vcf").returncode == 3
    rejects = tmp_path / "a.vcf.rejects.vcf"
    text = rejects.read_text()
    assert "X-PEOPLEINFO-REJECT-LINE:1" in text
    rejects.write_text(text.replace("30/02/1990", "1990-02-28"))
    assert run(tmp_path, "import", rejects.name).returncode == 0
    (person,) = map(json.loads, run(tmp_path, "export").stdout.splitlines())
    assert (person["person_surname"], person["person_birthdate"]) == ("Harte", "1990-02-28")
    assert not any("reject" in field for field in person)


def test_command_reads_the_sheet_with_a_name_and_reports_the_others(tmp_path: Path) -> None:
    rows = [["Surname", "First name"], ["Harte", "Ida"]]
    (tmp_path / "a.xlsx").write_bytes(workbook({"2025": rows, "Old": [*rows, ["Lund", "Per"]]}, hidden="Old"))
    assert "a.xlsx: 1 row" in run(tmp_path, "import", "a.xlsx").stderr.decode()
    (tmp_path / "b.xlsx").write_bytes(workbook({"2025": rows, "2026": [*rows, ["Fry", "Cleo"]]}))
    ran = run(tmp_path, "import", "b.xlsx")
    assert "b.xlsx: only the sheet '2025' is read; '2026' is not: set --sheet NAME for another" in ran.stderr.decode()
    assert "1 stored, 1 unchanged" in run(tmp_path, "import", "a.xlsx", "--sheet", "Old").stderr.decode()
