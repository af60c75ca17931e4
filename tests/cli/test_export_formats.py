"""`peopleinfo export` writes the format that the name of the file or --format selects."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import run, stderr_of

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE = [
    {"person_surname": "=1+1", "person_name": "Zoë", "note": "@SUM(A1)", "phone": "+44 1", "postcode": "00123"},
    {"person_surname": "Lund", "person_birthdate": "1990-02-11", "person_address": "1 Road\nTown", "phone": "'=x"},
    {
        "person_surname": "Fry",
        "person_birthdate": "--02-29",
        "email": ["a@b.c", "d@e.f"],
        "long": "12345678901234567890",
    },
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = "".join(json.dumps(person) + "\n" for person in PEOPLE)
    assert run(tmp_path, "import", "-", stdin=lines.encode()).returncode == 0
    return tmp_path


def people(folder: Path, store: str = "people.db") -> list[str]:
    lines = run(folder, "export", "--store-url", f"sqlite:///{store}").stdout.splitlines()
    read_only = ("person_id", "version", "created_at", "updated_at")
    records = [{name: value for name, value in json.loads(line).items() if name not in read_only} for line in lines]
    return sorted(json.dumps(record, sort_keys=True) for record in records)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("people.csv", b"person_id,"),
        ("people.ndjson", b'{"person_id":'),
        ("people.JSONL", b'{"person_id":'),
        ("people.xlsx", b"PK\x03\x04"),
        ("people.vcf", b"BEGIN:VCARD\r\nVERSION:4.0\r\n"),
        ("people.fhir.ndjson", b'{"resourceType":"Patient"'),
        ("people.fhir.json", b'{"resourceType":"Bundle"'),
        ("people", b'{"person_id":'),
    ],
)
def test_extension_selects_the_format(folder: Path, name: str, start: bytes) -> None:
    assert stderr_of(run(folder, "export", name)) == "3 records exported\n"
    assert (folder / name).read_bytes().startswith(start)
    run(folder, "export", f"{name}.gz")
    assert gzip.decompress((folder / f"{name}.gz").read_bytes()).startswith(start)


@pytest.mark.parametrize("name", ["out.txt", "out.json", "people.csv.bak", "a.docx"])
def test_unknown_extension_is_refused_with_the_known_ones(folder: Path, name: str) -> None:
    ran = run(folder, "export", name)
    assert ran.returncode == 2
    assert (
        "must be one of .fhir.ndjson, .fhir.json, .ndjson, .jsonl, .csv, .xlsx, .vcf, .vcard; or set --format"
        in stderr_of(ran)
    )
    assert not (folder / name).exists()


def test_format_option_overrides_the_extension(folder: Path) -> None:
    assert run(folder, "export", "out.txt", "--format", "vcard3").returncode == 0
    assert (folder / "out.txt").read_bytes().startswith(b"BEGIN:VCARD\r\nVERSION:3.0\r\n")


@pytest.mark.parametrize("name", ["a.vcf", "a.fhir.ndjson", "a.fhir.json", "a.ndjson"])
def test_object_format_is_imported_without_a_loss(folder: Path, name: str) -> None:
    run(folder, "export", name)
    assert run(folder, "import", name, "--store-url", "sqlite:///copy.db").returncode == 0
    assert people(folder, "copy.db") == people(folder)


@pytest.mark.parametrize("arguments", [("a.csv",), ("a.csv", "--for", "excel"), ("a.xlsx",)])
def test_table_is_imported_with_the_same_texts(folder: Path, arguments: tuple[str, ...]) -> None:
    run(folder, "export", *arguments)
    assert run(folder, "import", arguments[0], "--store-url", "sqlite:///copy.db").returncode == 0
    # A table holds texts only.
    expected = [line.replace('["a@b.c", "d@e.f"]', '"[\\"a@b.c\\",\\"d@e.f\\"]"') for line in people(folder)]
    assert people(folder, "copy.db") == expected


def test_csv_for_excel_has_no_formula_and_no_changed_number(folder: Path) -> None:
    run(folder, "export", "a.csv", "--for", "excel")
    content = (folder / "a.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    text = content.decode("utf-8-sig")
    for cell in ("'=1+1", "'@SUM(A1)", "'+44 1", "'00123", "''=x", "'1990-02-11", "'--02-29", "'12345678901234567890"):
        assert f",{cell}," in text
    assert "Zoë" in text


def test_workbook_has_date_cells_and_text_cells(folder: Path) -> None:
    run(folder, "export", "a.xlsx")
    from tests.workbooks import part

    sheet = part((folder / "a.xlsx").read_bytes(), "xl/worksheets/sheet1.xml")
    assert "<v>32915</v>" in sheet  # 1990-02-11
    assert "<f>" not in sheet
    assert "<t>00123</t>" in sheet


@pytest.mark.parametrize("arguments", [("a.xlsx", "--for", "excel"), ("a.csv", "--for", "calc")])
def test_other_program_or_format_is_refused(folder: Path, arguments: tuple[str, ...]) -> None:
    ran = run(folder, "export", *arguments)
    assert (ran.returncode, "--for must be excel, and the format CSV" in stderr_of(ran)) == (2, True)


def test_invalid_filter_exports_nothing(folder: Path) -> None:
    ran = run(folder, "export", "a.xlsx", "--born-from", "11.02.1990")
    assert ran.returncode != 0
    assert not (folder / "a.xlsx").exists()


def test_plain_csv_quotes_a_carriage_return(tmp_path: Path) -> None:
    run(tmp_path, "import", "-", stdin=b'{"person_surname":"A","note":"x\\ry"}\n{"person_surname":"B"}\n')
    assert b'"x\ry"' in run(tmp_path, "export", "--format", "csv").stdout
