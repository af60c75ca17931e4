"""GET /v1/people/export in every format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.http.test_import_export import client_fields, lines, send
from tests.workbooks import part

if TYPE_CHECKING:
    import httpx

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMATS = [
    ("csv", "text/csv; charset=utf-8", "people.csv"),
    ("xlsx", XLSX, "people.xlsx"),
    ("vcard", "text/vcard; charset=utf-8", "people.vcf"),
    ("vcard3", "text/vcard; charset=utf-8", "people.vcf"),
    ("fhir", "application/fhir+ndjson", "people.fhir.ndjson"),
    ("fhir-bundle", "application/fhir+json", "people.fhir.json"),
    ("ndjson", "application/x-ndjson", "people.ndjson"),
]


@pytest.mark.parametrize(("form", "media_type", "name"), FORMATS)
def test_export_has_the_media_type_and_name_of_its_format(
    client: httpx.Client, surname: str, form: str, media_type: str, name: str
) -> None:
    person = {"person_name": "Ida", "person_surname": surname, "person_birthdate": "1990-02-11", "phone": "+44 1"}
    send(client, lines([person]))
    response = client.get("/v1/people/export", params={"surname": surname, "format": form})
    assert (response.status_code, response.headers["Content-Type"]) == (200, media_type)
    assert f'filename="{name}"' in response.headers["Content-Disposition"]
    copy = client.post(
        "/v1/people/import",
        params={"force": "true"},
        content=response.content,
        headers={"Content-Type": "application/octet-stream"},
    )
    result, done = map(json.loads, copy.content.splitlines())
    assert (result["result"], done["stored"]) == ("stored", 1)
    assert client_fields(client.get(f"/v1/people/{result['person_id']}").json()) == person


@pytest.mark.parametrize("accept", [XLSX, "text/vcard", "application/fhir+json", "application/fhir+ndjson"])
def test_header_accept_selects_the_format(client: httpx.Client, surname: str, accept: str) -> None:
    send(client, lines([{"person_surname": surname}]))
    response = client.get("/v1/people/export", params={"surname": surname}, headers={"Accept": accept})
    assert response.headers["Content-Type"].startswith(accept)


def test_csv_for_excel_starts_with_a_byte_order_mark(client: httpx.Client, surname: str) -> None:
    send(client, lines([{"person_surname": surname, "note": "=1+1"}]))
    response = client.post("/v1/people/export", json={"surname": surname, "for": "excel"})
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.content.startswith(b"\xef\xbb\xbfperson_id,")
    assert ",'=1+1," in response.text


@pytest.mark.parametrize("params", [{"for": "calc"}, {"for": "excel", "format": "xlsx"}, {"format": "txt"}])
def test_unknown_format_or_program_is_rejected(client: httpx.Client, params: dict[str, str]) -> None:
    assert client.get("/v1/people/export", params=params).status_code == 422


@pytest.mark.parametrize("form", [form for form, _, _ in FORMATS])
def test_invalid_filter_exports_no_person(client: httpx.Client, form: str) -> None:
    response = client.get("/v1/people/export", params={"born_from": "11.02.1990", "format": form})
    assert (response.status_code, response.headers["Content-Type"]) == (422, "application/problem+json")


def test_empty_export_is_a_valid_file(client: httpx.Client, surname: str) -> None:
    def export(form: str) -> bytes:
        return client.get("/v1/people/export", params={"surname": f"{surname}x", "format": form}).content

    assert json.loads(export("fhir-bundle"))["entry"] == []
    assert "<sheetData>" in part(export("xlsx"), "xl/worksheets/sheet1.xml")
    assert export("vcard") == export("fhir") == b""
