"""Differences and summaries of the versions of a record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from peopleinfo.errors import StoreDamaged
from peopleinfo.people.history import (
    HistoryLimits,
    Operation,
    Origin,
    PersonVersion,
    changed_fields,
    summaries,
)
from peopleinfo.people.person import PersonData, encode_person

ID = "e953cc6a7f986f7bb8466799a8eb167a"


def version(
    number: int, operation: Operation = Operation.UPDATED, by: str | None = None, **fields: Any
) -> PersonVersion:
    data = msgspec.convert({name: value for name, value in fields.items() if name.startswith("person_")}, PersonData)
    extra = {name: value for name, value in fields.items() if not name.startswith("person_")}
    data = msgspec.structs.replace(data, extra=extra)
    updated = f"2026-11-24T09:00:00.{number:03}Z"
    record = encode_person(ID, number, data, created_at="2026-11-24T09:00:00.000Z", updated_at=updated)
    return PersonVersion(number, Origin(operation, by), record.body)


def test_changed_fields_are_those_added_changed_and_removed() -> None:
    before = version(1, person_surname="Old", person_address="Here", note="same", gone=1)
    after = version(2, person_surname="New", person_birthdate="1990", note="same", added=[1])
    assert changed_fields(before.body, after.body) == [
        "person_surname",
        "person_birthdate",
        "person_address",
        "added",
        "gone",
    ]


def test_read_only_fields_are_no_changed_fields() -> None:
    assert changed_fields(version(1, person_name="A").body, version(2, person_name="A").body) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [(True, 1), (1, 1.0), (msgspec.Raw(b"1.5"), msgspec.Raw(b"1.50")), ("1", 1), ({}, []), (None, False)],
)
def test_fields_with_different_json_differ(before: object, after: object) -> None:
    old, new = (version(1, person_name="A", value=value).body for value in (before, after))
    assert changed_fields(old, new) == ["value"]


def test_hidden_fields_are_no_changed_fields() -> None:
    before, after = version(1, person_name="A", secret=1, note=1), version(2, person_name="B", secret=2, note=2)
    assert changed_fields(before.body, after.body, frozenset({"person_name", "secret"})) == ["note"]
    assert changed_fields(before.body, after.body, frozenset({"*"})) == ["person_name"]


def test_summary_of_the_first_version_has_all_its_fields() -> None:
    (summary,) = summaries([version(1, Operation.CREATED, "crm", person_name="A", note=1)], None)
    assert summary == (1, "2026-11-24T09:00:00.001Z", "crm", Operation.CREATED, ["person_name", "note"])


def test_summary_without_the_previous_version_has_no_fields() -> None:
    old, new = version(4, person_name="A"), version(5, person_name="B")
    assert [summary.fields for summary in summaries([old, new], None)] == [None, ["person_name"]]
    assert [summary.fields for summary in summaries([old, new], version(3, person_name="A"))] == [[], ["person_name"]]
    assert summaries([version(7, person_name="B")], new)[0].fields is None


def test_summary_names_visible_fields_only() -> None:
    (summary,) = summaries([version(1, person_name="A", secret=1)], None, frozenset({"secret"}))
    assert summary.fields == ["person_name"]


def test_damaged_version_is_reported() -> None:
    with pytest.raises(StoreDamaged):
        summaries([PersonVersion(1, Origin(Operation.CREATED), b"{")], None)


def test_limits_bound_number_and_age() -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    by_age, by_number = HistoryLimits(max_age=timedelta(days=1)), HistoryLimits(max_versions=2, max_age=None)
    assert by_age.replaced_after(now) == (now.timestamp() - 86_400) * 1_000
    assert by_number.replaced_after(now) == 0
    assert (by_age.oldest_version(9), by_number.oldest_version(9)) == (1, 7)
