"""The interface of a search index, which a store maintains with its records. The conformance suite in tests/stores checks it.

Guarantees for writes: the entries of a person (`index_entries.keys_and_order`) are stored before or with the record, and removed with or after it.
So a person whose creation was acknowledged can be found, and an entry without its person is skipped. Each record keeps the plan
under which it was indexed; `reindex` replaces the entries of another plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.people.index_entries import IndexPlan

MAX_HITS: Final = 200  # hits of one lookup
MAX_ENTRIES_READ: Final = 5_000  # entries that one lookup reads, including those that its filters exclude
MAX_LOOKUPS: Final = 40  # keys that one search queries, including those of similar words


class Lookup(NamedTuple):
    """A request for the entries of one key whose names pass every filter.

    `names`: for each filter, one of its words must be among the words of the order (or be the surname key). A word that ends in `*`
    passes if a word of the order starts with it; an index of hashes ignores filters that contain one.
    `is_prefix`: every key that starts with `key`; only an index of readable words supports it.
    """

    key: str
    names: tuple[frozenset[str], ...] = ()
    is_prefix: bool = False
    is_broad: bool = False
    """Whether the hits matter only if the other lookups find no record: they include people without the other words. A store ignores it."""


class Hit(NamedTuple):
    """A person under a key: the store's reference to the record, and the order of the entry."""

    ref: bytes
    order: str


class Hits(NamedTuple):
    """The first hits of a lookup, in their order. `complete`: no further hit exists."""

    hits: list[Hit]
    complete: bool


class SearchIndex(Protocol):
    """The search index of a store. Every method may raise StoreUnavailable."""

    @property
    def plan(self) -> IndexPlan:
        """The indexes that this process writes and searches."""

    @property
    def is_readable(self) -> bool:
        """Whether the index contains readable words. An index of hashes finds no prefixes and no typos, and has no order."""

    async def look_up(self, lookups: Sequence[Lookup]) -> list[Hits]:
        """Return the hits of each lookup: at most `MAX_HITS`, from at most `MAX_ENTRIES_READ` entries, in the order of the entries."""

    async def similar_words(self, words: Sequence[str]) -> list[set[str]]:
        """Return for each word a set of words that contains every near word of the vocabulary (`similarity.is_near`).

        The set may contain other words too. The vocabulary consists of the name words of all indexed people. An index of hashes returns
        codes of words with the same sound or collapsed form; its lookups accept these codes as words.
        """

    async def read_people(self, refs: Sequence[bytes]) -> list[bytes | None]:
        """Return the JSON of the records; None for a record that was deleted."""

    async def read_unindexed(self, limit: int) -> tuple[list[bytes], bool]:
        """Return people that are not indexed under the current plan, and whether more exist; empty when `reindex` is complete."""
