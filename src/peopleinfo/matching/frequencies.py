"""Frequencies: how common a name is, which values carry no evidence, and how many relatives a person has in the store."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from peopleinfo.matching.match_record import MatchRecord

CountedField = Literal["name", "surname", "birthdate"]
CountKey = tuple[CountedField, str]  # a value as `MatchRecord` holds it; a store may keep a keyed hash

_RELATIVES: Final = 1.5  # per person, until the store has counted its own
_RELATIVES_WEIGHT: Final = 1_000  # people
_RARE: Final = 50  # people with names that the store does not hold yet
_LEAST_SHARE: Final = {"name": 1e-6, "surname": 1e-7}
_MIN_COMMON: Final = 20  # people
_MIN_COMMON_SHARE: Final = 0.01
_FAMILY_FIELDS: Final = frozenset(("person_name", "person_surname", "person_address"))


class Counts(NamedTuple):
    """Counts that a store supplies for one look-up.

    `relatives` is the number of examined pairs for which `scoring.are_relatives` is true. `values` holds the requested keys (`count_keys`);
    an absent key counts as 0.
    """

    people: int
    named: int  # people with a first name
    surnamed: int
    addressed: int
    relatives: int = 0
    values: Mapping[CountKey, int] = {}
    common_words: frozenset[str] = frozenset()  # of addresses: see `is_common`


class Frequencies(NamedTuple):
    """Frequencies for one look-up: the counts of the store, with the share of each name in the country while the store is small."""

    counts: Counts
    country: Mapping[CountKey, float] = {}  # from `country_shares`
    country_weight: int = 0  # people for which the shares of the country count
    hidden: frozenset[str] = frozenset()

    @property
    def common_words(self) -> frozenset[str]:
        """Words and numbers that are no evidence in an address."""
        return self.counts.common_words

    @property
    def relatives(self) -> float:
        """The relatives per person, shrunk towards 1.5 while the store is small.

        Otherwise the first twins of a new store would be graded certain. A principal that cannot see the fields of a family gets 1.5.
        """
        if self.hidden & _FAMILY_FIELDS:
            return _RELATIVES
        return (2 * self.counts.relatives + _RELATIVES * _RELATIVES_WEIGHT) / (
            self.counts.addressed + _RELATIVES_WEIGHT
        )

    def name(self, name: str) -> float:
        """Return the share of people with a first name; never zero."""
        return self._share("name", name, self.counts.named)

    def surname(self, surname: str) -> float:
        """Return the share of people with a surname; never zero."""
        return self._share("surname", surname, self.counts.surnamed)

    def birthdate(self, birthdate: str) -> float:
        """Return the share of people with a birthdate; 0 unless the birthdate is common, as a placeholder is."""
        count = self.counts.values.get(("birthdate", birthdate), 0)
        return count / self.counts.people if is_common(count, self.counts.people) else 0.0

    def first_name_bits(self, word: str) -> float:
        """Return the bits by which a word is more plausible as a first name than as a surname; near 0 if counts show neither."""
        return log2(
            self._smoothed("name", word, self.counts.named) / self._smoothed("surname", word, self.counts.surnamed)
        )

    def _share(self, field: Literal["name", "surname"], value: str, people: int) -> float:
        least = max(1 / max(1, people + self.country_weight), _LEAST_SHARE[field])
        return max(self._smoothed(field, value, people), least)

    def _smoothed(self, field: Literal["name", "surname"], value: str, people: int) -> float:
        count = self.counts.values.get((field, value), 0) + 1
        expected = self.country.get((field, value), 0.0) * self.country_weight
        return (count + expected) / (people + self.country_weight + _RARE)


def is_common(count: int, people: int) -> bool:
    """Return whether so many people share a value that it is no evidence: more than 1 %, and more than 20."""
    return count > _MIN_COMMON and count > _MIN_COMMON_SHARE * people


def count_keys(record: MatchRecord) -> set[CountKey]:
    """Return the values with counts that a comparison with this record needs, for any other record."""
    given = {part for part in (record.first, record.surname, *record.surnames) if part}
    family = {part for part in (record.surname, record.name, record.first, *record.surnames) if part}
    keys: set[CountKey] = {("name", part) for part in given} | {("surname", part) for part in family}
    return keys | {("birthdate", record.birthdate)} if record.birthdate else keys


def country_shares(rows: Iterable[tuple[CountedField, str, float]]) -> dict[CountKey, float]:
    """Return the share of each name in a country, from rows of field, folded name, and number or share of people."""
    numbers = {(field, name): number for field, name, number in rows}
    totals: dict[str, float] = {}
    for (field, _), number in numbers.items():
        totals[field] = totals.get(field, 0.0) + number
    return {key: number / totals[key[0]] for key, number in numbers.items()}
