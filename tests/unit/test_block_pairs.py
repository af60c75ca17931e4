"""The pairs of a block: those that a look-up of each person would fetch, without a look-up for each person."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.matching.block_pairs import BirthdateKeys, compared_pairs
from peopleinfo.matching.blocking_keys import MAX_BLOCK, Lookup, key_values
from peopleinfo.matching.candidate_selection import hits, worth_fetching
from peopleinfo.matching.match_index import FoundEntry
from peopleinfo.matching.match_record import prepare
from tests.unit.test_match_keys import FIELDS, HASHER, anna

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.matching.blocking_keys import KeyKind
    from peopleinfo.matching.match_record import MatchRecord

Pairs = set[frozenset[bytes]]
BIRTHDATES = BirthdateKeys(HASHER)


def blocks_of(records: Sequence[MatchRecord]) -> tuple[dict[bytes, list[FoundEntry]], dict[bytes, KeyKind]]:
    """Return the blocks of records and the kinds of their keys; the reference of a record is its number."""
    blocks: dict[bytes, list[FoundEntry]] = defaultdict(list)
    kinds: dict[bytes, KeyKind] = {}
    for number, record in enumerate(records):
        for kind, value in key_values(record):
            key = HASHER.key(kind, value)
            kinds.setdefault(key, kind)
            blocks[key].append(FoundEntry(number.to_bytes(8), HASHER.sub(record)))
    return blocks, kinds


def pairs_of_blocks(records: Sequence[MatchRecord]) -> Pairs:
    blocks, kinds = blocks_of(records)
    pairs: Pairs = set()
    for key, entries in blocks.items():
        born = BIRTHDATES.of(key, entries[0].sub)
        assert (born is not None) == (kinds[key] == "birthdate")
        swapped = blocks.get(born.swapped, []) if born and born.swapped else []
        pairs |= {frozenset((a.ref, b.ref)) for a, b in compared_pairs(Lookup(kinds[key], key), [*entries, *swapped])}
    return pairs


def pairs_of_look_ups(records: Sequence[MatchRecord]) -> Pairs:
    entries = defaultdict(list)
    for number, record in enumerate(records):
        for key, sub in HASHER.entries(record):
            entries[key].append((number.to_bytes(8), sub))
    pairs: Pairs = set()
    for number, record in enumerate(records):
        met = [(ref, lookup.kind, sub) for lookup in HASHER.lookups(record) for ref, sub in entries[lookup.key]]
        found = worth_fetching(HASHER.sub(record), hits(met), min_fetched=0)
        own = number.to_bytes(8)
        pairs |= {frozenset((own, ref)) for ref in found if ref != own}
    return pairs


@given(st.lists(FIELDS, min_size=2, max_size=12))
def test_blocks_have_the_candidates_of_all_look_ups(people: list[dict[str, str | None]]) -> None:
    records = [prepare(fields) for fields in people]
    assert pairs_of_blocks(records) >= pairs_of_look_ups(records)


def test_strangers_with_one_birthdate_are_not_compared() -> None:
    assert (
        pairs_of_blocks([anna(), anna(person_name="Bob", person_surname="Miller", person_address="9 Oak Lane")])
        == set()
    )


def test_relatives_at_an_address_are_compared() -> None:
    family = [anna(person_name=name, person_birthdate=f"19{year}-05-06") for name, year in (("Bob", 50), ("Karl", 61))]
    assert len(pairs_of_blocks(family)) == 1


def test_large_block_is_narrowed_like_a_look_up() -> None:
    strangers = [anna(person_name="Bob", person_surname="Miller", person_address=None)] * MAX_BLOCK
    records = [
        anna(person_address=None),
        anna(person_name="Smyth", person_surname="Anna", person_address=None),
        *strangers,
    ]
    key = HASHER.key("birthdate", "19800403")
    entries = blocks_of(records)[0][key]
    pairs = {frozenset((a.ref, b.ref)) for a, b in compared_pairs(Lookup("birthdate", key), entries)}
    assert frozenset((entries[0].ref, entries[1].ref)) in pairs  # the names are swapped
    assert all(not {entries[0].ref, entries[2].ref} <= pair for pair in pairs)


def test_swapped_birthdate_is_recognized_from_a_hash() -> None:
    key = HASHER.key("birthdate", "19800403")
    born = BIRTHDATES.of(key, HASHER.sub(anna(person_birthdate="1980-04-03")))
    assert born is not None
    assert (born.value, born.swapped) == ("19800403", HASHER.key("birthdate", "19800304"))
    assert BIRTHDATES.of(HASHER.key("names", "x"), HASHER.sub(anna())) is None
