"""Pairs of a block: which people with one key are worth comparing, before any record is fetched."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.matching.blocking_keys import DAY, MAX_BLOCK, NAME, SURNAME, YEAR, Hasher, Lookup, narrowed
from peopleinfo.matching.candidate_selection import Hit, is_candidate
from peopleinfo.matching.field_comparison import swap_day_and_month
from peopleinfo.matching.match_record import MatchRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from peopleinfo.matching.blocking_keys import KeyKind
    from peopleinfo.matching.match_index import FoundEntry

_NEIGHBORS: Final = 4  # compared with each person at an address, to count relatives
_ADDRESSES: Final = ("surname_address", "name_address")

Pair = tuple["FoundEntry", "FoundEntry"]


class Birthdate(NamedTuple):
    """A birthdate as YYYYMMDD, and the key of the one with day and month swapped; None if that is no other day."""

    value: str
    swapped: bytes | None


class BirthdateKeys:
    """Recognizes the keys of birthdates: a key is a hash, but the sub of its entries has hashes of the year and of the day."""

    def __init__(self, hasher: Hasher) -> None:
        self._hasher = hasher
        self._years: dict[bytes, list[str]] = defaultdict(list)
        self._days: dict[bytes, list[str]] = defaultdict(list)
        for year in range(1, 10_000):
            self._years[self._sub(f"{year:04}0101")[YEAR]].append(f"{year:04}")
        for day in (f"{month:02}{day:02}" for month in range(1, 13) for day in range(1, 32)):
            self._days[self._sub(f"2000{day}")[DAY]].append(day)

    def of(self, key: bytes, sub: bytes) -> Birthdate | None:
        """Return the birthdate of a key from the sub of one of its entries; None for a key of another kind."""
        for year in self._years.get(sub[YEAR], ()):
            for day in self._days.get(sub[DAY], ()):
                if self._hasher.key("birthdate", year + day) == key:
                    return Birthdate(year + day, self._swapped(year + day))
        return None

    def _swapped(self, birthdate: str) -> bytes | None:
        other = swap_day_and_month(birthdate)
        return self._hasher.key("birthdate", other) if other != birthdate and other[4:6] <= "12" else None

    def _sub(self, birthdate: str) -> bytes:
        return self._hasher.sub(MatchRecord(birthdate=birthdate))


def compared_pairs(block: Lookup, entries: Sequence[FoundEntry]) -> Iterator[Pair]:
    """Yield the pairs of a block that are worth comparing. A block with more than `MAX_BLOCK` entries is narrowed as by a look-up."""
    if sum(entry.sub.startswith(block.prefix) for entry in entries) <= MAX_BLOCK:
        yield from _pairs(block.kind, entries)
        return
    groups: dict[Lookup, list[FoundEntry]] = defaultdict(list)
    for entry in entries:
        for narrower in narrowed(block, entry.sub):
            groups[narrower].append(entry)
    for narrower, group in groups.items():
        yield from compared_pairs(narrower, group)


def selects(kind: KeyKind, sub: bytes, other: bytes) -> bool:
    """Return whether one of two people is a candidate of the other because of a key of this kind."""
    kinds = frozenset((kind,))
    return is_candidate(sub, Hit(kinds, other)) or is_candidate(other, Hit(kinds, sub))


def _pairs(kind: KeyKind, entries: Sequence[FoundEntry]) -> Iterator[Pair]:
    entries = sorted(entries)
    partners: dict[bytes, list[int]] = defaultdict(list)
    for number, entry in enumerate(entries):
        tokens = _tokens(kind, entry.sub)
        others = range(number) if b"" in tokens else {other for token in tokens | {b""} for other in partners[token]}
        chosen = {other for other in others if selects(kind, entry.sub, entries[other].sub)}
        neighbors = range(max(0, number - _NEIGHBORS), number) if kind in _ADDRESSES else ()
        chosen.update(other for other in neighbors if _share_surname(entry, entries[other]))
        for token in tokens:
            partners[token].append(number)
        yield from ((entries[other], entry) for other in sorted(chosen))


def _tokens(kind: KeyKind, sub: bytes) -> set[bytes]:
    """Return texts of which two people share one if they are worth comparing; the empty one if a person has to be compared with all."""
    name, surname = sub[NAME.start : NAME.start + 1], sub[SURNAME.start : SURNAME.start + 1]
    dates = {b"year" + sub[YEAR], b"day" + sub[DAY]}
    if kind == "birthdate" and any(sub[NAME]):
        return {name, surname} - {b"\0"}
    if kind == "names" and any(sub[YEAR]):
        return dates
    if kind in _ADDRESSES and any(sub[YEAR]) and any(sub[NAME]) and name != surname:
        return dates | {min(name, surname) + max(name, surname)}
    return {b""}


def _share_surname(entry: FoundEntry, other: FoundEntry) -> bool:
    return entry.sub[SURNAME] == other.sub[SURNAME] and any(entry.sub[SURNAME])
