"""Validation and encoding of person records."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.errors import InvalidPerson
from peopleinfo.people import strict_json
from peopleinfo.people.fields import FIELD_TABLE, MAX_NAME_LENGTH
from peopleinfo.people.person import (
    MAX_RECORD_SIZE,
    PersonData,
    encode_person,
    missing_fields,
    normalize,
    parse_legacy_person,
    parse_person,
    split_record,
    timestamp,
)

MAX_ADDRESS_LENGTH = FIELD_TABLE["person_address"].max_length

TODAY = date(2026, 3, 1)
LEGACY_PERSON = {
    "person_name": "Ada",
    "person_surname": "Lovelace",
    "person_birthdate": "10 December 1815",
    "person_address": "St James's Square",
}
NAMES = ["person_name", "person_surname"]
TEXTS = [*NAMES, "person_birthdate", "person_address"]


def parsed(data: Any, **options: Any) -> PersonData:
    return parse_person(data, today=TODAY, **options)


def reasons(data: Any, **options: Any) -> dict[str, str]:
    """Return the validation errors of a document as pointer → reason, with at most one error a pointer."""
    with pytest.raises(InvalidPerson) as caught:
        parsed(data, **options)
    found = dict(caught.value.errors)
    assert len(found) == len(caught.value.errors), "a field has two errors"
    return found


def person(**members: Any) -> dict[str, Any]:
    return {"person_surname": "Lovelace"} | members


def test_complete_person_is_accepted_unchanged() -> None:
    data = person(
        person_name="Ada", person_birthdate="1815-12-10", person_address="12 St James's Square\nLondon", x=[1]
    )
    assert parsed(data).to_dict() == data


@pytest.mark.parametrize("field", NAMES)
def test_person_with_one_name_is_accepted(field: str) -> None:
    assert parsed({field: "Suharto"}).to_dict() == {field: "Suharto"}


@pytest.mark.parametrize("data", [{}, {"person_name": None, "person_surname": None}, {"person_birthdate": "1990"}])
def test_person_without_a_name_is_rejected(data: Any) -> None:
    assert reasons(data) == {"": "must contain person_name or person_surname"}


@pytest.mark.parametrize("data", [None, True, "Ada", [], [{"person_surname": "Ada"}], msgspec.Raw(b"1")])
def test_other_json_value_than_an_object_is_rejected(data: Any) -> None:
    assert reasons(data) == {"": "must be a JSON object"}


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize(
    ("value", "kind"),
    [(msgspec.Raw(b"1"), "a number"), (True, "true or false"), ([], "a list"), ({}, "an object")],
    ids=lambda value: str(value)[:9],
)
def test_standard_field_must_be_a_string(field: str, value: Any, kind: str) -> None:
    assert reasons(person() | {field: value}) == {f"/{field}": f"must be a string, not {kind}"}


@pytest.mark.parametrize("field", TEXTS)
def test_null_is_treated_as_absent(field: str) -> None:
    data = {"person_name": "Ada", "person_surname": "Lovelace"} | {field: None}
    assert field not in parsed(data).to_dict()


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("blank", ["", " ", "\t\n\r", "\u00a0\u2003\u3000\ufeff"])
def test_empty_text_is_rejected(field: str, blank: str) -> None:
    assert reasons(person() | {field: blank}) == {f"/{field}": "must not be empty: leave it out if unknown"}


@pytest.mark.parametrize(("field", "limit"), [("person_name", 256), ("person_surname", 256), ("person_address", 2_000)])
@pytest.mark.parametrize("letter", ["a", "ü", "林", "😀"])
def test_length_of_a_text_is_counted_in_characters(field: str, limit: int, letter: str) -> None:
    longest = letter * limit
    assert parsed(person() | {field: f" {longest} "}).to_dict()[field] == longest
    assert reasons(person() | {field: longest + letter}) == {f"/{field}": f"must not be longer than {limit} characters"}


def test_length_of_a_text_is_counted_after_normalization() -> None:
    assert parsed({"person_surname": "e\u0301" * MAX_NAME_LENGTH}).person_surname == "é" * MAX_NAME_LENGTH


REJECTED = {
    "NUL": "\0", "bell": "\x07", "vertical tab": "\x0b", "form feed": "\x0c", "escape": "\x1b", "unit separator": "\x1f",
    "delete": "\x7f", "next line": "\x85", "C1": "\x9f", "left-to-right embedding": "\u202a",
    "right-to-left override": "\u202e", "isolate": "\u2066", "pop isolate": "\u2069", "high surrogate": "\ud800",
    "low surrogate": "\udfff",
}  # fmt: skip


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("character", REJECTED.values(), ids=REJECTED.keys())
@pytest.mark.parametrize("around", ["A{}b", "{}Ab", "Ab{}", "ü{}ü"])
def test_control_characters_and_direction_overrides_are_rejected(field: str, character: str, around: str) -> None:
    errors = reasons(person() | {field: around.format(character)})
    assert errors == {f"/{field}": "must not contain control characters or direction overrides"}


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\t", "\u2028", "\u2029"])
def test_only_an_address_may_contain_line_breaks(line_break: str) -> None:
    lines = f"12 Square{line_break}London"
    assert parsed(person(person_address=lines)).person_address == lines
    for field in NAMES:
        assert "control characters" in reasons(person() | {field: lines})[f"/{field}"]


@pytest.mark.parametrize("name", ["\u200b", "\u3164", "\u2060", "\u0301", "\u2800"])
def test_name_without_a_visible_character_is_rejected(name: str) -> None:
    assert reasons({"person_surname": name}) == {"/person_surname": "must contain a visible letter, digit or sign"}


@pytest.mark.parametrize("text", ["a\u200db", "\u200eא\u200f", "a  b", "O'Brien", "<b>", "😀", "\u061cع"])
def test_other_characters_are_accepted_unchanged(text: str) -> None:
    assert parsed({"person_surname": text}).person_surname == text


def test_text_is_normalized_to_nfc_and_stripped() -> None:
    details = parsed({"person_surname": "\u00a0 Mu\u0308ller\n", "person_name": "\ufeffA\u030angstro\u0308m\t"})
    assert (details.person_surname, details.person_name) == ("Müller", "Ångström")


def test_custom_fields_are_stored_unchanged() -> None:
    custom = {
        "note": " e\u0301 \u202e",
        "list": [None, {"a": [True, ""]}],
        "": {},
        "Person_name": "x",
        "n": msgspec.Raw(b"1.0e+2"),
    }
    assert parsed(person() | custom).extra == custom


@pytest.mark.parametrize("text", ["1815-12-10", "1815-12", "1815", "--12-10", "2026-03-01", " 1815 "])
def test_partial_birthdate_is_accepted(text: str) -> None:
    assert parsed(person(person_birthdate=text)).person_birthdate == text.strip()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2023-02-29", "must be a day that exists in the calendar"),
        ("2026-03-02", "must not be in the future"),
        ("10.12.1815", "must be a date like 1990-02-11, 1990-02, 1990 or --02-11"),
        ("0000", "must not be in the year 0000"),
    ],
)
def test_invalid_or_future_birthdate_is_rejected(text: str, reason: str) -> None:
    assert reasons(person(person_birthdate=text)) == {"/person_birthdate": reason}


def test_current_birthdate_is_accepted_in_any_format() -> None:
    data = person(person_birthdate="about 1815")
    assert parsed(data, current_birthdate="about 1815").to_dict() == data
    assert "/person_birthdate" in reasons(data, current_birthdate="about 1816")


def test_all_invalid_fields_are_reported_together() -> None:
    data = {
        "person_name": "a\0b",
        "person_surname": "",
        "person_birthdate": "1815-13",
        "person_address": "x" * (MAX_ADDRESS_LENGTH + 1),
        "person_id": "mine",
        "version": msgspec.Raw(b"7"),
        "created_at": "now",
        "updated_at": "now",
    }
    assert reasons(data).keys() == {f"/{field}" for field in data}


def test_missing_name_is_reported_together_with_other_errors() -> None:
    data = {"person_address": [], "person_birthdate": "x", "version": "1"}
    assert reasons(data).keys() == {"/version", "/person_address", "/person_birthdate", ""}


def test_invalid_name_is_not_reported_as_missing() -> None:
    assert reasons({"person_name": ""}).keys() == {"/person_name"}


def test_validation_errors_do_not_contain_the_input() -> None:
    data = {
        "person_name": "secret\0",
        "person_surname": ["secret"],
        "person_birthdate": "secret",
        "person_id": "secret",
    }
    assert "secret" not in str(reasons(data))


READ_ONLY = {"person_id": "abc", "version": msgspec.Raw(b"3"), "created_at": "then", "updated_at": "now"}


def test_unchanged_read_only_fields_are_accepted_and_ignored() -> None:
    assert parsed(person() | READ_ONLY, read_only_values=READ_ONLY).to_dict() == person()


@pytest.mark.parametrize("field", READ_ONLY)
@pytest.mark.parametrize("value", ["other", msgspec.Raw(b"3.0"), msgspec.Raw(b"4"), {}, False])
def test_changed_read_only_fields_are_rejected(field: str, value: Any) -> None:
    data = person() | READ_ONLY | {field: value}
    assert reasons(data, read_only_values=READ_ONLY) == {f"/{field}": "is set by the server: leave it out"}


def test_read_only_fields_of_a_new_person_are_rejected() -> None:
    assert reasons(person() | READ_ONLY).keys() == {f"/{field}" for field in READ_ONLY}


def test_record_of_64_kib_is_accepted_and_a_larger_one_is_rejected() -> None:
    overhead = len(strict_json.encode(person(note="")))
    parsed(person(note="x" * (MAX_RECORD_SIZE - overhead)))
    assert reasons(person(note="x" * (MAX_RECORD_SIZE - overhead + 1))) == {"": "must not be larger than 64 KiB"}
    parsed(person(note="😀" * ((MAX_RECORD_SIZE - overhead) // 4)))
    assert reasons(person(note="😀" * (MAX_RECORD_SIZE // 4))) == {"": "must not be larger than 64 KiB"}


def test_standard_fields_of_maximum_length_fit_into_a_record() -> None:
    data = {
        "person_name": "😀" * MAX_NAME_LENGTH,
        "person_surname": "😀" * MAX_NAME_LENGTH,
        "person_address": "😀" * MAX_ADDRESS_LENGTH,
    }
    assert len(strict_json.encode(parsed(data).to_dict())) < MAX_RECORD_SIZE


def test_legacy_birthdate_may_be_any_text() -> None:
    assert parse_legacy_person(LEGACY_PERSON, today=TODAY).to_dict() == LEGACY_PERSON
    assert (
        parse_legacy_person(LEGACY_PERSON | {"person_birthdate": " cafe\u0301 "}, today=TODAY).person_birthdate
        == "café"
    )


@pytest.mark.parametrize("born", ["", "a\0b", "x" * (MAX_NAME_LENGTH + 1), "\ud800", 7, None])
def test_legacy_birthdate_must_be_a_valid_text(born: Any) -> None:
    if born is None:
        assert missing_fields(LEGACY_PERSON | {"person_birthdate": born}) == ["person_birthdate"]
        return
    with pytest.raises(InvalidPerson):
        parse_legacy_person(LEGACY_PERSON | {"person_birthdate": born}, today=TODAY)


@pytest.mark.parametrize("absent", [None, "", "  \n", [], False, msgspec.Raw(b"1")])
@pytest.mark.parametrize("field", TEXTS)
def test_each_standard_field_is_required_in_a_legacy_person(field: str, absent: Any) -> None:
    assert missing_fields(LEGACY_PERSON) == []
    assert missing_fields(LEGACY_PERSON | {field: absent}) == [field]
    assert missing_fields({name: text for name, text in LEGACY_PERSON.items() if name != field}) == [field]


@pytest.mark.parametrize("data", [None, [], "text", {}])
def test_other_json_value_lacks_all_legacy_fields(data: Any) -> None:
    assert sorted(missing_fields(data)) == sorted(TEXTS)


@pytest.mark.parametrize(
    ("members", "key"),
    [
        ({"person_surname": "Müller", "person_name": "Hans"}, "muller"),
        ({"person_name": "Pelé"}, "pele"),
        ({"person_surname": "O'Brien"}, "obrien"),
    ],
)
def test_surname_key_is_that_of_the_surname_or_of_the_only_name(members: dict[str, Any], key: str) -> None:
    assert parsed(members).surname_key == key


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
numbers = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)).map(
    lambda number: msgspec.Raw(json.dumps(number).encode())
)
values = st.recursive(
    st.none() | st.booleans() | texts | numbers,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
optional_text = st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
read_only_names = ("person_id", "version", "created_at", "updated_at")
person_data = st.builds(
    PersonData,
    person_name=optional_text,
    person_surname=optional_text,
    person_birthdate=optional_text,
    person_address=optional_text,
    extra=st.dictionaries(texts.filter(lambda name: name not in (*TEXTS, *read_only_names)), values, max_size=4),
)


@given(person_data, st.integers(1, 10**9))
def test_split_record_returns_the_encoded_fields(details: PersonData, version: int) -> None:
    record = encode_person("abc", version, details, created_at="then", updated_at="now")
    assert (record.person_id, record.version) == ("abc", version)
    expected = {"person_id": "abc", "version": msgspec.Raw(b"%d" % version), "created_at": "then", "updated_at": "now"}
    assert split_record(record) == (details, expected)


@given(st.dictionaries(st.sampled_from([*TEXTS, "x"]), st.none() | st.text(max_size=5), max_size=5))
def test_validated_person_is_accepted_again_unchanged(data: dict[str, Any]) -> None:
    try:
        details = parsed(data)
    except InvalidPerson:
        return
    assert parsed(details.to_dict()) == details


@given(st.text())
def test_normalization_is_idempotent(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once
    assert unicodedata.is_normalized("NFC", once)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00.000Z"),
        (datetime(2026, 3, 1, 12, 0, 0, 1_999, tzinfo=UTC), "2026-03-01T12:00:00.001Z"),
        (datetime(2026, 3, 1, 0, 30, tzinfo=timezone(timedelta(hours=2))), "2026-02-28T22:30:00.000Z"),
    ],
)
def test_timestamp_is_in_utc_with_milliseconds(moment: datetime, text: str) -> None:
    assert timestamp(moment) == text
