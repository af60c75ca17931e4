"""Selection: the people that are worth fetching, among those that the look-ups found.

A record must be decrypted before it can be compared. The `sub` of an entry excludes most relatives and strangers before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from peopleinfo.matching.keys import DAY, NAME, SURNAME, YEAR

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from peopleinfo.matching.keys import KeyKind

T = TypeVar("T")

MIN_FETCHED: Final = 2  # people fetched even if their sub excludes them: the most similar ones


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
    visible = {person: hit for person, hit in found.items() if _is_visible(own, hit)}
    ranked = sorted(visible, key=lambda person: -_similarity(own, visible[person]))
    return [person for rank, person in enumerate(ranked) if rank < min_fetched or _is_candidate(own, visible[person])]


def _is_visible(own: bytes, hit: Hit) -> bool:
    """Return whether a hit shows an equal field that the record has.

    A name and a surname at one address share a key. Without one of them, the key must have met the same field of the other record.
    """
    if hit.kinds - {"surname_address", "name_address"} or (any(own[NAME]) and any(own[SURNAME])):
        return True
    field = NAME if "name_address" in hit.kinds else SURNAME
    return own[field.start] == hit.sub[field.start]


def _is_candidate(own: bytes, hit: Hit) -> bool:
    """Return whether a person can reach the grade possible: two keys are equal, or one and enough of the sub.

    A birthdate also needs the sound of a name; both names need the year or the day; a name at an address needs the year, the day or both names. An
    absent field excludes no person.
    """
    if len(hit.kinds) > 1 or "identifier" in hit.kinds:
        return True
    if "birthdate" in hit.kinds:
        return not any(own[NAME]) or not any(hit.sub[NAME]) or _shared_names(own, hit.sub) > 0
    undated = not any(own[YEAR]) or not any(hit.sub[YEAR])
    if undated or _shared_dates(own, hit.sub):
        return True
    return "names" not in hit.kinds and (not any(own[NAME]) or _shared_names(own, hit.sub) > 1)


def _similarity(own: bytes, hit: Hit) -> int:
    whole = sum(any(own[field]) and own[field] == hit.sub[field] for field in (NAME, SURNAME))
    return 2 * len(hit.kinds) + 2 * _shared_names(own, hit.sub) + 2 * whole + 3 * _shared_dates(own, hit.sub)


def _shared_names(own: bytes, sub: bytes) -> int:
    """Return how many names of a record, 0 to 2, sound like a name of the other record; the names may be swapped if the record has both."""
    ours = own[NAME.start], own[SURNAME.start]
    theirs = sub[NAME.start], sub[SURNAME.start]
    if all(ours):
        return sum(name in theirs for name in ours)
    return sum(name != 0 and name == other for name, other in zip(ours, theirs, strict=True))


def _shared_dates(own: bytes, sub: bytes) -> int:
    return sum(any(own[field]) and own[field] == sub[field] for field in (YEAR, DAY))
