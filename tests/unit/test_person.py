"""The rules of the record: what is kept, what is refused, and that every reason is named."""

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
from peopleinfo.people.person import (
    MAX_ADDRESS_LENGTH,
    MAX_NAME_LENGTH,
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

TODAY = date(2026, 3, 1)
SEED = {
    "person_name": "Ada",
    "person_surname": "Lovelace",
    "person_birthdate": "10 December 1815",
    "person_address": "St James's Square",
}
NAMES = ["person_name", "person_surname"]
TEXTS = [*NAMES, "person_birthdate", "person_address"]


def checked(data: Any, **known: Any) -> PersonData:
    return parse_person(data, today=TODAY, **known)


def reasons(data: Any, **known: Any) -> dict[str, str]:
    """Return why a document is refused: the reason under each pointer, which may stand there once."""
    with pytest.raises(InvalidPerson) as refused:
        checked(data, **known)
    found = dict(refused.value.errors)
    assert len(found) == len(refused.value.errors), "a field was named twice"
    return found


def person(**members: Any) -> dict[str, Any]:
    return {"person_surname": "Lovelace"} | members


def test_a_full_person_is_taken_as_sent() -> None:
    data = person(
        person_name="Ada", person_birthdate="1815-12-10", person_address="12 St James's Square\nLondon", x=[1]
    )
    assert checked(data).to_dict() == data


@pytest.mark.parametrize("member", NAMES)
def test_one_name_is_enough(member: str) -> None:
    assert checked({member: "Suharto"}).to_dict() == {member: "Suharto"}


@pytest.mark.parametrize("data", [{}, {"person_name": None, "person_surname": None}, {"person_birthdate": "1990"}])
def test_a_person_has_at_least_one_name(data: Any) -> None:
    assert reasons(data) == {"": "must contain person_name or person_surname"}


@pytest.mark.parametrize("data", [None, True, "Ada", [], [{"person_surname": "Ada"}], msgspec.Raw(b"1")])
def test_what_is_no_object_is_refused(data: Any) -> None:
    assert reasons(data) == {"": "must be a JSON object"}


@pytest.mark.parametrize("member", TEXTS)
@pytest.mark.parametrize(
    ("value", "kind"),
    [(msgspec.Raw(b"1"), "a number"), (True, "true or false"), ([], "a list"), ({}, "an object")],
    ids=lambda value: str(value)[:9],
)
def test_a_member_of_ours_is_a_string(member: str, value: Any, kind: str) -> None:
    assert reasons(person() | {member: value}) == {f"/{member}": f"must be a string, not {kind}"}


@pytest.mark.parametrize("member", TEXTS)
def test_null_means_absent(member: str) -> None:
    data = {"person_name": "Ada", "person_surname": "Lovelace"} | {member: None}
    assert member not in checked(data).to_dict()


@pytest.mark.parametrize("member", TEXTS)
@pytest.mark.parametrize("blank", ["", " ", "\t\n\r", "\u00a0\u2003\u3000\ufeff"])
def test_an_empty_text_is_refused(member: str, blank: str) -> None:
    assert reasons(person() | {member: blank}) == {f"/{member}": "must not be empty: leave it out if unknown"}


@pytest.mark.parametrize(
    ("member", "limit"), [("person_name", 256), ("person_surname", 256), ("person_address", 2_000)]
)
@pytest.mark.parametrize("letter", ["a", "ü", "林", "😀"])
def test_the_length_of_a_text_is_counted_in_characters(member: str, limit: int, letter: str) -> None:
    longest = letter * limit
    assert checked(person() | {member: f" {longest} "}).to_dict()[member] == longest
    assert reasons(person() | {member: longest + letter}) == {
        f"/{member}": f"must not be longer than {limit} characters"
    }


def test_the_length_of_a_text_is_counted_after_normalisation() -> None:
    assert checked({"person_surname": "e\u0301" * MAX_NAME_LENGTH}).person_surname == "é" * MAX_NAME_LENGTH


REFUSED = {
    "NUL": "\0", "bell": "\x07", "vertical tab": "\x0b", "form feed": "\x0c", "escape": "\x1b", "unit separator": "\x1f",
    "delete": "\x7f", "next line": "\x85", "C1": "\x9f", "left-to-right embedding": "\u202a",
    "right-to-left override": "\u202e", "isolate": "\u2066", "pop isolate": "\u2069", "high surrogate": "\ud800",
    "low surrogate": "\udfff",
}  # fmt: skip


@pytest.mark.parametrize("member", TEXTS)
@pytest.mark.parametrize("character", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("around", ["A{}b", "{}Ab", "Ab{}", "ü{}ü"])
def test_control_characters_and_direction_overrides_are_refused(member: str, character: str, around: str) -> None:
    refusal = reasons(person() | {member: around.format(character)})
    assert refusal == {f"/{member}": "must not contain control characters or direction overrides"}


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\t", "\u2028", "\u2029"])
def test_only_an_address_has_lines(line_break: str) -> None:
    lines = f"12 Square{line_break}London"
    assert checked(person(person_address=lines)).person_address == lines
    for member in NAMES:
        assert "control characters" in reasons(person() | {member: lines})[f"/{member}"]


@pytest.mark.parametrize("kept", ["a\u200db", "\u200eא\u200f", "a  b", "O'Brien", "<b>", "😀", "\u061cع"])
def test_other_characters_are_kept(kept: str) -> None:
    assert checked({"person_surname": kept}).person_surname == kept


def test_a_text_is_kept_in_nfc_and_without_blanks_around_it() -> None:
    details = checked({"person_surname": "\u00a0 Mu\u0308ller\n", "person_name": "\ufeffA\u030angstro\u0308m\t"})
    assert (details.person_surname, details.person_name) == ("Müller", "Ångström")


def test_the_other_members_are_kept_exactly_as_sent() -> None:
    more = {
        "note": " e\u0301 \u202e",
        "list": [None, {"a": [True, ""]}],
        "": {},
        "Person_name": "x",
        "n": msgspec.Raw(b"1.0e+2"),
    }
    assert checked(person() | more).extra == more


@pytest.mark.parametrize("text", ["1815-12-10", "1815-12", "1815", "--12-10", "2026-03-01", " 1815 "])
def test_a_birthdate_may_be_partial(text: str) -> None:
    assert checked(person(person_birthdate=text)).person_birthdate == text.strip()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2023-02-29", "must be a day that exists in the calendar"),
        ("2026-03-02", "must not be in the future"),
        ("10.12.1815", "must be a date like 1990-02-11, 1990-02, 1990 or --02-11"),
        ("0000", "must not be in the year 0000"),
    ],
)
def test_a_birthdate_is_a_day_that_has_begun(text: str, reason: str) -> None:
    assert reasons(person(person_birthdate=text)) == {"/person_birthdate": reason}


def test_a_birthdate_that_is_known_may_stay_whatever_its_form() -> None:
    data = person(person_birthdate="about 1815")
    assert checked(data, current_birthdate="about 1815").to_dict() == data
    assert "/person_birthdate" in reasons(data, current_birthdate="about 1816")


def test_every_bad_field_is_named_at_once() -> None:
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
    assert reasons(data).keys() == {f"/{member}" for member in data}


def test_a_missing_name_is_named_beside_the_other_reasons() -> None:
    data = {"person_address": [], "person_birthdate": "x", "version": "1"}
    assert reasons(data).keys() == {"/version", "/person_address", "/person_birthdate", ""}


def test_a_name_that_is_refused_is_not_called_missing() -> None:
    assert reasons({"person_name": ""}).keys() == {"/person_name"}


def test_no_reason_holds_what_was_sent() -> None:
    data = {
        "person_name": "secret\0",
        "person_surname": ["secret"],
        "person_birthdate": "secret",
        "person_id": "secret",
    }
    assert "secret" not in str(reasons(data))


GIVEN = {"person_id": "abc", "version": msgspec.Raw(b"3"), "created_at": "then", "updated_at": "now"}


def test_what_the_server_has_given_may_be_sent_back_and_is_no_detail() -> None:
    assert checked(person() | GIVEN, read_only_values=GIVEN).to_dict() == person()


@pytest.mark.parametrize("member", GIVEN)
@pytest.mark.parametrize("value", ["other", msgspec.Raw(b"3.0"), msgspec.Raw(b"4"), {}, False])
def test_what_the_server_has_given_may_not_be_changed(member: str, value: Any) -> None:
    data = person() | GIVEN | {member: value}
    assert reasons(data, read_only_values=GIVEN) == {f"/{member}": "is set by the server: leave it out"}


def test_what_the_server_gives_may_not_be_chosen_for_a_new_person() -> None:
    assert reasons(person() | GIVEN).keys() == {f"/{member}" for member in GIVEN}


def test_a_record_may_be_64_kib_large_and_not_a_byte_larger() -> None:
    overhead = len(strict_json.encode(person(note="")))
    checked(person(note="x" * (MAX_RECORD_SIZE - overhead)))
    assert reasons(person(note="x" * (MAX_RECORD_SIZE - overhead + 1))) == {"": "must not be larger than 64 KiB"}
    checked(person(note="😀" * ((MAX_RECORD_SIZE - overhead) // 4)))
    assert reasons(person(note="😀" * (MAX_RECORD_SIZE // 4))) == {"": "must not be larger than 64 KiB"}


def test_four_members_of_full_length_are_within_the_size() -> None:
    data = {
        "person_name": "😀" * MAX_NAME_LENGTH,
        "person_surname": "😀" * MAX_NAME_LENGTH,
        "person_address": "😀" * MAX_ADDRESS_LENGTH,
    }
    assert len(strict_json.encode(checked(data).to_dict())) < MAX_RECORD_SIZE


def test_the_seeds_birthdate_may_be_any_text() -> None:
    assert parse_legacy_person(SEED, today=TODAY).to_dict() == SEED
    assert parse_legacy_person(SEED | {"person_birthdate": " cafe\u0301 "}, today=TODAY).person_birthdate == "café"


@pytest.mark.parametrize("born", ["", "a\0b", "x" * (MAX_NAME_LENGTH + 1), "\ud800", 7, None])
def test_the_seeds_birthdate_is_a_text_like_the_others(born: Any) -> None:
    if born is None:
        assert missing_fields(SEED | {"person_birthdate": born}) == ["person_birthdate"]
        return
    with pytest.raises(InvalidPerson):
        parse_legacy_person(SEED | {"person_birthdate": born}, today=TODAY)


@pytest.mark.parametrize("absent", [None, "", "  \n", [], False, msgspec.Raw(b"1")])
@pytest.mark.parametrize("member", TEXTS)
def test_each_of_the_seeds_four_members_is_asked_for(member: str, absent: Any) -> None:
    assert missing_fields(SEED) == []
    assert missing_fields(SEED | {member: absent}) == [member]
    assert missing_fields({name: text for name, text in SEED.items() if name != member}) == [member]


@pytest.mark.parametrize("data", [None, [], "text", {}])
def test_what_is_no_seed_person_lacks_all_four(data: Any) -> None:
    assert sorted(missing_fields(data)) == sorted(TEXTS)


@pytest.mark.parametrize(
    ("members", "key"),
    [
        ({"person_surname": "Müller", "person_name": "Hans"}, "muller"),
        ({"person_name": "Pelé"}, "pele"),
        ({"person_surname": "O'Brien"}, "obrien"),
    ],
)
def test_a_person_is_found_by_the_surname_or_else_by_the_one_name(members: dict[str, Any], key: str) -> None:
    assert checked(members).surname_key == key


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
numbers = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)).map(
    lambda number: msgspec.Raw(json.dumps(number).encode())
)
values = st.recursive(
    st.none() | st.booleans() | texts | numbers,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
own = st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
server_members = ("person_id", "version", "created_at", "updated_at")
anybody = st.builds(
    PersonData,
    person_name=own,
    person_surname=own,
    person_birthdate=own,
    person_address=own,
    extra=st.dictionaries(texts.filter(lambda name: name not in (*TEXTS, *server_members)), values, max_size=4),
)


@given(anybody, st.integers(1, 10**9))
def test_a_record_taken_apart_is_what_it_was_made_of(details: PersonData, version: int) -> None:
    record = encode_person("abc", version, details, created_at="then", updated_at="now")
    assert (record.person_id, record.version) == ("abc", version)
    expected = {"person_id": "abc", "version": msgspec.Raw(b"%d" % version), "created_at": "then", "updated_at": "now"}
    assert split_record(record) == (details, expected)


@given(st.dictionaries(st.sampled_from([*TEXTS, "x"]), st.none() | st.text(max_size=5), max_size=5))
def test_what_is_taken_is_taken_again_and_stays_the_same(data: dict[str, Any]) -> None:
    try:
        details = checked(data)
    except InvalidPerson:
        return
    assert checked(details.to_dict()) == details


@given(st.text())
def test_a_normalised_text_stays_as_it_is(text: str) -> None:
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
def test_a_moment_is_written_in_utc_with_milliseconds(moment: datetime, text: str) -> None:
    assert timestamp(moment) == text
