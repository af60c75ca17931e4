"""The search for people by the text of a box: candidates from the index, compared and ordered by `text_ranking`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from peopleinfo.people.field_access import visible_fields
from peopleinfo.people.index_entries import BIRTHDATE
from peopleinfo.people.index_lookups import exact_lookups, forgiving_lookups, start_lookups, words_for_vocabulary
from peopleinfo.people.person import decode_fields
from peopleinfo.people.search_index import MAX_HITS, MAX_LOOKUPS
from peopleinfo.people.text_query import parse
from peopleinfo.people.text_ranking import Comparison, rank

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from peopleinfo.people.search_index import Hits, Lookup, SearchIndex
    from peopleinfo.people.text_query import Query
    from peopleinfo.people.text_ranking import Match

# People whom the first round found. With fewer, the second one looks up similar words and the starts of words of addresses.
_ENOUGH: Final = 10
_VOCABULARY_KEYS: Final = 4  # of `MAX_LOOKUPS`, for each word that is looked up in the vocabulary


class FoundPerson(NamedTuple):
    """A person that a search found: the visible fields, the kind of match, and the position of a page after this person."""

    fields: dict[str, Any]
    found_by: str
    position: bytes


class SearchResult(NamedTuple):
    """A page of found people. `matches` is their total number; with `more_exist` the search stopped before it found all."""

    people: list[FoundPerson]
    matches: int
    more_exist: bool
    next: bytes | None


class _Candidate(NamedTuple):
    match: Match
    fields: dict[str, Any]


class PeopleSearch:
    """Searches the people of an index."""

    def __init__(self, index: SearchIndex) -> None:
        self._index = index

    async def find(
        self,
        query: Query,
        *,
        limit: int,
        after: bytes | None = None,
        hidden: frozenset[str] = frozenset(),
        forgiving: bool = True,
    ) -> SearchResult:
        """Return a page of the people that match a query, without `hidden` fields, which neither match nor affect the order.

        Without `forgiving`, only whole words, parts and prefixes match. `after` is the `next` of the previous page. A query without a
        match may have been typed in another keyboard layout.
        """
        result = await self._find(query, limit, after, hidden, forgiving=forgiving)
        if result.matches or not (forgiving and query.other_layout):
            return result
        return await self._find(parse(query.other_layout), limit, after, hidden, forgiving=False)

    async def _find(
        self, query: Query, limit: int, after: bytes | None, hidden: frozenset[str], *, forgiving: bool
    ) -> SearchResult:
        comparison = Comparison(query, self._index.plan.identifiers, forgiving=forgiving)
        candidates = _Candidates(self._index, comparison, hidden)
        words = words_for_vocabulary(query) if forgiving else []
        room = MAX_LOOKUPS - _VOCABULARY_KEYS * len(words)
        lookups = exact_lookups(query, is_readable=self._index.is_readable)[:room]
        hits, similar, _ = await asyncio.gather(
            self._index.look_up(lookups), self._index.similar_words(words), candidates.add_unindexed()
        )
        await candidates.add(lookups, hits)
        if candidates.count < _ENOUGH and not (candidates.count and _has_date(lookups, hits)):
            by_word = dict(zip(words, similar, strict=True))
            more = self._more_lookups(query, by_word, forgiving=forgiving)[: room - len(lookups)]
            await candidates.add(more, await self._index.look_up(more))
        if not candidates.count:
            await candidates.add_broad(only_complete=self._index.is_readable and query.is_plain)
        return _page(candidates, after, limit)

    def _more_lookups(self, query: Query, similar: dict[str, set[str]], *, forgiving: bool) -> list[Lookup]:
        """Return the lookups of the second round: starts of words of addresses, then similar words."""
        is_readable = self._index.is_readable
        starts = start_lookups(query) if is_readable else []
        return starts + (forgiving_lookups(query, similar, is_readable=is_readable) if forgiving else [])


class _Candidates:
    """The people that lookups found and that match, by reference."""

    def __init__(self, index: SearchIndex, comparison: Comparison, hidden: frozenset[str]) -> None:
        self._index = index
        self._comparison = comparison
        self._hidden = hidden
        self._seen: set[bytes] = set()
        self._broad: list[Hits] = []
        self._people: dict[str, _Candidate] = {}
        self.more_exist = False

    async def add(self, lookups: Sequence[Lookup], results: Sequence[Hits]) -> None:
        """Fetch and compare the people of the lookups, up to `MAX_HITS` in total."""
        pairs = list(zip(lookups, results, strict=True))
        precise = [hits for lookup, hits in pairs if not lookup.is_broad]
        broad = _by_word(pairs)
        complete = [every for every in broad.values() if all(hits.complete for hits in every)]
        self.more_exist |= not complete and not all(hits.complete for hits in precise)
        await self._fetch(precise)
        if not self.count and complete:  # any one list contains every match of all words
            await self._fetch(min(complete, key=lambda every: sum(len(hits.hits) for hits in every)))
        self._broad += [hits for every in broad.values() for hits in every]

    async def add_broad(self, *, only_complete: bool) -> None:
        """Fetch and compare the other people of each word; with `only_complete` none of words whose lookups stopped early."""
        await self._fetch(hits for hits in self._broad if hits.complete or not only_complete)

    async def _fetch(self, results: Iterable[Hits]) -> None:
        # Precise lookups come first: if the limit excludes people, they are those of a less precise lookup.
        refs = dict.fromkeys(hit.ref for hits in results for hit in hits.hits)
        new = [ref for ref in refs if ref not in self._seen]
        room = MAX_HITS - len(self._seen)
        self.more_exist |= len(new) > room
        self._seen.update(new[:room])
        self._compare(body for body in await self._index.read_people(new[:room]) if body is not None)

    async def add_unindexed(self) -> None:
        """Compare people that the index lacks, until `reindex` has added them."""
        people, more_exist = await self._index.read_unindexed(MAX_HITS)
        self.more_exist |= more_exist
        self._compare(people)

    @property
    def count(self) -> int:
        """The number of matching people."""
        return len(self._people)

    def ranked(self) -> list[_Candidate]:
        """Return the matching people, the best first."""
        return [self._people[match.person_id] for match in rank(person.match for person in self._people.values())]

    def _compare(self, bodies: Iterable[bytes]) -> None:
        for body in bodies:
            fields = decode_fields(body)
            visible = visible_fields(fields, self._hidden) if self._hidden else fields
            if match := self._comparison.match(visible):
                self._people[match.person_id] = _Candidate(match, visible)


def _has_date(lookups: Iterable[Lookup], results: Iterable[Hits]) -> bool:
    """Return whether the hits contain every person with a date of the query: similar words cannot find another one."""
    pairs = zip(lookups, results, strict=True)
    complete = [hits.complete for lookup, hits in pairs if lookup.key[0] == BIRTHDATE and not lookup.names]
    return bool(complete) and all(complete)


def _by_word(pairs: Iterable[tuple[Lookup, Hits]]) -> dict[str, list[Hits]]:
    """Return the hits of the broad lookups by word: those of its names and those of its addresses."""
    by_word: dict[str, list[Hits]] = {}
    for lookup, hits in pairs:
        if lookup.is_broad:
            by_word.setdefault(lookup.key[1:], []).append(hits)
    return by_word


def _page(candidates: _Candidates, after: bytes | None, limit: int) -> SearchResult:
    ranked = candidates.ranked()
    start = tuple(msgspec.json.decode(after)) if after else ()
    rest = [found for found in ranked if found.match.rank > start]
    page = rest[:limit]
    people = [
        FoundPerson(found.fields, found.match.found.label, msgspec.json.encode(found.match.rank)) for found in page
    ]
    end = people[-1].position if len(rest) > limit else None
    return SearchResult(people, len(ranked), candidates.more_exist, end)
