"""The client of the check rejects inconsistent responses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consistency.client import Response, Unexpected, page_in, person_in, take
from consistency.history import Operation, PersonState, Times

ID = "0123456789abcdef" * 2
RECORD = {
    "person_id": ID,
    "person_name": "N7",
    "person_surname": "Bach",
    "person_birthdate": "1930-01-08",
    "person_address": "12 Elm Row, 1000007 Springfield",
    "mark": "7",
    "version": 2,
    "created_at": "2026-11-24T09:00:00.000Z",
    "updated_at": "2026-11-24T09:00:01.000Z",
}
INVALID: dict[str, dict[str, Any]] = {
    "no id": {"person_id": None},
    "an id of another format": {"person_id": "7"},
    "no version": {"version": None},
    "version 0": {"version": 0},
    "a version that is a string": {"version": "2"},
    "another name than written": {"person_name": "N6"},
    "no mark": {"mark": None},
    "no time of creation": {"created_at": None},
    "a time of another format": {"updated_at": "2026-11-24"},
    "an update before the creation": {"updated_at": "2026-11-24T08:00:00.000Z"},
    "version 1 after the creation": {"version": 1},
    "another address than written": {"person_address": "12 Lindenweg"},
    "a field that no client sent": {"phone": "12"},
}


def record(**changes: Any) -> dict[str, Any]:
    """Return the record with changed fields; None removes a field."""
    return {name: value for name, value in (RECORD | changes).items() if value is not None}


def response(body: Any, **parts: Any) -> Response:
    return Response(200, json.dumps(body).encode(), **({"etag": '"2"', "media": "application/json"} | parts))


def page(*people: dict[str, Any]) -> Response:
    return response({"people": people, "next_cursor": None})


def operation(**more: Any) -> Operation:
    return Operation("read", 1, 2, "unknown", person=ID, **more)


def test_valid_response_is_recorded_with_its_times() -> None:
    read = operation()
    take(read, response(RECORD), 200)
    assert (read.outcome, read.seen) == ("done", (PersonState(ID, 2, "7", "Bach"),))
    assert read.times == (Times("2026-11-24T09:00:00.000Z", "2026-11-24T09:00:01.000Z"),)


@pytest.mark.parametrize("name", INVALID)
def test_invalid_record_is_rejected_alone_and_in_a_list(name: str) -> None:
    invalid = record(**INVALID[name])
    with pytest.raises(Unexpected):
        person_in(response(invalid, etag=f'"{invalid.get("version")}"'))
    with pytest.raises(Unexpected):
        page_in(page(RECORD, invalid), 10)


@pytest.mark.parametrize("etag", ["", '"1"', 'W/"2"', "2"])
def test_etag_of_another_version_is_rejected(etag: str) -> None:
    with pytest.raises(Unexpected, match="ETag"):
        person_in(response(RECORD, etag=etag))
    with pytest.raises(Unexpected, match="ETag"):
        take(operation(expected=2), Response(304, b"", etag=etag), 200)


def test_invalid_body_is_rejected() -> None:
    with pytest.raises(Unexpected, match="Content-Type"):
        person_in(response(RECORD, media="text/html"))
    with pytest.raises(Unexpected, match="truncated"):
        person_in(Response(200, b"{", etag='"2"', media="application/json"))


def test_page_over_the_limit_is_rejected() -> None:
    assert len(page_in(page(RECORD, RECORD), 2).people) == 2
    with pytest.raises(Unexpected, match="exceeds the limit"):
        page_in(page(RECORD, RECORD), 1)


def test_conflict_without_the_current_version_is_rejected() -> None:
    conflict = operation(expected=1)
    take(
        conflict,
        Response(412, b'{"detail":"the record is now at version 3: read it again and repeat the change"}'),
        200,
    )
    assert (conflict.outcome, conflict.actual) == ("conflict", 3)
    with pytest.raises(Unexpected, match="version"):
        take(operation(expected=1), Response(412, b'{"detail":"no"}'), 200)
