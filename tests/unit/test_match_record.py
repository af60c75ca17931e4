"""Preparation of records for matching, and the agreement of two fields."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from peopleinfo.errors import FieldAccessDenied
from peopleinfo.matching import field_comparison
from peopleinfo.matching.match_record import MatchRecord, prepare
from peopleinfo.matching.spelling import are_near, jaro_winkler
from peopleinfo.people import strict_json
from peopleinfo.people.edit_distance import edit_distance


def named(name: str | None, surname: str | None = None) -> MatchRecord:
    return prepare({"person_name": name, "person_surname": surname})


def born(birthdate: str) -> MatchRecord:
    return prepare({"person_birthdate": birthdate})


def at(address: str) -> MatchRecord:
    return prepare({"person_address": address})


def test_names_are_folded_and_divided_at_blanks_and_hyphens() -> None:
    record = named("Anna-María", "van der Müller-López")
    assert record.names == ("anna", "maria")
    assert record.surnames == ("van", "der", "muller", "lopez")
    assert record.surname == "vandermullerlopez"


def test_suffix_of_a_generation_is_no_name() -> None:
    record = named("John", "Smith Jr.")
    assert (record.surnames, record.generation) == (("smith",), "2")
    assert named("Junior", "Silva").names == ("junior",)


@pytest.mark.parametrize(
    ("text", "complete", "partial"),
    [
        ("1990-02-11", "19900211", ""),
        ("19900211", "19900211", ""),
        ("1990-02", "", "199002"),
        ("1990", "", "1990"),
        ("--02-11", "", "--0211"),
        ("about 1990", "", ""),
    ],
)
def test_birthdate_is_complete_partial_or_absent(text: str, complete: str, partial: str) -> None:
    record = born(text)
    assert (record.birthdate, record.partial_birthdate) == (complete, partial)


def test_address_is_divided_into_numbers_and_words() -> None:
    record = at("012, Königstraße\n8000 Zürich")
    assert record.numbers == {"12", "8000"}
    assert record.words == {"konigstrasse", "zurich"}


def test_identifiers_are_configured_fields_in_any_notation() -> None:
    names = ("employee_no", "email", "phone")
    fields = {"employee_no": strict_json.parse(b"[12, true, null]"), "email": "Anna <A@B.example>", "other": "x"}
    same = {"employee_no": "12", "email": "a@b.example"}
    assert prepare(fields, identifiers=names).identifiers == prepare(same, identifiers=names).identifiers
    assert [name for name, _ in prepare(fields, identifiers=names).identifiers] == ["employee_no", "email"]


def test_values_of_unexpected_types_are_ignored() -> None:
    fields: dict[str, Any] = {"person_name": 7, "person_birthdate": None, "person_address": ["x"]}
    assert prepare(fields) == MatchRecord()


def test_hidden_fields_are_absent() -> None:
    fields = {"person_name": "Anna", "person_birthdate": "1990-02-11", "email": "a@b"}
    record = prepare(fields, identifiers=("email",), hidden=frozenset(("person_birthdate", "*")))
    assert record == prepare({"person_name": "Anna"})


def test_principal_without_names_and_birthdates_may_not_match() -> None:
    hidden = frozenset(("person_name", "person_surname", "person_birthdate"))
    with pytest.raises(FieldAccessDenied):
        prepare({"person_address": "12 Elm Row"}, hidden=hidden)
    assert prepare({}, hidden=hidden - {"person_surname"}) == MatchRecord()


@pytest.mark.parametrize(
    ("a", "b", "agreement"),
    [
        ("Anna", "ÀNNA", "exact"),
        ("Anna Maria", "Anna", "exact"),
        ("Anna-Maria", "Annamaria", "exact"),
        ("Anna M.", "Anna Maria", "exact"),
        ("José Luis", "José Antonio", "second"),
        ("William", "Bill", "nickname"),
        ("Marina", "Martina", "near"),
        ("Hans Peter", "Peter", "part"),
        ("J.", "Jonathan", "initial"),
        ("M.", "M.", "initial"),
        ("丽", "丽", "exact"),
        ("Anna", "Peter", "differs"),
        ("Anna", None, None),
    ],
)
def test_first_names_agree_in_one_of_eight_ways(a: str, b: str | None, agreement: str | None) -> None:
    assert field_comparison.names(named(a), named(b)) == agreement
    assert field_comparison.names(named(b), named(a)) == agreement


def test_junior_and_senior_are_different_people() -> None:
    assert field_comparison.names(named("John", "Smith Jr."), named("John", "Smith Sr.")) == "differs"


@pytest.mark.parametrize(
    ("a", "b", "agreement"),
    [
        ("García-López", "Garcia Lopez", "exact"),
        ("García-López", "López", "part"),
        ("van der Berg", "van der Meer", "differs"),
        ("Schmidt", "Schmitt", "near"),
        ("Roth", "Müller", "differs"),
        (None, "Roth", None),
    ],
)
def test_surnames_agree_in_one_of_four_ways(a: str | None, b: str | None, agreement: str | None) -> None:
    assert field_comparison.surnames(named(None, a), named(None, b)) == agreement


@pytest.mark.parametrize(
    ("a", "b", "agreement"),
    [
        ("1980-04-03", "1980-04-03", "exact"),
        ("1980-04-03", "1980-03-04", "swapped"),
        ("1980-04-03", "1980-04-08", "near"),
        ("1980-04-03", "1981-04-03", "near"),
        ("1980-04-03", "2980-04-03", "near"),
        ("1980-04-03", "1950-04-03", "day"),
        ("1980-04-03", "1980-11-25", "year"),
        ("1980-04-03", "1951-11-25", "differs"),
        ("1980-04-03", "1980", "partial"),
        ("1980-04-03", "1980-05", "differs"),
        ("1980-04-03", "--04-03", "partial"),
        ("--04-03", "--04-04", "differs"),
        ("1980", "--04-04", None),
        ("1980-04", "--04-04", None),
        ("", "1980", None),
    ],
)
def test_birthdates_agree_in_one_of_seven_ways(a: str, b: str, agreement: str | None) -> None:
    assert field_comparison.birthdates(born(a), born(b)) == agreement
    assert field_comparison.birthdates(born(b), born(a)) == agreement


@pytest.mark.parametrize(
    ("a", "b", "agreement"),
    [
        ("12 Elm Row, 8000 Zurich", "Elm Row 12, Zürich 8000", "same"),
        ("12 Elm Row, 8000 Zurich", "13 Elm Row, 8000 Zurich", "most"),
        ("12 Elm Row", "Elm Row", "part"),
        ("12 Elm Row, 8000 Zurich", "7 Main Street, 4000 Basel", "differs"),
        ("12 Elm Row", "", None),
    ],
)
def test_addresses_agree_in_one_of_four_ways(a: str, b: str, agreement: str | None) -> None:
    assert field_comparison.addresses(at(a), at(b)) == agreement


def test_common_words_of_addresses_are_no_evidence() -> None:
    a, b = at("12 Elm Row, 8000 Zurich"), at("7 Main Street, 8000 Zurich")
    assert field_comparison.addresses(a, b) == "part"
    assert field_comparison.addresses(a, b, frozenset(("8000", "zurich"))) == "differs"


@pytest.mark.parametrize(
    ("a", "b", "agreement"), [("123456", "123456", "same"), ("123456", "123465", "near"), ("12345", "12354", "differs")]
)
def test_identifiers_agree_in_one_of_three_ways(a: str, b: str, agreement: str) -> None:
    assert field_comparison.identifiers(a, b) == agreement


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        ("", "", 0),
        ("roth", "rothe", 1),
        ("martha", "marhta", 1),
        ("ab", "", 2),
        ("kitten", "sitting", 3),
        ("abcd", "x", 3),
    ],
)
def test_edit_distance_counts_up_to_two_edits(a: str, b: str, distance: int) -> None:
    assert edit_distance(a, b) == edit_distance(b, a) == distance


def test_edit_distance_of_random_words_is_that_of_the_complete_table() -> None:
    chance = random.Random(3)
    for _ in range(3_000):
        a, b = ("".join(chance.choices("abc", k=chance.randrange(8))) for _ in range(2))
        assert edit_distance(a, b) == min(3, complete_distance(a, b)), (a, b)


def complete_distance(a: str, b: str) -> int:
    """Return the optimal string alignment distance from the complete table."""
    table = [[max(i, j) if not i * j else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i, j in itertools.product(range(1, len(a) + 1), range(1, len(b) + 1)):
        best = min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (a[i - 1] != b[j - 1]))
        if i > 1 and j > 1 and (a[i - 1], a[i - 2]) == (b[j - 2], b[j - 1]):
            best = min(best, table[i - 2][j - 2] + 1)
        table[i][j] = best
    return table[-1][-1]


@pytest.mark.parametrize(("a", "b", "value"), [("martha", "marhta", 0.961), ("dwayne", "duane", 0.84), ("ab", "cd", 0)])
def test_jaro_winkler_has_the_published_values(a: str, b: str, value: float) -> None:
    assert jaro_winkler(a, b) == pytest.approx(value, abs=0.001)


@pytest.mark.parametrize(("a", "b"), [("Al", "Bo"), ("roth", "müller"), ("ann", "ben")])
def test_short_and_different_names_are_not_near(a: str, b: str) -> None:
    assert not are_near(a, b)
