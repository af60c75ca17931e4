"""Both clients cover the API with typed results, pagination, and exact numbers."""

from __future__ import annotations

import gzip
import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import peopleinfo_client as api
from peopleinfo.http.problems import PROBLEM_TYPES
from peopleinfo_client import errors
from peopleinfo_client._requests import import_chunks
from tests.client.conftest import raises
from tests.http.serving import ADMIN_KEY, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.conftest import Connect
    from tests.http.serving import Server


@pytest.fixture
def people(connect: Connect, server: Server) -> Any:
    return connect(server.url)


def test_person_is_created_read_updated_and_deleted(people: Any) -> None:
    created = people.create({"person_surname": "Müller", "person_name": "Anna", "score": 1.5})
    assert (created.person_surname, created.version, created.extra) == ("Müller", 1, {"score": Decimal("1.5")})
    assert people.get(created.person_id) == created
    changed = people.patch(created, {"person_address": "12 Lindenweg", "score": None})
    assert (changed.person_address, changed.version, changed.extra) == ("12 Lindenweg", 2, {})
    replaced = people.replace(changed, {"person_surname": "Meyer"})
    assert replaced.data() == {"person_surname": "Meyer"}
    assert replaced.created_at == created.created_at
    people.delete(replaced)
    with raises(api.PersonNotFound):
        people.get(created.person_id)


def test_each_item_of_a_batch_has_its_own_result(people: Any) -> None:
    new = {"operation": "create", "person": {"person_surname": "Batch", "score": Decimal("1.50")}}
    created, invalid = people.batch([new, {"operation": "create", "person": {}}])
    assert (created.status, created.person.extra, created.error) == (201, {"score": Decimal("1.50")}, None)
    assert (invalid.status, invalid.person, type(invalid.error)) == (422, None, api.InvalidPerson)
    person = created.person
    assert people.get_many([person.person_id, "0" * 32] * 60) == [person, None] * 60
    (deleted,) = people.batch([{"operation": "delete", "person_id": person.person_id, "version": 1}])
    assert deleted == api.BatchResult(204)
    with raises(api.InvalidBatch):
        people.batch([])


def test_numbers_keep_all_digits_in_both_directions(people: Any) -> None:
    numbers = {"price": Decimal("1.50"), "tiny": Decimal("1E-400"), "long": Decimal(10**30 + 1), "count": 7}
    created = people.create({"person_surname": "Number"} | numbers)
    assert created.extra == numbers
    assert str(created.extra["price"]) == "1.50"
    assert type(created.extra["count"]) is int
    assert people.replace(created, created.data()).extra == numbers


def test_decimals_inside_lists_and_objects_keep_all_digits(people: Any) -> None:
    extra = {"prices": [Decimal("0.10"), 'a"b', None, True], "by": {"ü\u2028": (Decimal(3), {})}}
    created = people.create({"person_surname": "Nested"} | extra)
    assert created.extra == {"prices": [Decimal("0.10"), 'a"b', None, True], "by": {"ü\u2028": [3, {}]}}


def test_date_is_sent_in_iso_format(people: Any) -> None:
    created = people.create({"person_surname": "Date", "person_birthdate": date(1990, 5, 4)})
    assert created.person_birthdate == "1990-05-04"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), Decimal("Infinity")])
def test_number_that_json_cannot_represent_is_rejected(people: Any, value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        people.create({"person_surname": "Number", "n": value})


@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes", {Decimal(1): Decimal(2)}])
def test_value_of_another_type_is_rejected(people: Any, value: Any) -> None:
    with pytest.raises(TypeError, match=r"JSON|keys"):
        people.create({"person_surname": "Type", "value": value})


def test_stale_version_does_not_overwrite_a_newer_one(people: Any) -> None:
    stale = people.create({"person_surname": "Conflict"})
    people.patch(stale, {"n": 1})
    with raises(api.VersionConflict):
        people.patch(stale, {"n": 2})
    with raises(api.VersionConflict):
        people.delete(stale)
    assert people.patch(stale, {"n": 3}, version=api.ANY_VERSION).version == 3
    with pytest.raises(TypeError, match="version to change is missing"):
        people.patch(stale.person_id, {"n": 4})


def test_search_yields_every_match_page_by_page(people: Any) -> None:
    surname = f"Pages {type(people).__name__}"
    created = [people.create({"person_surname": surname, "n": n}).person_id for n in range(7)]
    assert [person.person_id for person in people.find(surname=surname)] == created
    pages = list(people.pages(surname=surname, limit=3))
    assert [len(page.people) for page in pages] == [3, 3, 1]
    assert next(iter(people.pages(surname=surname, limit=3, cursor=pages[0].next_cursor))).people == pages[1].people
    assert list(people.find(surname=surname, name="other")) == []


def test_import_returns_a_result_for_each_row_and_is_idempotent(people: Any) -> None:
    rows = [
        {"person_surname": f"Imported by {type(people).__name__}", "text": "line\u2028separator"},
        {"person_surname": 5},
    ]
    results = list(people.import_people(rows, idempotency_key=f"import {type(people)}"))
    assert [(one.line, one.result) for one in results] == [(1, "stored"), (2, "rejected"), (None, "done")]
    assert results[1].errors[0]["pointer"] == "/person_surname"
    assert (results[2].stored, results[2].rejected) == (1, 1)
    repeated = list(people.import_people(iter(rows), idempotency_key=f"import {type(people)}"))
    assert [one.result for one in repeated] == ["unchanged", "rejected", "done"]


def test_import_by_key_updates_the_people_that_an_export_named(people: Any) -> None:
    person = people.create({"person_surname": "Key", "n": 1})
    row = {"person_id": person.person_id, "version": person.version, "person_surname": "Key", "n": 2}
    assert [one.result for one in people.import_people([row], key="person_id", dry_run=True)] == ["updated", "done"]
    assert people.get(person.person_id).version == 1
    assert [one.result for one in people.import_people([row], key="person_id")] == ["updated", "done"]
    assert people.get(person.person_id).data()["n"] == 2
    assert [one.result for one in people.import_people([row], key="person_id")] == ["unchanged", "done"]
    assert [one.result for one in people.import_people([row | {"n": 3}], key="person_id")] == ["conflict", "done"]


def test_import_reads_birthdates_in_the_given_format(people: Any) -> None:
    row = {"person_surname": "Dates", "person_birthdate": "11/02/1990"}
    done = list(people.import_people([row], date_format=["%d/%m/%Y"], force=True))
    assert people.get(done[0].person_id).person_birthdate == "1990-02-11"


def test_preview_of_a_file_stores_nothing(people: Any) -> None:
    found = people.preview_import(b"Name;Vorname;Geburtstag\nPreview;Ida;11.02.1990\n", on_bad_date="keep")
    assert (found.format, found.delimiter, found.header_line, found.date_formats) == ("csv", ";", 1, ["%d.%m.%Y"])
    person = {"person_name": "Ida", "person_surname": "Preview", "person_birthdate": "1990-02-11"}
    assert [(row["result"], row["person"]) for row in found.rows] == [("valid", person)]
    mapped = people.preview_import(b"A,B\nIda,Preview\n", map=["person_surname=B", "person_name=A"])
    assert mapped.mapping == {"person_surname": ["B"], "person_name": ["A"]}
    assert list(people.find(surname="Preview")) == []


def test_import_without_rows_stores_no_person(people: Any) -> None:
    assert [one.result for one in people.import_people([])] == ["done"]


def test_import_body_is_compressed_within_the_limit_of_the_server() -> None:
    varied = [{"person_surname": f"Imported {n}", "n": n} for n in range(20_000)]
    repetitive = [{"person_surname": "Imported", "filler": "x" * 8_000}] * 100
    for rows, min_ratio in ((varied, 3), (repetitive, 0.9)):
        body = b"".join(import_chunks(rows))
        ndjson = gzip.decompress(body)
        assert [json.loads(line) for line in ndjson.splitlines()] == rows
        assert min_ratio <= len(ndjson) / len(body) <= 100


def test_export_returns_the_imported_rows(people: Any) -> None:
    rows = [{"person_surname": f"Export{type(people).__name__}", "n": n, "t": "a\u2028b\x85"} for n in range(1_500)]
    assert list(people.import_people(rows))[-1].stored == 1_500
    exported = list(people.export(surname=f"Export{type(people).__name__}"))
    assert [person.data() for person in exported] == rows


def test_error_lists_every_invalid_field(people: Any) -> None:
    with raises(api.InvalidPerson) as raised:
        people.create({"person_surname": 5, "person_birthdate": "2023-02-30"})
    assert [error.pointer for error in raised.value.errors] == ["/person_surname", "/person_birthdate"]
    assert raised.value.status == 422
    assert raised.value.request_id


def test_each_problem_type_raises_its_own_error(people: Any) -> None:
    with raises(api.InvalidSearch):
        list(people.find(born_from="yesterday"))
    with raises(api.InvalidCursor):
        next(iter(people.pages(cursor="x")))
    with raises(api.IdempotencyKeyConflict):
        [people.create({"person_surname": name}, idempotency_key=f"key {type(people)}") for name in "AB"]


def test_id_cannot_address_another_resource(people: Any) -> None:
    with pytest.raises(ValueError, match="invalid id"):
        people.get("../../data")
    with pytest.raises(ValueError, match="invalid id"):
        people.restore_deleted("../../data")


def test_is_ready_reports_whether_a_server_responds(connect: Connect, people: Any) -> None:
    assert people.is_ready()
    assert not connect("http://127.0.0.1:1").is_ready()


def test_api_key_is_read_from_the_argument_or_the_environment(
    tmp_path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path, admin_key=ADMIN_KEY) as server:
        with raises(api.NotAuthenticated):
            connect(server.url).create({"person_surname": "Locked"})
        with raises(api.NotAuthenticated):
            list(connect(server.url, api_key="x" * 32).import_people(iter([{"person_surname": "Locked"}])))
        assert connect(server.url, api_key=ADMIN_KEY).create({"person_surname": "Argument"}).version == 1
        monkeypatch.setenv("PEOPLEINFO_API_KEY", ADMIN_KEY)
        assert connect(server.url).create({"person_surname": "Environment"}).version == 1


def test_old_name_of_the_api_key_variable_is_rejected(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEOPLEINFO_KEY", ADMIN_KEY)
    with pytest.raises(ValueError, match="PEOPLEINFO_KEY was renamed to PEOPLEINFO_API_KEY"):
        connect(server.url)


def test_each_problem_type_of_the_server_has_an_error_class_of_the_same_name() -> None:
    client = errors.PROBLEM_TYPES | {errors.OUTCOME_UNKNOWN: errors.OutcomeUnknown}
    server: dict[str, set[str]] = {}
    for error, problem_type in PROBLEM_TYPES.items():
        server.setdefault(problem_type.slug, set()).add(error.__name__)
    assert client.keys() == server.keys()
    assert [slug for slug, error in client.items() if error.__name__ not in server[slug]] == []


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"\xff\xfe", b"[]", b"null", b"[" * 100_000, b'{"type": 5, "detail": [], "errors": "x", "request_id": {}}',
        b'{"errors": [5, {"pointer": 1}, null]}',
    ],
)  # fmt: skip
def test_response_without_a_problem_document_raises_a_problem_error(body: bytes) -> None:
    error = errors.problem(502, body)
    assert type(error) is api.ProblemError
    assert error.detail == "the response has status 502"


def test_result_of_a_newer_server_is_accepted() -> None:
    assert api.ImportResult.from_json(b'{"result":"stored","line":1,"new":[]}') == api.ImportResult(
        result="stored", line=1
    )


def test_every_error_class_is_exported() -> None:
    assert {kind.__name__ for kind in errors.PROBLEM_TYPES.values()} <= set(api.__all__)
    assert all(hasattr(api, name) for name in api.__all__)


def test_client_finds_duplicates(connect: Connect, server: Server) -> None:
    client = connect(server.url)
    data = {"person_name": "Jonathan", "person_surname": "Matched", "person_birthdate": "1961-07-21"}
    first, second = client.create(data), client.create(data)
    found = client.match({**data, "person_surname": "Match"}, count=50)
    assert {first.person_id, second.person_id} <= {candidate.person.person_id for candidate in found.candidates}
    others = client.duplicates(first, count=50).candidates
    assert second in [candidate.person for candidate in others]
    assert first not in [candidate.person for candidate in others]
    assert others[0].evidence[0].because == "same first name"
