"""Review of possible duplicates: pairs wait in a queue until a reviewer decides that they are different people, or merges them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from peopleinfo.errors import StoreUnavailable
from peopleinfo.matching.candidates import at_least
from peopleinfo.matching.duplicate_links import Link
from peopleinfo.matching.errors import PairNotFound
from peopleinfo.matching.match_service import MatchOptions
from peopleinfo.matching.reviewer_decisions import are_different, equal_identifiers
from peopleinfo.matching.reviewer_notes import EncryptedNotes, note_cipher
from peopleinfo.matching.scoring import GRADES, MIN_PROBABLE
from peopleinfo.people.person import is_id, timestamp
from peopleinfo.people.store import PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from peopleinfo.matching.candidates import Candidate
    from peopleinfo.matching.duplicate_links import LinkState, LinkStore
    from peopleinfo.matching.match_service import Matched, MatchService
    from peopleinfo.matching.scoring import Grade
    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.store import PersonReader

_LEAST: Final[Grade] = "probable"
_OPTIONS: Final = MatchOptions(100, MIN_PROBABLE)
_ID_LENGTH: Final = 32
_MAX_ATTEMPTS: Final = 20
_MAX_ADDED: Final = 10  # candidates of a new record; a scan adds the others
_PAIRS: Final = 20  # read at a time for a page


def always_allow(_: Link) -> None:
    """Accept any link: the precondition of an unconditional decision."""


ALL_GRADES: Final[tuple[Grade, ...]] = tuple(grade for grade, _ in GRADES)


class ReviewPair(NamedTuple):
    """A link with its two records."""

    link: Link
    people: tuple[StoredPerson, StoredPerson]


class ReviewPage(NamedTuple):
    """Pairs, the most certain first, and the position of the next page; None after the last page."""

    pairs: list[ReviewPair]
    next: bytes | None


class Review:
    """The review queue of a store."""

    def __init__(
        self,
        matches: MatchService,
        people: PersonReader,
        now: Callable[[], datetime],
    ) -> None:
        self._matches = matches
        self._people = people
        self._now = now
        self._cipher = note_cipher(matches.secret)

    @property
    def _links(self) -> LinkStore:
        """The stored pairs. Raises DuplicatesDisabled."""
        return EncryptedNotes(self._matches.index.links, self._cipher)

    async def page(
        self, state: LinkState, grade: Grade | None = None, *, after: bytes | None = None, limit: int
    ) -> ReviewPage:
        """Return a page of the pairs with a state, and with a grade if one is given.

        Pairs of deleted people leave the queue, and pairs that a merge made equal to a decided one. A page ends early at `PAGE_SIZE`
        bytes of records.
        """
        grades = (grade,) if grade else ALL_GRADES
        pairs: list[ReviewPair] = []
        size, examined = 0, 0
        while True:
            page = await self._links.page(state, grades, after=after, limit=min(limit - examined, _PAIRS))
            found = await self._pairs(page.links)
            pairs += found
            size += sum(len(person.body) for pair in found for person in pair.people)
            examined, after = examined + len(page.links), page.next
            if after is None or examined >= limit or size >= PAGE_SIZE:
                return ReviewPage(pairs, after)

    async def _pairs(self, links: Sequence[Link]) -> list[ReviewPair]:
        """Return links with their records; delete the links that leave the queue."""
        ids = list({person_id for link in links for person_id in (link.first, link.second)})
        people = {person.person_id: person for person in await self._people.get_many(ids) if person is not None}
        pairs = []
        for link in links:
            first, second = people.get(link.first), people.get(link.second)
            is_gone = first is None or second is None
            if link.state == "open" and (is_gone or not await self.is_open(link)):
                await self._links.delete(link)
            elif first is not None and second is not None:
                pairs.append(ReviewPair(link, (first, second)))
        return pairs

    async def get(self, pair: str) -> ReviewPair:
        """Return a pair with its records. Raises PairNotFound."""
        link = await self._link(pair)
        first, second = await self._people.get_many([link.first, link.second])
        if first is None or second is None:
            raise PairNotFound
        return ReviewPair(link, (first, second))

    async def is_open(self, link: Link) -> bool:
        """Return whether a pair waits for a decision, and none about records merged with its two makes it obsolete."""
        return link.state == "open" and not await self._are_different(link)

    async def decide(
        self,
        pair: str,
        state: LinkState,
        *,
        precondition: Callable[[Link], None] = always_allow,
        by: str | None,
        note: str = "",
    ) -> ReviewPair:
        """Record a decision if `precondition` accepts the link. A repeated decision changes nothing. Raises PairNotFound and its errors."""
        for _ in range(_MAX_ATTEMPTS):
            found = await self.get(pair)
            if (found.link.state, found.link.by, found.link.note) == (state, by, note):
                return found
            precondition(found.link)
            decided = self._decided(found.link, state, by, note)
            if await self._links.put(decided):
                return found._replace(link=decided)
        raise StoreUnavailable("concurrent decisions about the pair prevented this one; try again")

    def _decided(self, link: Link, state: LinkState, by: str | None, note: str) -> Link:
        identifiers = equal_identifiers(link.evidence) if state == "different" else frozenset[str]()
        version, at = link.version + 1, timestamp(self._now())
        return replace(link, version=version, state=state, identifiers=identifiers, by=by, at=at, note=note)

    async def add(self, person_id: str) -> Matched:
        """Add the probable duplicates of a stored record to the queue, and return its duplicates. Raises PersonNotFound."""
        found = await self._matches.duplicates(person_id, _OPTIONS)
        await self.open(person_id, found.match.candidates)
        return found

    async def add_new(self, person_id: str, candidates: Sequence[Candidate]) -> None:
        """Add the most certain candidates of a new record to the queue. No decision exists about a new record."""
        await asyncio.gather(
            *(self._links.put(self._link_of(person_id, candidate)) for candidate in candidates[:_MAX_ADDED])
        )

    async def open(self, person_id: str, candidates: Iterable[Candidate]) -> int:
        """Add the probable candidates of a record to the queue; return how many pairs are new or have another grade."""
        probable = [one for one in candidates if at_least(one.grade, _LEAST)]
        return sum([await self._open(self._link_of(person_id, candidate)) for candidate in probable])

    def _link_of(self, person_id: str, candidate: Candidate) -> Link:
        first, second = sorted((person_id, candidate.person_id))
        return Link(
            first=first,
            second=second,
            grade=candidate.grade,
            score=candidate.score,
            relatives=candidate.relatives,
            evidence=candidate.evidence,
            at=timestamp(self._now()),
        )

    async def _open(self, link: Link) -> bool:
        if await self._are_different(link):
            return False
        for _ in range(_MAX_ATTEMPTS):
            known = await self._links.get(link.first, link.second)
            if known is not None and known.state == "later":
                return False
            if known is not None and known.state == "open" and (known.grade, known.score) == (link.grade, link.score):
                return False
            if await self._links.put(replace(link, version=known.version + 1 if known else 1)):
                return True
        return False

    async def _are_different(self, link: Link) -> bool:
        ours, theirs = [await self._people.merge_group(person_id) for person_id in (link.first, link.second)]
        links = [other for person_id in ours for other in await self._links.of_person(person_id)]
        return are_different(ours, theirs, links, link.evidence)

    async def _link(self, pair: str) -> Link:
        first, second = pair[:_ID_LENGTH], pair[_ID_LENGTH:]
        link = await self._links.get(first, second) if is_id(first) and is_id(second) and first < second else None
        if link is None:
            raise PairNotFound
        return link
