"""A search index in memory, which shows the semantics of `people.search_index` in a few lines."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from peopleinfo.people.index_entries import IndexPlan, keys_and_order, name_of
from peopleinfo.people.person import PersonData, encode_person
from peopleinfo.people.search_index import MAX_ENTRIES_READ, MAX_HITS, Hit, Hits, Lookup
from peopleinfo.people.similarity import deletion_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class MemoryIndex:
    """Implements `SearchIndex`; `keys_of_word` gives the keys of the vocabulary."""

    is_readable = True

    def __init__(self, plan: IndexPlan, keys_of_word: Callable[[str], set[str]] = deletion_keys) -> None:
        self.plan = plan
        self.people: dict[bytes, bytes] = {}
        self.keys_read = 0
        self.entries_read = 0
        self.words_written = 0
        self._entries: list[tuple[str, str, bytes]] = []
        self._words: Counter[str] = Counter()
        self._vocabulary: dict[str, set[str]] = defaultdict(set)
        self._keys_of_word = keys_of_word

    def load(self, people: Sequence[PersonData]) -> None:
        """Add many people."""
        for data in people:
            self._store(data, self._entries.append)
        self._entries.sort()

    def add(self, data: PersonData) -> str:
        """Add a person and return the id."""
        return self._store(data, lambda entry: insort(self._entries, entry))

    async def look_up(self, lookups: Sequence[Lookup]) -> list[Hits]:
        self.keys_read += len(lookups)
        return [self._hits(lookup) for lookup in lookups]

    async def similar_words(self, words: Sequence[str]) -> list[set[str]]:
        self.keys_read += sum(len(self._keys_of_word(word)) for word in words)
        return [set().union(*(self._vocabulary.get(key, ()) for key in self._keys_of_word(word))) for word in words]

    async def read_people(self, refs: Sequence[bytes]) -> list[bytes | None]:
        return [self.people.get(ref) for ref in refs]

    async def read_unindexed(self, limit: int) -> tuple[list[bytes], bool]:
        return [], False

    def _store(self, data: PersonData, add: Callable[[tuple[str, str, bytes]], None]) -> str:
        number = len(self.people)
        ref, person_id = number.to_bytes(8), f"{number:032x}"
        self.people[ref] = encode_person(person_id, 1, data, created_at="2026", updated_at="2026").body
        keys, order = keys_and_order(data, self.plan)
        for key in keys:
            add((key, order, ref))
        for word in filter(None, map(name_of, keys)):
            for key in self._keys_of_word(word) if not self._words[word] else ():
                self._vocabulary[key].add(word)
                self.words_written += 1
            self._words[word] += 1
        return person_id

    def _hits(self, lookup: Lookup) -> Hits:
        hits: list[Hit] = []
        position = bisect_left(self._entries, (lookup.key, "", b""))
        for read, (key, order, ref) in enumerate(self._entries[position : position + 2 * MAX_ENTRIES_READ]):
            if not (key.startswith(lookup.key) if lookup.is_prefix else key == lookup.key):
                return Hits(hits, complete=True)
            self.entries_read += 1
            if passes(order, lookup.names):
                hits.append(Hit(ref, order))
            if len(hits) > MAX_HITS or read > MAX_ENTRIES_READ:
                return Hits(hits[:MAX_HITS], complete=False)
        return Hits(hits, complete=True)


def passes(order: str, filters: Sequence[frozenset[str]]) -> bool:
    """Return whether the words of an order pass every filter."""
    words = order.replace("\t", " ").split(" ")
    return all(any(_is_among(name, words) for name in names) for names in filters)


def _is_among(name: str, words: list[str]) -> bool:
    return any(word.startswith(name[:-1]) for word in words) if name.endswith("*") else name in words
