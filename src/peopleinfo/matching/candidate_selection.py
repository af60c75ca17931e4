"""Selection: the people that are worth fetching, among those that the look-ups found.

A record must be decrypted before it can be compared. The `sub` of an entry excludes most relatives and strangers before that.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from peopleinfo.matching.blocking_keys import DAY, NAME, SURNAME, YEAR

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from peopleinfo.matching.blocking_keys import KeyKind

T = TypeVar("T")

MIN_FETCHED: Final = 2  # people fetched even if their sub excludes them: the most similar ones
_ABSENT: Final = b"\0\0"  # a field in a sub
_by_similarity = itemgetter(0)


class Hit(NamedTuple):
    """A person that look-ups found: the kinds of key that it shares with the record, and the sub of its entries."""

    kinds: frozenset[KeyKind]
    sub: bytes


def hits(found: Iterable[tuple[T, KeyKind, bytes]]) -> dict[T, Hit]:
    """Group the entries that the look-ups found by person: its position, the kind of key, and the sub of the entry."""
    grouped: dict[T, Hit] = {}
    for person, kind, sub in found:
        known = grouped.get(person)
        grouped[person] = Hit(known.kinds | {kind} if known else frozenset((kind,)), sub)
    return grouped


def worth_fetching(own: bytes, found: Mapping[T, Hit], min_fetched: int = MIN_FETCHED) -> list[T]:
    """Return the people to fetch for a record with this sub, the most similar ones first, and at least `min_fetched` if so many were found.

    Fields that are hidden from the principal are zeros in `own`, and those of the other records have no effect.
    """
    traits = _traits(own)
    has_names = traits.name is not None and traits.surname is not None
    ranked: list[tuple[int, T, bool]] = []
    for person, hit in found.items():
        if has_names or _is_visible(own, hit):
            shared, whole, dates = _agreements(traits, hit.sub)
            similarity = 2 * len(hit.kinds) + 2 * shared + 2 * whole + 3 * dates
            ranked.append((-similarity, person, _is_candidate(own, hit, shared, dates)))
    ranked.sort(key=_by_similarity)
    return [person for rank, (_, person, selected) in enumerate(ranked) if rank < min_fetched or selected]


def is_candidate(own: bytes, hit: Hit) -> bool:
    """Return whether a person is a candidate of a record with this sub."""
    shared, _, dates = _agreements(_traits(own), hit.sub)
    return _is_visible(own, hit) and _is_candidate(own, hit, shared, dates)


def _is_visible(own: bytes, hit: Hit) -> bool:
    """Return whether a hit shows an equal field that the record has.

    A name and a surname at one address share a key. Without one of them, the key must have met the same field of the other record.
    """
    if hit.kinds - {"surname_address", "name_address"} or (any(own[NAME]) and any(own[SURNAME])):
        return True
    field = NAME if "name_address" in hit.kinds else SURNAME
    return own[field.start] == hit.sub[field.start]


def _is_candidate(own: bytes, hit: Hit, shared_names: int, shared_dates: int) -> bool:
    """Return whether a person can reach the grade possible: two keys are equal, or one and enough of the sub.

    A birthdate also needs the sound of a name; both names need the year or the day; a name at an address needs the year, the day or both names. An
    absent field excludes no person.
    """
    if len(hit.kinds) > 1 or "identifier" in hit.kinds:
        return True
    if "birthdate" in hit.kinds:
        return shared_names > 0 or own[NAME] == _ABSENT or hit.sub[NAME] == _ABSENT
    if shared_dates or own[YEAR] == _ABSENT or hit.sub[YEAR] == _ABSENT:
        return True
    return "names" not in hit.kinds and (shared_names > 1 or own[NAME] == _ABSENT)


class _Traits(NamedTuple):
    """The parts of a sub: the rough sound and the whole sounds of each name, the year and the day; None where a field is absent."""

    name: int | None
    surname: int | None
    whole_name: bytes | None
    whole_surname: bytes | None
    year: bytes | None
    day: bytes | None


def _traits(own: bytes) -> _Traits:
    name, surname, year, day = (own[field] if any(own[field]) else None for field in (NAME, SURNAME, YEAR, DAY))
    return _Traits(own[NAME.start] or None, own[SURNAME.start] or None, name, surname, year, day)


def _agreements(own: _Traits, sub: bytes) -> tuple[int, int, int]:
    """Return how many names of a record sound like a name of the other record, how many have all sounds, and how many dates are equal.

    The names may be swapped if the record has both.
    """
    name, surname = sub[NAME.start], sub[SURNAME.start]
    if own.name is not None and own.surname is not None:
        shared = (own.name in (name, surname)) + (own.surname in (name, surname))
    else:
        shared = (own.name == name) + (own.surname == surname)
    whole = (own.whole_name == sub[NAME]) + (own.whole_surname == sub[SURNAME])
    return shared, whole, (own.year == sub[YEAR]) + (own.day == sub[DAY])
