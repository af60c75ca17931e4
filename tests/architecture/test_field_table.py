"""One table defines the standard fields of a record: a new field is a new entry of the table."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "peopleinfo"
LAST_FIELD = "\n\nFIELD_TABLE: Final"
NEW_FIELD = """
    person_phone: Annotated[
        str | None,
        Field(5, "Telephone number.", ("1234",), "the column of the telephone number", searched_by=("name",)),
    ] = None
"""
PROGRAM = """
from datetime import date

from peopleinfo.errors import FieldAccessDenied, InvalidPerson
from peopleinfo.formats.export_columns import FIRST_COLUMNS
from peopleinfo.http.openapi.document import document
from peopleinfo.people.field_access import check_search
from peopleinfo.people.person import encode_person, parse_person

person = parse_person({"person_surname": "Li", "person_phone": " 123 "}, today=date.max)
assert (person.person_phone, person.extra) == ("123", {})
record = encode_person("0" * 32, 1, person, created_at="", updated_at="")
assert b'"person_phone":"123"' in record.body
for invalid in ("123456", 7, "1\\n2"):
    try:
        parse_person({"person_surname": "Li", "person_phone": invalid}, today=date.max)
    except InvalidPerson as error:
        assert error.errors[0].pointer == "/person_phone"
    else:
        raise AssertionError(invalid)
try:
    check_search(["name"], frozenset({"person_phone"}))
except FieldAccessDenied as error:
    assert error.fields == ("person_phone",)
else:
    raise AssertionError("the search reveals the field")
assert FIRST_COLUMNS[-1] == "person_phone"
described = document()
for schema in ("NewPerson", "Person"):
    assert "person_phone" in described["components"]["schemas"][schema]["properties"]
assert "person_phone" not in described["components"]["schemas"]["LegacyPerson"]["properties"]
parameters = described["paths"]["/v1/people/import"]["post"]["parameters"]
(mapping,) = [one["description"] for one in parameters if one["name"] == "map"]
assert "person_phone, the column of the telephone number" in mapping
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a folder with a copy of the package whose table has a fifth field."""
    shutil.copytree(SOURCE, tmp_path / "peopleinfo", ignore=shutil.ignore_patterns("__pycache__"))
    fields = tmp_path / "peopleinfo" / "people" / "fields.py"
    before, found, after = fields.read_text(encoding="utf-8").partition(LAST_FIELD)
    assert found
    fields.write_text(before.rstrip("\n") + NEW_FIELD + found + after, encoding="utf-8")
    return tmp_path


def test_new_field_is_one_entry_of_the_table(package: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
