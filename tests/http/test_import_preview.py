"""Preview of an import, and the options that it shares with the import."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.workbooks import workbook

if TYPE_CHECKING:
    import httpx

CSV = "text/csv"
OCTETS = "application/octet-stream"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def preview(client: httpx.Client, content: str | bytes, media_type: str = CSV, **params: Any) -> dict[str, Any]:
    response = client.post(
        "/v1/people/import/preview", content=content, params=params, headers={"Content-Type": media_type}
    )
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def imported(client: httpx.Client, content: str | bytes, media_type: str = CSV, **params: Any) -> list[dict[str, Any]]:
    params["force"] = "true"  # other tests store the same people
    response = client.post("/v1/people/import", content=content, params=params, headers={"Content-Type": media_type})
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


def test_preview_reports_what_it_detected_and_stores_nothing(client: httpx.Client, surname: str) -> None:
    found = preview(client, f"Mitglieder;;\nName;Vorname;Geburtsdatum\n{surname};Ida;11.02.1990\nLund;Per;soon\n")
    person = {"person_name": "Ida", "person_surname": surname, "person_birthdate": "1990-02-11"}
    assert (found["format"], found["encoding"], found["delimiter"], found["header_line"]) == ("csv", "utf-8", ";", 2)
    assert found["columns"][0] == {"name": "Name", "field": "person_surname", "examples": [surname, "Lund"]}
    assert found["mapping"] == {
        "person_name": ["Vorname"],
        "person_surname": ["Name"],
        "person_birthdate": ["Geburtsdatum"],
    }
    assert found["date_formats"] == ["%d.%m.%Y"]
    assert [(row["line"], row["result"]) for row in found["rows"]] == [(1, "skipped"), (3, "valid"), (4, "rejected")]
    assert found["rows"][1]["person"] == person
    assert found["rows"][2]["errors"][0]["pointer"] == "/person_birthdate"
    assert "%d.%m.%Y" in found["warnings"][0]["message"]
    assert client.get("/v1/people", params={"surname": surname}).json()["people"] == []


def test_sheets_that_are_not_read_are_reported_and_can_be_selected(client: httpx.Client, surname: str) -> None:
    rows = [["Surname", "First name"], [surname, "Ida"]]
    book = workbook({"Notes": [["x"]], "2025": rows, "Empty": [], "2026": [*rows, [surname, "Per"]]})
    found = preview(client, book, "application/octet-stream")
    assert (found["sheet"], found["other_sheets"]) == ("2025", ["Notes", "2026"])
    assert [one["message"] for one in found["warnings"]] == [warning_of("2025", "2026")]
    *results, summary = imported(client, book, XLSX, sheet="2026")
    assert [(result["line"], result["result"]) for result in results] == [(2, "stored"), (3, "stored")]
    assert [one["message"] for one in summary["warnings"]] == [warning_of("2026", "2025")]


def warning_of(read: str, other: str) -> str:
    others = ", ".join(map(repr, ("Notes", other)))
    return f"only the sheet {read!r} is read; {others} are not: set sheet=NAME for another"


def test_sheet_that_does_not_exist_is_rejected(client: httpx.Client) -> None:
    for content, reason in ((workbook({"A": [["Surname"]]}), "has no sheet"), (b"Surname\nA\n", "requires a workbook")):
        response = client.post(
            "/v1/people/import", content=content, params={"sheet": "Secret"}, headers={"Content-Type": OCTETS}
        )
        assert response.status_code == 422
        assert reason in response.json()["detail"]


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_preview_of_unknown_headings_shows_the_columns_and_the_problem(
    client: httpx.Client, surname: str, form: str
) -> None:
    rows = [["Colour", "Shape"], ["Ida", surname]]
    content = "".join(f"{';'.join(row)}\n" for row in rows).encode() if form == "csv" else workbook({"A": rows})
    found = preview(client, content, "application/octet-stream")
    assert [column["name"] for column in found["columns"]] == ["Colour", "Shape"]
    assert found["warnings"][0]["message"].startswith("no column contains a name")
    assert [row["result"] for row in found["rows"]] == ["rejected"]
    chosen = preview(client, content, "application/octet-stream", map=["person_name=Colour", "person_surname=Shape"])
    assert chosen["warnings"] == []
    assert chosen["rows"][0]["person"] == {"person_name": "Ida", "person_surname": surname}
    response = client.post("/v1/people/import", content=content, headers={"Content-Type": "application/octet-stream"})
    assert response.status_code == 422


def test_preview_of_ambiguous_birthdates_names_the_choices(client: httpx.Client) -> None:
    content = "Surname,Birthday\nHarte,01/02/1990\n"
    assert preview(client, content)["date_choices"] == ["%d/%m/%Y", "%m/%d/%Y"]
    chosen = preview(client, content, date_format="%m/%d/%Y")
    assert (chosen["date_choices"], chosen["date_formats"]) == ([], ["%m/%d/%Y"])
    assert chosen["rows"][0]["person"]["person_birthdate"] == "1990-01-02"


def test_preview_of_whole_names_shows_how_they_are_divided(client: httpx.Client) -> None:
    found = preview(client, "Name\nIda Harte\n")
    assert found["mapping"] == {"person_name": ["Name"], "person_surname": ["Name"]}
    assert found["rows"][0]["person"] == {"person_name": "Ida", "person_surname": "Harte"}
    assert "map=person_name=Name" in found["warnings"][0]["message"]
    confirmed = preview(client, "Name\nIda Harte\n", map=["person_name=Name", "person_surname=Name"])
    assert confirmed["rows"] == found["rows"]
    whole = preview(client, "Name\nIda Harte\n", map="person_name=Name")
    assert whole["rows"][0]["person"] == {"person_name": "Ida Harte"}


def test_preview_of_objects_reports_their_keys(client: httpx.Client) -> None:
    found = preview(client, '{"givenName":"Ida","familyName":"Harte","n":1.50}\n', "application/x-ndjson")
    assert [(column["name"], column["field"]) for column in found["columns"]] == [
        ("givenName", "person_name"), ("familyName", "person_surname"), ("n", "n"),
    ]  # fmt: skip
    assert found["columns"][0]["examples"] == ["Ida"]
    assert (found["delimiter"], found["header_line"]) == (None, None)


@pytest.mark.parametrize("path", ["import", "import/preview"])
def test_charset_of_the_media_type_is_used(client: httpx.Client, path: str) -> None:
    content = "Surname\nМ\n".encode("koi8-r")
    headers = {"Content-Type": "text/csv; charset=KOI8-R"}
    response = client.post(f"/v1/people/{path}", content=content, headers=headers)
    assert response.status_code == 200
    if path == "import/preview":
        assert response.json()["rows"][0]["person"] == {"person_surname": "М"}


def test_encoding_parameter_overrides_the_charset(client: httpx.Client) -> None:
    found = preview(client, "Surname\nМ\n".encode("koi8-r"), "text/csv; charset=utf-8", encoding="koi8-r")
    assert (found["encoding"], found["rows"][0]["person"]) == ("koi8-r", {"person_surname": "М"})


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"map": "person_surname"}, "map"), ({"map": ["a=b", "a=c"]}, "map"), ({"format": "klingon"}, "format"),
        ({"on_bad_date": "ignore"}, "on_bad_date"), ({"encoding": ["a", "b"]}, "encoding"), ({"colour": "x"}, "colour"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["import", "import/preview"])
def test_invalid_option_is_rejected(client: httpx.Client, path: str, params: dict[str, Any], pointer: str) -> None:
    response = client.post(
        f"/v1/people/{path}", content="surname\n", params=params, headers={"Content-Type": "text/csv"}
    )
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, pointer)


@pytest.mark.parametrize("params", [{"encoding": "klingon"}, {"date_format": "%Q"}, {"delimiter": "ab"}])
def test_option_that_the_reader_rejects_is_an_invalid_input(client: httpx.Client, params: dict[str, str]) -> None:
    response = client.post(
        "/v1/people/import", content="surname\na\n", params=params, headers={"Content-Type": "text/csv"}
    )
    assert (response.status_code, response.json()["type"]) == (422, "urn:peopleinfo:problem:invalid-input")


def test_reason_names_the_parameter_of_the_api(client: httpx.Client) -> None:
    rejected, *_ = imported(client, "Surname,Birthday\nHarte,32874\n")
    assert rejected["errors"] == [
        {"pointer": "/person_birthdate", "reason": "may be a date of Excel: set date_format=excel"}
    ]


def test_unreadable_birthdate_can_be_kept(client: httpx.Client, surname: str) -> None:
    imported(client, f"Surname,Birthday\n{surname},spring of 1911\n", on_bad_date="keep")
    (person,) = client.get("/v1/people", params={"surname": surname}).json()["people"]
    assert (person.get("person_birthdate"), person["unreadable_birthdate"]) == (None, "spring of 1911")


def test_dry_run_reports_rows_that_would_be_stored(client: httpx.Client, surname: str) -> None:
    stored, done = imported(client, f"Surname\n{surname}\n", dry_run="true")
    assert (stored["result"], "person_id" in stored, done["stored"]) == ("stored", False, 1)
    assert client.get("/v1/people", params={"surname": surname}).json()["people"] == []


def test_preview_takes_only_the_first_part_of_a_file(client: httpx.Client) -> None:
    response = client.post(
        "/v1/people/import/preview", content=b"surname\n" + b"x\n" * 600_000, headers={"Content-Type": "text/csv"}
    )
    assert response.status_code == 413
    part = ("surname,name\n" + "Müller,x\n" * 60_000).encode()
    found = preview(client, part[: part.rindex("ü".encode()) + 1])
    assert (found["encoding"], found["warnings"], len(found["rows"])) == ("utf-8", [], 20)


@pytest.mark.parametrize("path", ["/v1/people", "/data"])
def test_byte_order_mark_before_json_is_ignored(client: httpx.Client, surname: str, path: str) -> None:
    person = {"person_name": "Ida", "person_surname": surname, "person_birthdate": "1990", "person_address": "1 Road"}
    body = b"\xef\xbb\xbf" + json.dumps(person).encode()
    response = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert response.is_success, response.text
    (stored,) = client.get("/v1/people", params={"surname": surname}).json()["people"]
    assert stored.items() >= person.items()
