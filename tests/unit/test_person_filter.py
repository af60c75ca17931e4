"""Validation of search parameters, and matching of records."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.people.person import PersonData, encode_person
from peopleinfo.people.person_filter import PersonFilter, Search


def person_filter(**search: Any) -> PersonFilter:
    return PersonFilter(Search(**search))


def reasons(**search: Any) -> dict[str, str]:
    with pytest.raises(InvalidSearch) as caught:
        person_filter(**search)
    found = dict(caught.value.errors)
    assert len(found) == len(caught.value.errors), "a parameter has two errors"
    return found


def matches(search: dict[str, Any], **person: Any) -> bool:
    """Return whether a person under the right key matches a search."""
    body = encode_person("abc", 1, PersonData(**person), created_at="then", updated_at="now").body
    return person_filter(**search).matches(body)


@pytest.mark.parametrize("parameter", ["surname", "surname_prefix", "name", "born_from", "born_to"])
@pytest.mark.parametrize("blank", ["", " ", "\u3000\t"])
def test_empty_parameter_is_rejected(parameter: str, blank: str) -> None:
    assert reasons(**{parameter: blank}) == {parameter: "must not be empty"}


def test_surname_and_prefix_cannot_be_combined() -> None:
    assert reasons(surname="a", surname_prefix="b").keys() == {"surname_prefix"}


@pytest.mark.parametrize("parameter", ["born_from", "born_to"])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("--02-11", "must contain a year"),
        ("1990-02-30", "must be a day that exists in the calendar"),
        ("0000", "must not be in the year 0000"),
        ("soon", "must be a date like 1990-02-11, 1990-02, 1990 or --02-11"),
    ],
)
def test_bound_must_be_a_date_with_a_year(parameter: str, text: str, reason: str) -> None:
    assert reasons(**{parameter: text}) == {parameter: reason}


def test_all_invalid_parameters_are_reported_together() -> None:
    assert reasons(surname="", name=" ", born_from="x", born_to="--01-01").keys() == {
        "surname",
        "name",
        "born_from",
        "born_to",
    }


@pytest.mark.parametrize("document", [b'{"nickname":"x"}', b'{"match":"fuzzy"}', b'{"surname":1}', b"[]"])
def test_unknown_parameter_is_rejected(document: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(document, type=Search)


def test_surname_and_prefix_are_folded_to_keys() -> None:
    assert (person_filter(surname=" Müller").surname_key, person_filter(surname="x").prefix_key) == ("muller", None)
    assert (person_filter(surname_prefix="O'B").prefix_key, person_filter(surname_prefix="x").surname_key) == (
        "ob",
        None,
    )
    assert (person_filter().surname_key, person_filter().prefix_key) == (None, None)


@pytest.mark.parametrize(
    ("search", "refines"),
    [
        ({}, False),
        ({"surname": "a"}, False),
        ({"surname_prefix": "a"}, False),
        ({"surname": "a", "match": "exact"}, True),
        ({"surname": "a", "name": "b"}, True),
        ({"born_from": "1990"}, True),
        ({"born_to": "1990"}, True),
    ],
)
def test_row_check_is_needed_only_beyond_the_key(search: dict[str, Any], refines: bool) -> None:
    assert person_filter(**search).needs_row_check is refines


NAMES = [
    ({"name": "ada"}, {"person_name": "Ada", "person_surname": "Lovelace"}, True),
    ({"name": "ÁDA "}, {"person_name": "Ada", "person_surname": "Lovelace"}, True),
    ({"name": "ad"}, {"person_name": "Ada"}, False),
    ({"name": "ada"}, {"person_surname": "Ada"}, False),
    ({"name": "ada", "match": "exact"}, {"person_name": "Ada"}, False),
    ({"name": " Ada", "match": "exact"}, {"person_name": "Ada"}, True),
    (
        {"name": "ada", "surname": "Lovelace", "match": "exact"},
        {"person_name": "Ada", "person_surname": "Lovelace"},
        False,
    ),
    ({"surname": "Müller", "match": "exact"}, {"person_surname": "Müller"}, True),
    ({"surname": "Mu\u0308ller", "match": "exact"}, {"person_surname": "Müller"}, True),
    ({"surname": "Müller", "match": "exact"}, {"person_surname": "Muller"}, False),
    ({"surname": "Pelé", "match": "exact"}, {"person_name": "Pelé"}, True),
    ({"surname": "Ada", "match": "exact"}, {"person_name": "Ada", "person_surname": "Lovelace"}, False),
    ({"surname_prefix": "Love", "match": "exact"}, {"person_surname": "Lovelace"}, True),
    ({"surname_prefix": "love", "match": "exact"}, {"person_surname": "Lovelace"}, False),
    ({"surname_prefix": "Pe", "match": "exact"}, {"person_name": "Pelé"}, True),
]


@pytest.mark.parametrize(("search", "person", "meant"), NAMES)
def test_names_are_compared_folded_or_exactly(search: dict[str, Any], person: dict[str, str], meant: bool) -> None:
    assert matches(search, **person) is meant


BIRTHDATES = [
    # from, to, birthdate, matches: true if the birthdate overlaps the range
    ("1990-02-11", "1990-02-11", "1990-02-11", True),
    ("1990-02-12", None, "1990-02-11", False),
    (None, "1990-02-10", "1990-02-11", False),
    ("1990", "1990", "1990-12-31", True),
    ("1990", None, "1989-12-31", False),
    (None, "1990", "1991-01-01", False),
    ("1990-02", "1990-02", "1990-02-28", True),
    ("1990-02-28", None, "1990-02", True),
    ("1990-03-01", None, "1990-02", False),
    (None, "1990-02-01", "1990-02", True),
    ("1990-06-01", "1990-06-02", "1990", True),
    ("1991", None, "1990", False),
    ("1991", "1990", "1990", False),
    ("0001", "9999", "--02-11", False),
    ("0001", "9999", None, False),
    ("0001", "9999", "about 1990", False),
]


@pytest.mark.parametrize(("born_from", "born_to", "born", "meant"), BIRTHDATES)
def test_birthdate_matches_if_it_overlaps_the_range(
    born_from: str | None, born_to: str | None, born: str | None, meant: bool
) -> None:
    search = {"born_from": born_from, "born_to": born_to}
    assert matches(search, person_surname="Anybody", person_birthdate=born) is meant


def test_custom_fields_are_not_compared() -> None:
    more = {
        "name": "Other",
        "n": [msgspec.Raw(b"1e400"), msgspec.Raw(b"-" + b"9" * 5_000), msgspec.Raw(b"0." + b"1" * 5_000)],
        "deep": [[[[[[[[[[[[[[{"person_name": "Other"}]]]]]]]]]]]]]],
    }
    assert matches({"name": "ada"}, person_name="Ada", extra=more)


def test_record_must_match_all_filters() -> None:
    person = {"person_name": "Ada", "person_surname": "Lovelace", "person_birthdate": "1815-12-10"}
    assert matches({"name": "ada", "born_from": "1815", "born_to": "1815"}, **person)
    assert not matches({"name": "bob", "born_from": "1815", "born_to": "1815"}, **person)
    assert not matches({"name": "ada", "born_from": "1816"}, **person)


def test_different_searches_have_different_fingerprints() -> None:
    searches: list[dict[str, Any]] = [
        {}, {"surname": "a"}, {"surname": "b"}, {"surname_prefix": "a"}, {"name": "a"}, {"born_from": "1990"},
        {"born_to": "1990"}, {"surname": "a", "match": "exact"}, {"surname": "a", "name": "a"},
    ]  # fmt: skip
    assert len({person_filter(**search).fingerprint for search in searches}) == len(searches)


@pytest.mark.parametrize("filter_", ["surname", "surname_prefix", "name"])
def test_undecodable_bytes_of_a_command_line_are_rejected(filter_: str) -> None:
    with pytest.raises(InvalidSearch) as caught:
        person_filter(**{filter_: "M\udcfcller"})
    assert caught.value.errors == (FieldError(filter_, "must be valid Unicode text"),)


@pytest.mark.parametrize("parameter", ["surname", "surname_prefix", "name"])
def test_name_that_no_record_can_have_is_rejected(parameter: str) -> None:
    PersonFilter(msgspec.convert({parameter: "x" * 256}, Search))
    with pytest.raises(InvalidSearch, match="256 characters"):
        PersonFilter(msgspec.convert({parameter: "x" * 257}, Search))
