"""What may be asked for, and whom it means."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.people.person import PersonData, encode_person
from peopleinfo.people.search import PersonFilter, Search


def where(**search: Any) -> PersonFilter:
    return PersonFilter(Search(**search))


def reasons(**search: Any) -> dict[str, str]:
    with pytest.raises(InvalidSearch) as refused:
        where(**search)
    found = dict(refused.value.errors)
    assert len(found) == len(refused.value.errors), "a parameter was named twice"
    return found


def means(search: dict[str, Any], **person: Any) -> bool:
    """Say whether a search means a person that it has found by the key."""
    body = encode_person("abc", 1, PersonData(**person), created_at="then", updated_at="now").body
    return where(**search).matches(body)


@pytest.mark.parametrize("member", ["surname", "surname_prefix", "name", "born_from", "born_to"])
@pytest.mark.parametrize("blank", ["", " ", "\u3000\t"])
def test_an_empty_filter_is_refused(member: str, blank: str) -> None:
    assert reasons(**{member: blank}) == {member: "must not be empty"}


def test_a_surname_and_a_prefix_do_not_go_together() -> None:
    assert reasons(surname="a", surname_prefix="b").keys() == {"surname_prefix"}


@pytest.mark.parametrize("member", ["born_from", "born_to"])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("--02-11", "must contain a year"),
        ("1990-02-30", "must be a day that exists in the calendar"),
        ("0000", "must not be in the year 0000"),
        ("soon", "must be a date like 1990-02-11, 1990-02, 1990 or --02-11"),
    ],
)
def test_a_bound_is_a_date_with_a_year(member: str, text: str, reason: str) -> None:
    assert reasons(**{member: text}) == {member: reason}


def test_every_bad_filter_is_named_at_once() -> None:
    assert reasons(surname="", name=" ", born_from="x", born_to="--01-01").keys() == {
        "surname",
        "name",
        "born_from",
        "born_to",
    }


@pytest.mark.parametrize("document", [b'{"nickname":"x"}', b'{"match":"fuzzy"}', b'{"surname":1}', b"[]"])
def test_a_search_knows_its_members(document: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(document, type=Search)


def test_names_lead_to_their_keys() -> None:
    assert (where(surname=" Müller").surname_key, where(surname="x").prefix_key) == ("muller", None)
    assert (where(surname_prefix="O'B").prefix_key, where(surname_prefix="x").surname_key) == ("ob", None)
    assert (where().surname_key, where().prefix_key) == (None, None)


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
def test_a_search_says_whether_the_key_alone_decides(search: dict[str, Any], refines: bool) -> None:
    assert where(**search).needs_row_check is refines


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
    assert means(search, **person) is meant


BIRTHDATES = [
    # from, to, born, meant: when any day that the birthdate can stand for lies in the range
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
def test_a_birthdate_is_meant_when_it_can_lie_in_the_range(
    born_from: str | None, born_to: str | None, born: str | None, meant: bool
) -> None:
    search = {"born_from": born_from, "born_to": born_to}
    assert means(search, person_surname="Anybody", person_birthdate=born) is meant


def test_whatever_else_people_bring_is_passed_over() -> None:
    more = {
        "name": "Other",
        "n": [msgspec.Raw(b"1e400"), msgspec.Raw(b"-" + b"9" * 5_000), msgspec.Raw(b"0." + b"1" * 5_000)],
        "deep": [[[[[[[[[[[[[[{"person_name": "Other"}]]]]]]]]]]]]]],
    }
    assert means({"name": "ada"}, person_name="Ada", extra=more)


def test_all_filters_must_hold() -> None:
    person = {"person_name": "Ada", "person_surname": "Lovelace", "person_birthdate": "1815-12-10"}
    assert means({"name": "ada", "born_from": "1815", "born_to": "1815"}, **person)
    assert not means({"name": "bob", "born_from": "1815", "born_to": "1815"}, **person)
    assert not means({"name": "ada", "born_from": "1816"}, **person)


def test_searches_that_ask_for_different_things_have_different_identities() -> None:
    searches: list[dict[str, Any]] = [
        {}, {"surname": "a"}, {"surname": "b"}, {"surname_prefix": "a"}, {"name": "a"}, {"born_from": "1990"},
        {"born_to": "1990"}, {"surname": "a", "match": "exact"}, {"surname": "a", "name": "a"},
    ]  # fmt: skip
    assert len({where(**search).fingerprint for search in searches}) == len(searches)


@pytest.mark.parametrize("filter_", ["surname", "surname_prefix", "name"])
def test_bytes_of_a_command_line_that_are_no_text_are_refused(filter_: str) -> None:
    with pytest.raises(InvalidSearch) as refused:
        where(**{filter_: "M\udcfcller"})
    assert refused.value.errors == (FieldError(filter_, "must be valid Unicode text"),)


@pytest.mark.parametrize("member", ["surname", "surname_prefix", "name"])
def test_name_that_no_record_can_have_is_refused(member: str) -> None:
    PersonFilter(msgspec.convert({member: "x" * 256}, Search))
    with pytest.raises(InvalidSearch, match="256 characters"):
        PersonFilter(msgspec.convert({member: "x" * 257}, Search))
