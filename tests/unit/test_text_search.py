"""The search for people by the text of a box, on an index in memory."""

from __future__ import annotations

import random

import pytest

from peopleinfo.errors import InvalidSearch
from peopleinfo.people.index_entries import IndexPlan, keys_and_order
from peopleinfo.people.person import PersonData, decode_fields
from peopleinfo.people.search_index import MAX_HITS, MAX_LOOKUPS
from peopleinfo.people.similarity import bucket_keys, deletion_keys
from peopleinfo.people.text_query import MAX_TERMS, parse
from peopleinfo.people.text_ranking import Comparison, rank
from peopleinfo.people.text_search import PeopleSearch, SearchResult
from tests.memory_index import MemoryIndex
from tests.search_cases import CASES, OTHERS, SearchCase, person
from tests.search_languages import LANGUAGES

PLAN = IndexPlan(identifiers=("email", "phone", "employee_no"))
QUERIES = [(case, text) for case, found in CASES.items() for text in found.queries]
TEXTS = list(dict.fromkeys(text for _, text in QUERIES))
CROWD = [data for case in CASES.values() for data in case.people]


def index_of(people: list[PersonData]) -> MemoryIndex:
    index = MemoryIndex(PLAN, bucket_keys)
    index.load(people)
    return index


async def search(index: MemoryIndex, text: str, limit: int = 100, **options: object) -> SearchResult:
    return await PeopleSearch(index).find(parse(text), limit=limit, **options)  # type: ignore[arg-type]


def names(result: SearchResult) -> list[str]:
    return [found.fields.get("person_name", "") for found in result.people]


@pytest.mark.parametrize(("case", "text"), QUERIES)
async def test_query_finds_people(case: str, text: str) -> None:
    found: SearchCase = CASES[case]
    assert names(await search(index_of(found.people + OTHERS), text)) == found.queries[text]


@pytest.mark.parametrize("language", list(LANGUAGES))
async def test_query_finds_people_of_a_language(language: str) -> None:
    case = LANGUAGES[language]
    index = index_of([*case.people, *OTHERS])
    assert {text: sorted(names(await search(index, text))) for text in case.queries} == case.queries


def matching(index: MemoryIndex, comparison: Comparison) -> set[str]:
    matches = [match for body in index.people.values() if (match := comparison.match(decode_fields(body)))]
    return {match.person_id for match in rank(matches)}


@pytest.mark.parametrize("text", TEXTS)
async def test_index_finds_the_same_people_as_a_comparison_with_every_person(text: str) -> None:
    index = index_of(CROWD)
    result = await search(index, text)
    expected = matching(index, Comparison(parse(text), PLAN.identifiers))
    if not expected and (other := parse(text).other_layout):
        expected = matching(index, Comparison(parse(other), PLAN.identifiers, forgiving=False))
    found = {str(found.fields["person_id"]) for found in result.people}
    assert found <= expected
    assert found == expected or len(found) >= 10  # similar words are looked up if few people match exactly


@pytest.mark.parametrize("text", TEXTS)
async def test_query_reads_a_limited_number_of_keys(text: str) -> None:
    index = index_of(CROWD)
    await search(index, text)
    assert index.keys_read <= MAX_LOOKUPS


async def test_result_does_not_depend_on_the_order_of_arrival() -> None:
    crowd = list(CROWD)
    expected = {text: names(await search(index_of(crowd), text)) for text in TEXTS}
    random.Random(1).shuffle(crowd)
    index = index_of(crowd)
    changed = {text: names(await search(index, text)) for text in TEXTS}
    assert {text: sorted(found) for text, found in changed.items()} == {
        text: sorted(found) for text, found in expected.items()
    }


async def test_pages_contain_every_match_once_in_order() -> None:
    index = index_of([person(f"Given{number:02}", "Roth") for number in range(25)])
    whole = names(await search(index, "roth"))
    pages: list[str] = []
    after = None
    while True:
        result = await search(index, "roth", limit=4, after=after)
        assert result.matches == 25
        pages += names(result)
        after = result.next
        if after is None:
            break
    assert pages == whole == sorted(whole)


@pytest.mark.parametrize(
    ("text", "found_by"),
    [("roth", "exact"), ("lopez", "part"), ("rot", "prefix"), ("bob roth", "nickname"), ("marshxall", "typo"), ("+49 30 123456", "identifier"),
     ("skott", "typo"), ("filips", "sound"), ("Mueller", "exact")],
)  # fmt: skip
async def test_found_by_names_the_kind_of_match(text: str, found_by: str) -> None:
    people = [person("Robert", "Roth", phone="030 123456"), person("Eva", "García López"), person("Ed", "Marshall"), person("Al", "Scott"),
              person("Ed", "Phillips"), person("Jo", "Müller")]  # fmt: skip
    assert [found.found_by for found in (await search(index_of(people), text)).people] == [found_by]


async def test_search_without_forgiveness_finds_words_and_prefixes_only() -> None:
    index = index_of([person("Anna", "Müller"), person("Ann", "Muler"), person("Robert", "Smith")])
    assert names(await search(index, "mulle", forgiving=False)) == ["Anna"]
    assert names(await search(index, "bob smith", forgiving=False)) == []
    assert names(await search(index, "mueller", forgiving=False)) == []


async def test_hidden_fields_neither_match_nor_change_the_order() -> None:
    people = [
        person("Anna", "Roth", address="12 Elm Row", born="1984-11-05"),
        person("Bea", "Roth", phone="030 123456"),
    ]
    index = index_of(people)
    for text, hidden in [("elm row", "person_address"), ("1984", "person_birthdate"), ("030 123456", "phone"), ("030 123456", "*"),
                         ("anna", "person_name"), ("anna roth", "person_surname")]:  # fmt: skip
        assert (await search(index, text, hidden=frozenset([hidden]))).people == [], text
    found = await search(index, "roth", hidden=frozenset(["person_name"]))
    assert [person.fields["person_id"] for person in found.people] == sorted(f"{number:032x}" for number in (0, 1))
    assert all("person_name" not in person.fields for person in found.people)


@pytest.mark.parametrize("text", ["", " ", ",", "x " * (MAX_TERMS + 1), "x" * 257, "\ud800"])
def test_invalid_query_is_rejected(text: str) -> None:
    with pytest.raises(InvalidSearch):
        parse(text)


async def test_search_that_stopped_early_reports_it() -> None:
    index = index_of([person(f"Given{number}", "Roth") for number in range(400)])
    result = await search(index, "roth", limit=10)
    assert result.more_exist
    assert len(result.people) == 10


@pytest.mark.parametrize(
    "text",
    [
        "Delligatti 66 Station Avenue",
        "66 Station Ave, Anna Delligatti",
        "delligatti station dover",
        "Delligatti, 66 Station",
    ],
)
async def test_name_and_words_of_an_address_find_a_person_on_a_common_street(text: str) -> None:
    others = [person(f"Given{i}", f"Surname{i}", address=f"{i} Station Avenue, Dover") for i in range(2 * MAX_HITS)]
    index = index_of([*others, person("Anna", "Delligatti", address="66 Station Avenue, Dover")])
    assert names(await search(index, text)) == ["Anna"]
    assert index.keys_read <= MAX_LOOKUPS


async def test_start_of_an_address_is_searched_if_few_people_have_the_name() -> None:
    people = [person(f"Given{i}", "Park") for i in range(3)] + [person("Zoe", "Roth", address="3 Parkside")]
    assert "Zoe" in names(await search(index_of(people), "park"))
    assert "Zoe" in names(await search(index_of(people), "park", forgiving=False))


@pytest.mark.parametrize(
    "text",
    ["April 1984-11-05", "April Roth, 5. listopada 1984", "roth 5 ноябрь 1984", "roth 5 نوفمبر 1984", "marraskuu 1984"],
)
async def test_date_with_a_month_of_any_language_finds_the_birthdate(text: str) -> None:
    index = index_of([person("April", "Roth", born="1984-11-05"), person("April", "Roth", born="1984-04-05")])
    found = (await search(index, text)).people
    assert [person.fields["person_birthdate"] for person in found] == ["1984-11-05"]


@pytest.mark.parametrize(("text", "found"), [("roth 1984-11-05", []), ("roth 19841105", ["Anna"])])
async def test_complete_date_with_separators_is_no_part_of_a_phone_number(text: str, found: list[str]) -> None:
    index = index_of([person("Anna", "Roth", phone="+49 1984 1105 77")])
    assert names(await search(index, text)) == found


def test_plan_without_an_index_has_no_entries_of_it() -> None:
    data = person("Anna", "Roth", born="1984", address="Elm Row", phone="030 123456")
    assert {key[0] for key in keys_and_order(data, PLAN)[0]} == {"n", "b", "a", "i"}
    assert {key[0] for key in keys_and_order(data, IndexPlan(frozenset(["names"])))[0]} == {"n"}
    assert IndexPlan.parse(PLAN.text) == PLAN


@pytest.mark.parametrize("keys", [deletion_keys, bucket_keys])
@pytest.mark.parametrize("word", ["smith", "schneider", "garcia", "roths", "abcdef", "abcdefg"])
def test_words_one_typo_apart_share_a_key(word: str, keys: object) -> None:
    typos = {word[:i] + word[i + 1 :] for i in range(len(word))}
    typos |= {word[:i] + letter + word[i:] for i in range(len(word) + 1) for letter in "xq"}
    typos |= {word[:i] + letter + word[i + 1 :] for i in range(len(word)) for letter in "xq"}
    typos |= {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)}
    assert callable(keys)
    assert [typo for typo in typos if not keys(typo) & keys(word)] == []
