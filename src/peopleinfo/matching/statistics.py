"""Statistics: what a scan of all people counts for the grades, in a form that a store keeps in one value without personal data."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from peopleinfo.matching.frequencies import Counts, Frequencies, count_keys, is_common

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from peopleinfo.matching.blocking_keys import Hasher
    from peopleinfo.matching.frequencies import CountedField, CountKey
    from peopleinfo.matching.match_record import MatchRecord

_MIN_PEOPLE: Final = 2  # with a name that is counted; a name of one person is as rare as an unknown name
_MAX_NAMES: Final = 1_000_000  # counted of each field
_HASH_SIZE: Final = 8  # bytes
_ROW_SIZE: Final = _HASH_SIZE + 4
_CACHED: Final = 32_768  # values of a reader, at most 250 bytes each
_MAX_COUNTED: Final = 2_000_000  # values in memory; beyond that, the rarest values are forgotten


class Statistics(msgspec.Struct, frozen=True, array_like=True):
    """Numbers of people, of relatives, and of people with each common value. Values are keyed hashes."""

    people: int
    named: int
    surnamed: int
    addressed: int
    values: bytes  # rows in order: a hash, and the number of people in 4 bytes
    common_words: frozenset[bytes]
    relatives: int = 0  # pairs among `related_people`; 0 until all pairs were compared
    related_people: int = 0
    counted_at: float = 0.0  # seconds since 1970
    estimate: int = 0  # of the store at that time; on DynamoDB it includes other items

    @classmethod
    def of_estimate(cls, people: int) -> Statistics:
        """Return the statistics of a store that was not counted yet and has about so many people."""
        return cls(people, people, people, people, b"", frozenset())

    @classmethod
    def decode(cls, body: bytes) -> Statistics:
        """Return the statistics that a store keeps."""
        return msgspec.msgpack.decode(body, type=cls)

    def encode(self) -> bytes:
        """Return the form that a store keeps."""
        return msgspec.msgpack.encode(self)

    def count(self, value: bytes) -> int:
        """Return the number of people with a value, given by its hash."""
        rows = self.values
        row = bisect_left(range(len(rows) // _ROW_SIZE), value, key=lambda n: _hash_at(rows, n))
        if _hash_at(rows, row) != value:
            return 0
        return int.from_bytes(rows[row * _ROW_SIZE + _HASH_SIZE : (row + 1) * _ROW_SIZE])


class CountReader:
    """Reads the counts of statistics, and keeps those of repeated values in memory."""

    def __init__(self, statistics: Statistics, hasher: Hasher) -> None:
        self._statistics = statistics
        self._count = lru_cache(_CACHED)(lambda key: statistics.count(hasher.value(*key)))
        self._is_common = lru_cache(_CACHED)(lambda word: hasher.value("word", word) in statistics.common_words)

    def frequencies(
        self, record: MatchRecord, others: Iterable[MatchRecord], hidden: frozenset[str] = frozenset()
    ) -> Frequencies:
        """Return the frequencies for the comparison of a record with others."""
        words = record.numbers | record.words
        words = words.union(*((other.numbers | other.words) for other in others)) if words else words
        return Frequencies(self.counts(count_keys(record), words), hidden=hidden)

    def counts(self, keys: Iterable[CountKey], words: Iterable[str]) -> Counts:
        """Return the counts for a look-up: of its keys, and the common ones among `words` of addresses."""
        known = self._statistics
        values = {key: self._count(key) for key in keys}
        common = frozenset(filter(self._is_common, words))
        people, relatives = known.related_people, known.relatives
        return Counts(known.people, known.named, known.surnamed, people, relatives, values, common)


def _hash_at(rows: bytes, row: int) -> bytes:
    return rows[row * _ROW_SIZE : row * _ROW_SIZE + _HASH_SIZE]


class StatisticsBuilder:
    """Counts people one by one, in bounded memory."""

    def __init__(self, hasher: Hasher) -> None:
        self._hasher = hasher
        self._people = self._addressed = 0
        self._values: dict[CountedField, Counter[bytes]] = {
            "name": Counter(),
            "surname": Counter(),
            "birthdate": Counter(),
        }
        self._named: Counter[CountedField] = Counter()
        self._words: Counter[bytes] = Counter()

    def add(self, record: MatchRecord) -> None:
        """Count a person."""
        self._people += 1
        self._add("name", record.first)
        self._add("surname", record.surname)
        self._add("birthdate", record.birthdate)
        words = record.numbers | record.words
        self._addressed += bool(words)
        self._words.update(self._hasher.value("word", word) for word in words)
        forget_rare(self._words)

    def build(self, counted_at: float, *, relatives: int = 0, related_people: int = 0) -> Statistics:
        """Return the statistics of the counted people."""
        least = max(_MIN_PEOPLE, self._people // _MAX_NAMES)
        counts = {
            value: count
            for field in ("name", "surname")
            for value, count in self._values[field].items()
            if count >= least
        }
        counts |= _common(self._values["birthdate"], self._people)
        rows = b"".join(value + min(count, 0xFFFFFFFF).to_bytes(4) for value, count in sorted(counts.items()))
        common_words = frozenset(_common(self._words, self._addressed))
        named, surnamed = self._named["name"], self._named["surname"]
        return Statistics(
            self._people, named, surnamed, self._addressed, rows, common_words, relatives, related_people, counted_at
        )

    def _add(self, field: CountedField, value: str) -> None:
        if value:
            self._named[field] += 1
            self._values[field][self._hasher.value(field, value)] += 1
            forget_rare(self._values[field])


def _common(counts: Mapping[bytes, int], people: int) -> dict[bytes, int]:
    return {value: count for value, count in counts.items() if is_common(count, people)}


def forget_rare(counts: Counter[bytes], limit: int = _MAX_COUNTED) -> None:
    """Forget the rarest values if there are more than `limit`: at least half of them, because each call reads all."""
    if len(counts) <= limit:
        return
    least = 1
    while len(counts) > limit // 2:
        for value in [value for value, count in counts.items() if count <= least]:
            del counts[value]
        least += 1
