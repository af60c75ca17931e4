"""The driver of the proof rejects a response whose parts do not fit each other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consistency.client import Answer, Unexpected, page_in, person_in, take
from consistency.history import Operation, Stand, Times

ID = "0123456789abcdef" * 2
RECORD = {
    "person_id": ID,
    "person_name": "N7",
    "person_surname": "Bach",
    "mark": "7",
    "version": 2,
    "created_at": "2026-11-24T09:00:00.000Z",
    "updated_at": "2026-11-24T09:00:01.000Z",
}
WRONG: dict[str, dict[str, Any]] = {
    "no id": {"person_id": None},
    "an id of another form": {"person_id": "7"},
    "no version": {"version": None},
    "version 0": {"version": 0},
    "a version that is a text": {"version": "2"},
    "another name than the change wrote": {"person_name": "N6"},
    "no mark": {"mark": None},
    "no time of creation": {"created_at": None},
    "a time of another form": {"updated_at": "2026-11-24"},
    "a change before the creation": {"updated_at": "2026-11-24T08:00:00.000Z"},
    "version 1 after the creation": {"version": 1},
    "a member that no client sent": {"person_address": "12 Lindenweg"},
}


def record(**changes: Any) -> dict[str, Any]:
    """Return the record with changed members; None removes a member."""
    return {name: value for name, value in (RECORD | changes).items() if value is not None}


def answer(body: Any, **parts: Any) -> Answer:
    return Answer(200, json.dumps(body).encode(), **({"etag": '"2"', "media": "application/json"} | parts))


def a_page(*people: dict[str, Any]) -> Answer:
    return answer({"people": people, "next_cursor": None})


def asked(**more: Any) -> Operation:
    return Operation("read", 1, 2, "unknown", person=ID, **more)


def test_a_response_that_fits_is_noted_with_its_times() -> None:
    read = asked()
    take(read, answer(RECORD), 200)
    assert (read.outcome, read.seen) == ("done", (Stand(ID, 2, "7", "Bach"),))
    assert read.times == (Times("2026-11-24T09:00:00.000Z", "2026-11-24T09:00:01.000Z"),)


@pytest.mark.parametrize("what", WRONG)
def test_a_record_with_a_wrong_part_is_rejected_alone_and_in_a_list(what: str) -> None:
    wrong = record(**WRONG[what])
    with pytest.raises(Unexpected):
        person_in(answer(wrong, etag=f'"{wrong.get("version")}"'))
    with pytest.raises(Unexpected):
        page_in(a_page(RECORD, wrong), 10)


@pytest.mark.parametrize("etag", ["", '"1"', 'W/"2"', "2"])
def test_a_tag_that_is_not_that_of_the_version_is_rejected(etag: str) -> None:
    with pytest.raises(Unexpected, match="ETag"):
        person_in(answer(RECORD, etag=etag))
    with pytest.raises(Unexpected, match="ETag"):
        take(asked(expected=2), Answer(304, b"", etag=etag), 200)


def test_a_body_of_another_kind_is_rejected() -> None:
    with pytest.raises(Unexpected, match="Content-Type"):
        person_in(answer(RECORD, media="text/html"))
    with pytest.raises(Unexpected, match="truncated"):
        person_in(Answer(200, b"{", etag='"2"', media="application/json"))


def test_a_page_with_more_people_than_its_limit_is_rejected() -> None:
    assert len(page_in(a_page(RECORD, RECORD), 2).people) == 2
    with pytest.raises(Unexpected, match="exceeds the limit"):
        page_in(a_page(RECORD, RECORD), 1)


def test_a_conflict_that_does_not_report_the_version_is_rejected() -> None:
    refused = asked(expected=1)
    take(refused, Answer(412, b'{"detail":"the person is at version 3 now"}'), 200)
    assert (refused.outcome, refused.actual) == ("conflict", 3)
    with pytest.raises(Unexpected, match="version"):
        take(asked(expected=1), Answer(412, b'{"detail":"no"}'), 200)
