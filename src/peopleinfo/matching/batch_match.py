"""Comparison of the new people of a batch with the stored people and with each other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.matching.blocking_keys import MAX_BLOCK
from peopleinfo.matching.candidate_selection import hits, worth_fetching
from peopleinfo.matching.match_service import MatchOptions
from peopleinfo.matching.scoring import MIN_PROBABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from peopleinfo.matching.blocking_keys import Hasher
    from peopleinfo.matching.candidates import Candidate
    from peopleinfo.matching.match_record import MatchRecord
    from peopleinfo.matching.match_service import MatchService

_CONCURRENT: Final = 16
_ROW: Final = "row:"  # start of the id of a person in the batch


class BatchCandidate(NamedTuple):
    """The most certain candidate of a person: a stored person, or an earlier one of the batch by its number."""

    candidate: Candidate
    number: int | None


class BatchMatch:
    """Matches the people of a batch, which are not stored yet."""

    def __init__(self, matches: MatchService, hidden: frozenset[str]) -> None:
        self._matches = matches
        self._options = MatchOptions(1, MIN_PROBABLE, hidden=hidden)

    async def match(self, people: Sequence[Mapping[str, Any]]) -> list[BatchCandidate | None]:
        """Return the most certain candidate of each person, None without a probable one."""
        records = [self._matches.prepare(person, self._options.hidden) for person in people]
        earlier = _earlier(self._matches.hasher, records)
        found: list[BatchCandidate | None] = []
        for start in range(0, len(records), _CONCURRENT):
            numbers = range(start, min(start + _CONCURRENT, len(records)))
            found += await asyncio.gather(*(self._match(records, number, earlier[number]) for number in numbers))
        return found

    async def _match(
        self, records: Sequence[MatchRecord], number: int, earlier: Sequence[int]
    ) -> BatchCandidate | None:
        others = [(f"{_ROW}{other}", records[other]) for other in earlier]
        match = (await self._matches.compare(records[number], self._options, others=others)).match
        if not match.candidates:
            return None
        [candidate] = match.candidates
        is_row = candidate.person_id.startswith(_ROW)
        return BatchCandidate(candidate, int(candidate.person_id.removeprefix(_ROW)) if is_row else None)


def _earlier(hasher: Hasher, records: Sequence[MatchRecord]) -> list[list[int]]:
    """Return for each record the earlier ones that are worth comparing."""
    blocks: dict[bytes, list[tuple[int, bytes]]] = {}
    found = []
    for number, record in enumerate(records):
        met = [
            (other, lookup.kind, sub)
            for lookup in hasher.lookups(record)
            for other, sub in blocks.get(lookup.key, ())[-MAX_BLOCK:]
        ]
        found.append(worth_fetching(hasher.sub(record), hits(met)))
        for key, sub in hasher.entries(record):
            blocks.setdefault(key, []).append((number, sub))
    return found
