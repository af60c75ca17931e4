"""Scores and grades: frequencies, relatives, hidden fields, and twins and families that are never certain."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.matching.frequencies import Counts, Frequencies, count_keys, country_shares, is_common
from peopleinfo.matching.match_record import prepare
from peopleinfo.matching.merge_rules import Merge
from peopleinfo.matching.reviewer_decisions import are_different
from peopleinfo.matching.scoring import GRADES, Assessment, Score, are_relatives, best_score, score
from peopleinfo.matching.weights import ADDRESS, BECAUSE, BECAUSE_IDENTIFIER, BIRTHDATE, IDENTIFIER, NAME, SURNAME
from tests.merge_graph import Merges
from tests.merge_sequences import decide
from tests.unit.test_match_keys import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable

MARINA = {
    "person_name": "Marina",
    "person_surname": "Rossi",
    "person_birthdate": "1990-02-11",
    "person_address": "12 Elm Row, 8000 Zurich",
    "email": "marina.rossi@example.com",
}
PEOPLE = (10, 1_000, 100_000, 10_000_000)
RELATIVES = (0.01, 0.1, 0.5, 1.5, 4.0)
IDENTIFIERS = ("email",)


def compare(p: dict[str, Any], q: dict[str, Any], counts: Counts | None = None, hidden: Iterable[str] = ()) -> Score:
    names = frozenset(hidden)
    first, second = (prepare(each, identifiers=IDENTIFIERS, hidden=names) for each in (p, q))
    return score(first, second, Frequencies(counts or Counts(10_000, 10_000, 10_000, 10_000), hidden=names))


def changed(**changes: str | None) -> dict[str, Any]:
    return {field: value for field, value in (MARINA | changes).items() if value is not None}


def grades_everywhere(p: dict[str, Any], q: dict[str, Any]) -> set[str | None]:
    """Return the grades of a pair in small and large stores, with few and with many relatives."""
    found = [compare(a, b, Counts(people, people, people, people)) for people in PEOPLE for a, b in ((p, q), (q, p))]
    return {one.assess(people, relatives).grade for one in found for people in PEOPLE for relatives in RELATIVES}


def test_grade_follows_the_fixed_formula() -> None:
    found = compare(MARINA, changed(person_address="7 Main Street"))
    expected = 1 / (1 + 10_000 * 2**-found.bits + 1.5 * 2**-found.against_relatives)
    assert found.assess(10_000, 1.5).probability == pytest.approx(expected)


@pytest.mark.parametrize(
    ("probability", "grade"), [(0.9991, "certain"), (0.998, "probable"), (0.89, "possible"), (0.49, None)]
)
def test_grades_are_those_of_fhir(probability: float, grade: str | None) -> None:
    people = 1_000_000
    evidence = compare(MARINA, MARINA).evidence[:1]
    bits = log2(people * probability / (1 - probability))
    [item] = evidence
    exact = Score((type(item)(item.field, item.agreement, bits, 1_000, ""),), reliable=True)
    assert exact.assess(people, 0).grade == grade
    assert [name for name, _ in GRADES] == ["certain", "probable", "possible"]


def test_equal_records_are_certain() -> None:
    assert compare(MARINA, MARINA).assess(1_000_000, 1.5).grade == "certain"


@pytest.mark.parametrize(
    "twin",
    [
        changed(person_name="Martina", email=None),
        changed(person_name="Mario", email=None),
        changed(person_name="M.", email=None),
        changed(person_name=None, email=None),
        changed(person_name="Paolo", email=None),
        changed(person_name="Paolo"),  # the family shares an address for mail
        changed(person_name="Rossi", person_surname="Martina", email=None),
    ],
)
def test_twins_and_spouses_are_never_certain(twin: dict[str, Any]) -> None:
    assert "certain" not in grades_everywhere(MARINA, twin)
    assert "certain" not in grades_everywhere(changed(email=None), twin)


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("Anna", "Hannah"),
        ("José Luis", "José Antonio"),
        ("Maria Elena", "Maria Luisa"),
        ("René", "Renée"),
        ("Ellie", "Danielle"),
        ("M.", "M."),
    ],
)
def test_twins_with_related_names_are_never_certain(name: str, twin: str) -> None:
    assert "certain" not in grades_everywhere(
        changed(person_name=name, email=None), changed(person_name=twin, email=None)
    )


@pytest.mark.parametrize(
    ("father", "son"),
    [
        (changed(email=None, person_birthdate=None), changed(email=None, person_birthdate=None)),
        (changed(email=None, person_birthdate="1960-02-11"), changed(email=None)),
        (changed(email=None, person_birthdate="1961-11-25"), changed(email=None)),
        (changed(email=None, person_birthdate="1960-02-11"), changed(person_birthdate="1990-02-11")),
        (changed(email=None, person_birthdate=None), changed(email=None)),
        (changed(email=None, person_birthdate="1960"), changed(email=None, person_birthdate="1960")),
        (changed(email=None, person_name="Marina Jr."), changed(email=None)),
        (changed(email=None, person_surname="Rossi Jr."), changed(email=None, person_surname="Rossi Sr.")),
    ],
)
def test_parent_and_child_of_one_name_are_never_certain(father: dict[str, Any], son: dict[str, Any]) -> None:
    assert "certain" not in grades_everywhere(father, son)


@pytest.mark.parametrize("birthdate", ["1960-02-11", "1961-11-25", "1990", "--02-11", None])
def test_parent_and_child_of_one_name_with_one_identifier_are_never_certain(birthdate: str | None) -> None:
    assert "certain" not in grades_everywhere(changed(person_birthdate=birthdate), MARINA)


@pytest.mark.parametrize("names", [("Marina", "Martina"), ("Liam", "William"), ("M.", "Marina"), (None, None)])
def test_twins_with_one_identifier_are_never_certain(names: tuple[str | None, str | None]) -> None:
    first, second = (changed(person_name=name) for name in names)
    assert "certain" not in grades_everywhere(first, second)


def test_identifier_is_evidence_for_a_misspelt_name() -> None:
    without = compare(MARINA, changed(person_name="Martina", email=None)).assess(10_000, 1.5)
    assert compare(MARINA, changed(person_name="Martina")).assess(10_000, 1.5).probability > without.probability


def test_telephone_is_no_evidence_against_relatives() -> None:
    ids = ("email", "phone")
    first, second = (
        prepare(MARINA | {"phone": "+1 212 555 0100", "person_name": name}, identifiers=ids) for name in ("Ada", "Rose")
    )
    [mail, phone] = score(first, second, Frequencies(Counts(1_000, 1_000, 1_000, 1_000))).evidence[-2:]
    assert mail.bits == phone.bits
    assert 0 < phone.against_relatives < 1 < mail.against_relatives


def test_strangers_with_a_similar_identifier_are_never_certain() -> None:
    stranger = changed(person_surname="Keller", person_address="7 Main Street", email="marina.rosi@example.com")
    assert "certain" not in grades_everywhere(MARINA, stranger)


def test_one_equal_value_of_an_identifier_suffices() -> None:
    several = MARINA | {"email": ["other@example.com", MARINA["email"]]}
    [item] = [each for each in compare(several, MARINA).evidence if each.is_identifier]
    assert item.agreement == "same"


def test_swapped_names_are_certain_if_both_are_equal() -> None:
    swapped = changed(person_name="Rossi", person_surname="Marina", email=None)
    assert compare(MARINA, swapped).assess(1_000, 0.5).grade == "certain"


def test_misspelt_surname_of_swapped_names_is_certain_if_counts_show_the_order() -> None:
    swapped = changed(person_name="Rosi", person_surname="Marina", email=None)
    known = {("name", "marina"): 90, ("surname", "rossi"): 90}
    assert compare(MARINA, swapped, Counts(9_000, 9_000, 9_000, 9_000, values=known)).reliable  # type: ignore[arg-type]
    assert not compare(MARINA, swapped).reliable


def test_equal_surname_of_two_swapped_twins_is_no_equal_first_name() -> None:
    first, second = changed(person_name="Rossi", email=None), changed(person_name="Rossi", email=None)
    first["person_surname"], second["person_surname"] = "Marina", "Paolo"
    assert "certain" not in grades_everywhere(first, second)


def test_changed_surname_is_certain_if_counts_show_the_first_name() -> None:
    married = changed(person_surname="Bianchi", email=None)
    known = {("name", "marina"): 90, ("surname", "rossi"): 90}
    assert compare(MARINA, married, Counts(9_000, 9_000, 9_000, 9_000, values=known)).reliable  # type: ignore[arg-type]
    assert not compare(MARINA, married).reliable


def test_rare_name_is_more_evidence_than_a_common_one() -> None:
    values = {("surname", "rossi"): 500}
    common = Counts(10_000, 10_000, 10_000, 10_000, values=values)  # type: ignore[arg-type]
    assert compare(MARINA, MARINA, common).bits < compare(MARINA, MARINA).bits


def test_shared_placeholder_birthdate_is_no_evidence() -> None:
    values = {("birthdate", "19900211"): 5_000}
    placeholder = Counts(10_000, 10_000, 10_000, 10_000, values=values)  # type: ignore[arg-type]
    [item] = [each for each in compare(MARINA, MARINA, placeholder).evidence if each.field == "person_birthdate"]
    assert (item.bits, item.against_relatives) == (1.0, 0.0)


def test_value_is_common_above_one_percent_and_twenty_people() -> None:
    assert [is_common(*each) for each in ((21, 100), (20, 100), (101, 10_000), (100, 10_000))] == [
        True,
        False,
        True,
        False,
    ]


def test_relatives_are_shrunk_to_one_and_a_half_while_the_store_is_small() -> None:
    known = [Frequencies(Counts(n, n, n, n, relatives=r)).relatives for n, r in ((0, 0), (100, 50), (10**6, 10_000))]
    assert known == pytest.approx([1.5, 1.454, 0.0215], abs=0.001)


def test_shares_of_a_country_count_while_the_store_is_small() -> None:
    country = country_shares([("surname", "rossi", 300), ("surname", "bianchi", 100)])
    assert country == {("surname", "rossi"): 0.75, ("surname", "bianchi"): 0.25}
    empty, full = Counts(0, 0, 0, 0), Counts(10**7, 10**7, 10**7, 10**7, values={("surname", "rossi"): 100_000})
    shares = [Frequencies(each, country, country_weight=10_000).surname("rossi") for each in (empty, full)]
    assert shares == pytest.approx([0.746, 0.0107], abs=0.001)


@given(st.sampled_from(("1990-02-11", "1990-11-02", "1950-02-11", "1980-12-24", "", "1990")), st.booleans())
def test_hidden_birthdate_changes_no_grade_and_no_evidence(birthdate: str, placeholder: bool) -> None:
    values = {("birthdate", "19900211"): 5_000} if placeholder else {}
    counts = Counts(10_000, 10_000, 10_000, 10_000, values=values)  # type: ignore[arg-type]
    found = compare(MARINA, changed(person_birthdate=birthdate), counts, hidden=("person_birthdate",))
    assert found == compare(MARINA, MARINA, counts, hidden=("person_birthdate",))
    assert all(item.field != "person_birthdate" for item in found.evidence)


@pytest.mark.parametrize("field", ["person_name", "person_surname", "person_address"])
def test_hidden_field_of_families_hides_the_number_of_relatives(field: str) -> None:
    counts = Counts(10**6, 10**6, 10**6, 10**6, relatives=10_000)
    assert Frequencies(counts, hidden=frozenset((field,))).relatives == 1.5
    assert Frequencies(counts, hidden=frozenset(("person_birthdate",))).relatives < 0.1


TEXTS = st.one_of(st.none(), st.text(max_size=20), st.sampled_from(("Marina", "Rossi", "Mr. X", "12 Elm Row")))
PEOPLE_FIELDS = st.fixed_dictionaries(
    {
        "person_name": TEXTS,
        "person_surname": TEXTS,
        "person_birthdate": st.sampled_from((None, "1990-02-11", "1990", "--02-11", "1951-11-25")),
        "person_address": TEXTS,
        "email": TEXTS,
    }
)


@given(PEOPLE_FIELDS, PEOPLE_FIELDS)
def test_evidence_has_words_of_a_fixed_list_and_no_values(p: dict[str, Any], q: dict[str, Any]) -> None:
    agreements = NAME.keys() | SURNAME.keys() | BIRTHDATE.keys() | ADDRESS.keys() | IDENTIFIER.keys()
    for item in compare(p, q).evidence:
        assert item.field in ("person_name", "person_surname", "person_birthdate", "person_address", "email")
        assert item.agreement in agreements | {"swapped", "half_swapped"}
        assert item.because in {*BECAUSE.values(), *BECAUSE_IDENTIFIER.values()}


@given(PEOPLE_FIELDS, PEOPLE_FIELDS)
def test_score_is_the_same_in_both_directions(p: dict[str, Any], q: dict[str, Any]) -> None:
    first, second = prepare(p, identifiers=IDENTIFIERS), prepare(q, identifiers=IDENTIFIERS)
    known = dict.fromkeys(count_keys(first) | count_keys(second), 7)
    frequencies = Frequencies(Counts(1_000, 1_000, 1_000, 1_000, values=known))
    a, b = score(first, second, frequencies), score(second, first, frequencies)
    assert (a.bits, a.against_relatives, a.reliable) == pytest.approx((b.bits, b.against_relatives, b.reliable))


def test_relatives_have_different_first_names_and_one_surname_and_address() -> None:
    assert are_relatives(compare(MARINA, changed(person_name="Paolo")).evidence)
    assert not are_relatives(compare(MARINA, changed(person_name="Martina")).evidence)
    assert not are_relatives(compare(MARINA, changed(person_name="Paolo", person_address="7 Main Street")).evidence)


def test_probability_of_relatives_is_reported() -> None:
    found = compare(MARINA, changed(person_name="Martina", email=None)).assess(10_000, 1.5)
    assert isinstance(found, Assessment)
    assert 0.001 < found.relatives < 0.1
    assert found.probability + found.relatives < 1


def test_different_pair_stays_different_through_merges_in_both_directions() -> None:
    decision = decide("b", "a", "different")
    merges = Merges([Merge("m", "s", ("a",))])
    assert (decision.first, decision.second) == ("a", "b")
    for one, other in (("a", "b"), ("b", "a"), ("s", "b"), ("b", "s")):
        assert are_different(merges.group(one), merges.group(other), [decision], ())
    assert not are_different({"s"}, {"b"}, [decision], ())
    assert not are_different({"a"}, {"b"}, [decide("a", "b", "later")], ())


def test_different_pair_returns_to_review_on_new_identifier_evidence_only() -> None:
    old, new = compare(MARINA, changed(email=None)).evidence, compare(MARINA, MARINA).evidence
    assert are_different({"a"}, {"b"}, [decide("a", "b", "different", old)], old)
    assert not are_different({"a"}, {"b"}, [decide("a", "b", "different", old)], new)
    assert are_different({"a"}, {"b"}, [decide("a", "b", "different", new)], new)


@given(FIELDS, FIELDS, st.sampled_from([frozenset[str](), frozenset(("12", "8000", "zurich", "elm"))]))
def test_no_score_exceeds_the_best_score(p: dict[str, Any], q: dict[str, Any], common: frozenset[str]) -> None:
    first, second = prepare(p), prepare(q)
    frequencies = Frequencies(Counts(1_000, 1_000, 1_000, 1_000, common_words=common))
    found, best = score(first, second, frequencies), best_score(first, second, frequencies)
    assert found.bits <= best.bits + 1e-9
    assert found.against_relatives <= best.against_relatives + 1e-9
