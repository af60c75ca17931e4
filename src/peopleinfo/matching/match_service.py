"""Duplicate detection on the records of a store, independent of the store and of the protocol."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from peopleinfo.matching.candidate_selection import MIN_FETCHED
from peopleinfo.matching.candidates import DEFAULT_COUNT, Candidate, Match, rank
from peopleinfo.matching.errors import DuplicatesDisabled
from peopleinfo.matching.match_entries import MatchEntries
from peopleinfo.matching.match_index import Found, NotExamined, find
from peopleinfo.matching.match_record import check_access, prepare
from peopleinfo.matching.scoring import GRADES
from peopleinfo.matching.statistics import CountReader, Statistics, StatisticsBuilder
from peopleinfo.people import strict_json
from peopleinfo.people.field_access import redact
from peopleinfo.people.fields import FIELDS
from peopleinfo.people.person import decode_header, decode_stored

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from peopleinfo.matching.frequencies import Frequencies
    from peopleinfo.matching.match_index import MatchIndex
    from peopleinfo.matching.match_record import MatchRecord
    from peopleinfo.matching.scoring import Evidence
    from peopleinfo.people.store import PersonReader

NOT_INDEXED: Final = "index"  # stands for people that `reindex` has not reached, in `NotExamined.by`
_SCAN_LIMIT: Final = 1_000
_MAX_AGE: Final = 24 * 60 * 60  # seconds
_GROWTH: Final = 2
_decode_raw: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_STATISTICS_TTL: Final = 60.0  # seconds for which a process keeps the statistics in memory
_ESTIMATE_TTL: Final = 1.0  # seconds; a store that was not counted yet may grow fast


class MatchOptions(msgspec.Struct, frozen=True):
    """What a match returns: at most `count` candidates with at least the score `threshold`."""

    count: int = DEFAULT_COUNT
    threshold: float = GRADES[-1][1]
    only_certain: bool = False
    hidden: frozenset[str] = frozenset()
    """Fields that are hidden from the principal. They are no evidence and affect no grade."""


DEFAULT_OPTIONS: Final = MatchOptions()


class Matched(NamedTuple):
    """A match, with the JSON of the candidates without hidden fields, by id."""

    match: Match
    people: dict[str, bytes]


class _Fetched(NamedTuple):
    person_id: str
    body: bytes
    record: MatchRecord


class MatchService:
    """Finds records that may be of one person. `index` is None if the store has no match index."""

    def __init__(
        self,
        index: MatchIndex | None,
        store: PersonReader,
        *,
        secret: bytes,
        identifiers: Iterable[str],
        estimate: Callable[[], Awaitable[int | None]],
        clock: Callable[[], float],
    ) -> None:
        """`identifiers` names the custom fields that identify a person; `estimate` returns the number of people, `clock` the time in seconds."""
        self._index = index
        self._store = store
        self.secret = secret
        self.hasher = MatchEntries(secret).hasher
        """Derives the keys of records."""
        self._identifiers = tuple(identifiers)
        self._fields = (*FIELDS, *self._identifiers)
        self._estimate = estimate
        self._clock = clock
        self._statistics: Statistics | None = None
        self._reader: tuple[Statistics, CountReader] | None = None
        self._expires_at = 0.0

    @property
    def index(self) -> MatchIndex:
        """The match index. Raises DuplicatesDisabled."""
        if self._index is None:
            raise DuplicatesDisabled
        return self._index

    def check(self, hidden: frozenset[str]) -> None:
        """Check before a change that its duplicates can be found. Raises DuplicatesDisabled, FieldAccessDenied."""
        check_access(hidden)
        self.index  # noqa: B018 - raises DuplicatesDisabled

    async def match(self, fields: Mapping[str, Any], options: MatchOptions = DEFAULT_OPTIONS) -> Matched:
        """Return the people that may be the same as a person with these fields. Raises DuplicatesDisabled, FieldAccessDenied."""
        return await self.compare(self.prepare(fields, options.hidden), options)

    async def duplicates(self, person_id: str, options: MatchOptions = DEFAULT_OPTIONS) -> Matched:
        """Return the people that may be the same as a stored person. Raises PersonNotFound and the errors of `match`."""
        check_access(options.hidden)
        record = await self._store.get(person_id)
        [found] = await self.compare_stored([record.body], options)
        return found

    def record(self, body: bytes, hidden: frozenset[str] = frozenset()) -> MatchRecord:
        """Return a stored record prepared for matching. Raises StoreDamaged."""
        values = decode_stored(_decode_raw, body)
        fields = {name: _value(values[name]) for name in self._fields if name in values}
        return self.prepare(fields, hidden)

    def prepare(self, fields: Mapping[str, Any], hidden: frozenset[str] = frozenset()) -> MatchRecord:
        """Return the fields of a person prepared for matching. Raises FieldAccessDenied."""
        return prepare(fields, identifiers=self._identifiers, hidden=hidden)

    async def compare(
        self, record: MatchRecord, options: MatchOptions, *, others: Iterable[tuple[str, MatchRecord]] = ()
    ) -> Matched:
        """Compare a record that is not stored with its candidates, and with other records, given by id."""
        [found] = await find(self.index, self.hasher, [record])
        fetched = await self._fetch(found.refs, options)
        return await self._rank(record, options, fetched, found, others)

    async def compare_stored(self, bodies: Sequence[bytes], options: MatchOptions) -> list[Matched]:
        """Compare each stored record, given as JSON, with its candidates except itself."""
        records = [self.record(body, options.hidden) for body in bodies]
        found = await find(self.index, self.hasher, records, min_fetched=MIN_FETCHED + 1)
        fetched = await self._fetch({ref for one in found for ref in one.refs}, options)
        return [
            await self._rank(record, options, fetched, one, own_id=_id_of(body))
            for body, record, one in zip(bodies, records, found, strict=True)
        ]

    async def _fetch(self, refs: Iterable[bytes], options: MatchOptions) -> dict[bytes, _Fetched]:
        """Return the records with these references that exist."""
        refs = list(refs)
        return {
            ref: _Fetched(_id_of(body), body, self.record(body, options.hidden))
            for ref, body in zip(refs, await self.index.read_people(refs), strict=True)
            if body is not None
        }

    async def _rank(
        self,
        record: MatchRecord,
        options: MatchOptions,
        fetched: Mapping[bytes, _Fetched],
        found: Found,
        others: Iterable[tuple[str, MatchRecord]] = (),
        own_id: str | None = None,
    ) -> Matched:
        people = {one.person_id: one for ref in found.refs if (one := fetched.get(ref)) and one.person_id != own_id}
        compared = [*((one.person_id, one.record) for one in people.values()), *others]
        frequencies = await self.frequencies(record, [other for _, other in compared], options.hidden)
        match = rank(
            record,
            compared,
            frequencies,
            count=options.count,
            threshold=options.threshold,
            only_certain=options.only_certain,
            not_examined=[*found.not_examined, *await self._not_indexed(frequencies.counts.people)],
        )
        stored = [people[one.person_id] for one in match.candidates if one.person_id in people]
        return Matched(match, {one.person_id: _visible(one.body, options) for one in stored})

    async def frequencies(
        self, record: MatchRecord, others: Iterable[MatchRecord], hidden: frozenset[str] = frozenset()
    ) -> Frequencies:
        """Return the frequencies for the comparison of a record with others."""
        return (await self.count_reader()).frequencies(record, others, hidden)

    async def count_reader(self) -> CountReader:
        """Return the reader of the current statistics."""
        statistics = await self.statistics()
        if self._reader is None or self._reader[0] is not statistics:
            self._reader = statistics, CountReader(statistics, self.hasher)
        return self._reader[1]

    async def is_outdated(self) -> bool:
        """Return whether the people should be counted again: after a day, or when their number has doubled. Raises DuplicatesDisabled."""
        body = await self.index.read_statistics()
        if body is None:
            return True
        statistics = Statistics.decode(body)
        has_grown = 0 < statistics.estimate * _GROWTH <= (await self._estimate() or 0)
        return has_grown or time.time() >= statistics.counted_at + _MAX_AGE

    async def count(self, *, page_limit: int = _SCAN_LIMIT, delay: float = 0) -> Statistics:
        """Count all people, and store the statistics that the grades use. `delay`: seconds between two pages."""
        builder = StatisticsBuilder(self.hasher)
        after: bytes | None = None
        while True:
            page = await self._store.scan(after=after, limit=page_limit)
            for body in page.people:
                builder.add(self.record(body))
            if (after := page.next) is None:
                break
            await asyncio.sleep(delay)
        before = await self.statistics()
        counted = builder.build(time.time(), relatives=before.relatives, related_people=before.related_people)
        estimate = await self._estimate() or 0
        return await self.write_statistics(msgspec.structs.replace(counted, estimate=estimate))

    async def write_statistics(self, statistics: Statistics) -> Statistics:
        """Store statistics, and use them from now on."""
        await self.index.write_statistics(statistics.encode())
        self._statistics, self._expires_at = statistics, self._clock() + _STATISTICS_TTL
        return statistics

    async def statistics(self) -> Statistics:
        """Return the statistics for the grades. A process keeps them in memory for a short time."""
        if self._statistics is None or self._clock() >= self._expires_at:
            body = await self.index.read_statistics()
            people = await self._estimate() if body is None else None
            self._statistics = Statistics.of_estimate(people or 0) if body is None else Statistics.decode(body)
            self._expires_at = self._clock() + (_ESTIMATE_TTL if body is None else _STATISTICS_TTL)
        return self._statistics

    async def _not_indexed(self, people: int) -> list[NotExamined]:
        return [] if await self.index.is_complete() else [NotExamined(NOT_INDEXED, people)]


def _value(value: msgspec.Raw) -> Any:
    """Return the value of a stored field; most are texts, which need no strict parser."""
    text = bytes(value)
    return _decode_text(text) if text.startswith(b'"') else strict_json.parse(text)


def _id_of(body: bytes) -> str:
    return decode_header(body).person_id


def _visible(body: bytes, options: MatchOptions) -> bytes:
    return redact(body, options.hidden) if options.hidden else body


def encode(found: Matched) -> bytes:
    """Return the JSON of a match."""
    match = found.match
    return strict_json.encode(
        {
            "candidates": encode_candidates(found),
            "of_people": match.of_people,
            "examined": match.examined,
            "not_examined": match.not_examined,
        }
    )


def encode_candidates(found: Matched) -> list[dict[str, Any]]:
    """Return the candidates of a match as JSON objects with their `person`."""
    return [_candidate(one) | {"person": msgspec.Raw(found.people[one.person_id])} for one in found.match.candidates]


def encode_evidence(evidence: Iterable[Evidence]) -> list[dict[str, Any]]:
    """Return evidence as JSON objects."""
    return [
        {
            "field": item.field,
            "agreement": item.agreement,
            "bits": round(item.bits, 2),
            "against_relatives": round(item.against_relatives, 2),
            "because": item.because,
        }
        for item in evidence
    ]


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "person_id": candidate.person_id,
        "grade": candidate.grade,
        "score": round(candidate.score, 6),
        "relatives": round(candidate.relatives, 6),
        "evidence": encode_evidence(candidate.evidence),
    }
