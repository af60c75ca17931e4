"""Match keys: entries, look-ups, narrower look-ups, and the selection of people before they are fetched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.matching.blocking_keys import MAX_BLOCK, SUB_SIZE, Entry, Hasher, Lookup, key_values
from peopleinfo.matching.candidate_selection import MIN_FETCHED, Hit, worth_fetching
from peopleinfo.matching.candidates import rank
from peopleinfo.matching.frequencies import Counts, Frequencies, count_keys
from peopleinfo.matching.match_entries import MatchEntries
from peopleinfo.matching.match_index import BlockPage, FoundEntry, find
from peopleinfo.matching.match_record import MatchRecord, prepare
from peopleinfo.people.index_entries import DEFAULT_PLAN
from peopleinfo.people.person import PersonData

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from peopleinfo.matching.duplicate_links import LinkStore

HASHER = Hasher(b"0" * 32)
ANNA = {
    "person_name": "Anna",
    "person_surname": "Roth",
    "person_birthdate": "1980-04-03",
    "person_address": "12 Elm Row, 8000 Zurich",
}
NAMES = st.sampled_from(("Anna", "Hanna", "Bert", "Roth", "Rothe", "Marina", "Smith", None))
FIELDS = st.fixed_dictionaries(
    {
        "person_name": NAMES,
        "person_surname": NAMES,
        "person_birthdate": st.sampled_from(("1980-04-03", "1980-03-04", "1951-11-25", "1980", None)),
        "person_address": st.sampled_from(("12 Elm Row, 8000 Zurich", "7 Main Street", None)),
    }
)


@dataclass
class MemoryIndex:
    """A match index in memory, which counts its rounds."""

    entries: dict[bytes, list[tuple[bytes, bytes]]] = field(default_factory=dict)
    rounds: int = 0

    def put(self, ref: bytes, entries: Collection[Entry]) -> None:
        for entry in entries:
            self.entries.setdefault(entry.key, []).append((entry.sub, ref))

    @property
    def links(self) -> LinkStore:
        raise NotImplementedError

    async def find(self, lookups: Sequence[Lookup], *, limit: int = MAX_BLOCK + 1) -> list[list[FoundEntry]]:
        self.rounds += 1
        return [self._block(lookup)[:limit] for lookup in lookups]

    async def blocks(self, *, after: bytes | None, limit: int) -> BlockPage:
        raise NotImplementedError

    async def size(self, lookup: Lookup) -> int:
        return len(self._block(lookup))

    async def read_people(self, refs: Sequence[bytes]) -> list[bytes | None]:
        return [None for _ in refs]

    async def is_complete(self) -> bool:
        return True

    async def read_statistics(self) -> bytes | None:
        return None

    async def write_statistics(self, body: bytes) -> None:
        pass

    def _block(self, lookup: Lookup) -> list[FoundEntry]:
        found = sorted(self.entries.get(lookup.key, []))
        return [FoundEntry(ref, sub) for sub, ref in found if sub.startswith(lookup.prefix)]


def anna(**changes: str | None) -> MatchRecord:
    return prepare(ANNA | changes)


def kinds_found(stored: MatchRecord, queried: MatchRecord) -> set[str]:
    keys = {entry.key for entry in HASHER.entries(stored)}
    return {lookup.kind for lookup in HASHER.lookups(queried) if lookup.key in keys}


def test_person_has_four_entries() -> None:
    assert [kind for kind, _ in key_values(anna())] == ["birthdate", "names", "surname_address", "name_address"]
    assert len({entry.key for entry in HASHER.entries(anna())}) == 4


@given(FIELDS)
def test_person_has_at_most_four_entries_and_finds_itself(fields: dict[str, str | None]) -> None:
    record = prepare(fields)
    entries = HASHER.entries(record)
    assert len(entries) <= 4
    assert {entry.key for entry in entries} <= {lookup.key for lookup in HASHER.lookups(record)}


def test_each_identifier_has_an_entry() -> None:
    fields = ANNA | {"email": "A@B.example", "phone": "1"}
    record = prepare(fields, identifiers=("email", "phone"))
    assert len(HASHER.entries(record)) == 6
    other = prepare({"person_name": "Bert", "email": "a@b.example"}, identifiers=("email",))
    assert kinds_found(other, record) == {"identifier"}


TEXTS = st.one_of(
    st.none(), st.text(max_size=70), st.sampled_from(("Ó Murchú, Jr.", "van der Berg", "李小龙", "0", "²3 x 007"))
)
STORED = st.builds(
    PersonData,
    person_name=TEXTS,
    person_surname=TEXTS,
    person_birthdate=st.one_of(TEXTS, st.sampled_from(("1980-04-03", "1980-04", "--04-03", "19800403"))),
    person_address=TEXTS,
    extra=st.fixed_dictionaries({}, optional={"email": st.one_of(TEXTS, st.just("A@b.example")), "phone": TEXTS}),
)


@given(STORED)
def test_entries_are_those_of_a_record_prepared_for_a_comparison(data: PersonData) -> None:
    record = prepare({**data.extra, **data.to_dict()}, identifiers=("email", "phone"))
    assert MatchEntries(b"0" * 32).of(data, DEFAULT_PLAN) == list(dict.fromkeys(HASHER.entries(record)))


def test_stored_keys_of_this_version_do_not_change() -> None:
    data = PersonData(
        person_name="Søren 2nd", person_surname="O’Brien", person_birthdate="1980-04-03", person_address="12 Elm, 08000"
    )
    entries = MatchEntries(b"0" * 32).of(data, DEFAULT_PLAN)
    assert len(entries) == 4
    assert crc32(b"".join(key + sub for key, sub in entries)) == 2_944_598_834


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"person_birthdate": "1980-03-04", "person_name": "Eva", "person_address": None}, {"birthdate"}),
        (
            {"person_name": "Roth", "person_surname": "Anna", "person_birthdate": None, "person_address": None},
            {"names"},
        ),
        ({"person_name": "Eva", "person_birthdate": None}, {"surname_address"}),
        ({"person_surname": "Meier", "person_birthdate": None}, {"name_address"}),
        ({"person_name": "Roth", "person_surname": "Wolf", "person_birthdate": None}, {"surname_address"}),
        ({"person_name": "Ana", "person_surname": "Rott"}, {"birthdate", "names", "surname_address", "name_address"}),
        ({"person_name": "Eva", "person_surname": "Wolf", "person_birthdate": None}, set()),
    ],
)
def test_key_finds_a_person_despite_a_changed_field(changes: dict[str, str | None], kinds: set[str]) -> None:
    assert kinds_found(anna(**changes), anna()) == kinds


def test_keys_and_subs_depend_on_the_secret() -> None:
    other = Hasher(b"1" * 32)
    assert not {entry.key for entry in HASHER.entries(anna())} & {entry.key for entry in other.entries(anna())}
    assert HASHER.sub(anna()) != other.sub(anna())


def test_sub_has_zeros_for_absent_fields_only() -> None:
    assert HASHER.sub(prepare({})) == bytes(SUB_SIZE)
    sub = HASHER.sub(anna(person_surname=None))
    assert [bool(any(sub[start : start + 2])) for start in range(0, SUB_SIZE, 2)] == [True, False, True, True]


def test_lookup_names_the_fields_that_it_uses() -> None:
    fields = {lookup.kind: lookup.fields for lookup in HASHER.lookups(anna())}
    assert fields["birthdate"] == ("person_birthdate",)
    assert fields["name_address"] == ("person_name", "person_address")


def test_hidden_field_is_in_no_lookup() -> None:
    hidden = prepare(ANNA, hidden=frozenset(("person_birthdate",)))
    assert all("person_birthdate" not in lookup.fields for lookup in HASHER.lookups(hidden))
    assert HASHER.sub(hidden)[4:] == bytes(4)


def test_large_block_is_narrowed_step_by_step() -> None:
    record = anna()
    [birthdate] = [lookup for lookup in HASHER.lookups(record) if lookup.kind == "birthdate"][:1]
    lengths = []
    narrower = [birthdate]
    while narrower := HASHER.narrowed(narrower[0], record):
        assert all(lookup.key == birthdate.key for lookup in narrower)
        lengths.append(len(narrower[0].prefix))
    assert lengths == [1, 2, 4]


def test_block_is_not_narrowed_by_an_absent_field() -> None:
    record = anna(person_name=None)
    [birthdate, *_] = HASHER.lookups(record)
    assert HASHER.narrowed(birthdate, record) == []


def fill(index: MemoryIndex, count: int) -> None:
    for number in range(count):
        surname = f"{'bcdfg'[number % 5]}{'lmnr'[number % 4]}{'sptk'[number % 3]}a"
        index.put(
            b"p%d" % number, HASHER.entries(anna(person_name="Bert", person_surname=surname, person_address=None))
        )


async def test_find_narrows_a_large_block_and_reports_the_rest() -> None:
    index = MemoryIndex()
    fill(index, MAX_BLOCK + 50)
    index.put(b"anna", HASHER.entries(anna()))
    [found] = await find(index, HASHER, [anna()])
    assert b"anna" in found.refs
    assert index.rounds == 2
    [rest] = found.not_examined
    assert rest.by == "person_birthdate"
    assert 0 < rest.people <= MAX_BLOCK + 50


async def test_find_reads_a_small_block_in_one_round() -> None:
    index = MemoryIndex()
    fill(index, MAX_BLOCK - 1)
    index.put(b"anna", HASHER.entries(anna()))
    [found] = await find(index, HASHER, [anna()])
    assert found.refs[0] == b"anna"
    assert (index.rounds, found.not_examined) == (1, [])


def hit(kinds: set[str], **changes: str | None) -> Hit:
    return Hit(frozenset(kinds), HASHER.sub(anna(**changes)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "fetched"),
    [
        (hit({"birthdate"}, person_name="Eva", person_surname="Wolf"), False),
        (hit({"birthdate"}, person_name="Roth", person_surname="Wolf"), True),
        (hit({"birthdate"}, person_name=None, person_surname="Wolf"), True),
        (hit({"names"}, person_birthdate="1951-11-25"), False),
        (hit({"names"}, person_birthdate="1951-04-03"), True),
        (hit({"names"}, person_birthdate=None), True),
        (hit({"surname_address"}, person_name="Eva", person_birthdate="1951-11-25"), False),
        (hit({"surname_address"}, person_name="Eva", person_birthdate=None), True),
        (hit({"surname_address", "birthdate"}, person_name="Eva"), True),
        (hit({"identifier"}, person_name="Eva", person_birthdate="1951-11-25"), True),
    ],
)
def test_sub_excludes_relatives_and_strangers(found: Hit, fetched: bool) -> None:
    same = {f"same{number}": hit({"birthdate", "names"}) for number in range(MIN_FETCHED)}
    assert ("other" in worth_fetching(HASHER.sub(anna()), same | {"other": found})) == fetched


def test_most_similar_people_are_fetched_if_none_is_similar_enough() -> None:
    stranger = {"person_name": "Eva", "person_surname": "Wolf"}
    others = {"a": hit({"birthdate"}, **stranger), "b": hit({"names"}, person_birthdate="1951-11-25")}
    assert set(worth_fetching(HASHER.sub(anna()), others)) == {"a", "b"}


@pytest.mark.parametrize("value", ["Anna", "Roth", "Wolf"])
def test_hidden_surname_has_no_effect_on_the_fetched_people(value: str) -> None:
    own = HASHER.sub(prepare(ANNA, hidden=frozenset(("person_surname",))))
    found = {
        "a": hit({"birthdate"}, person_name="Eva", person_surname=value),
        "b": hit({"birthdate"}, person_name="Anna", person_surname=value),
        "c": hit({"birthdate"}, person_name="Anita", person_surname=value),
        "d": hit({"name_address"}, person_name="Eva", person_surname=value),
    }
    assert worth_fetching(own, found) == ["b", "c"]


def test_rank_returns_the_most_certain_people_first() -> None:
    record = anna()
    others = [
        ("twin", anna(person_name="Hanne")),
        ("same", anna()),
        ("moved", anna(person_address="7 Main Street")),
        ("stranger", prepare({"person_name": "Bert", "person_surname": "Wolf", "person_birthdate": "1951-11-25"})),
    ]
    frequencies = Frequencies(Counts(10_000, 10_000, 10_000, 10_000))
    match = rank(record, others, frequencies)
    assert [candidate.person_id for candidate in match.candidates] == ["same", "moved", "twin"]
    assert (match.of_people, match.examined) == (10_000, 4)
    assert [each.person_id for each in rank(record, others, frequencies, only_certain=True).candidates] == [
        "same",
        "moved",
    ]
    assert [each.person_id for each in rank(record, others, frequencies, count=1).candidates] == ["same"]
    assert len(rank(record, others, frequencies, threshold=0.99).candidates) == 2


@given(FIELDS, FIELDS)
def test_counts_of_one_record_suffice_to_compare_it(p: dict[str, str | None], q: dict[str, str | None]) -> None:
    record, other = prepare(p), prepare(q)
    values = dict.fromkeys(count_keys(record), 5)
    complete = values | dict.fromkeys(count_keys(other), 5)
    first, second = (
        rank(record, [("q", other)], Frequencies(Counts(9, 9, 9, 9, values=known)), threshold=0)
        for known in (values, complete)
    )
    assert first == second
