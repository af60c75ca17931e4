"""The parts of an open store: records, secret, API keys and ended sessions, which are stored in the same place."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from peopleinfo.bulk.archived_store import ArchivedStore
from peopleinfo.people.people_list import ListIndex
from peopleinfo.people.search_index import SearchIndex
from peopleinfo.people.store import CachedReader, ImmediateReader, JoinedReader, Store

if TYPE_CHECKING:
    from peopleinfo.auth.api_keys import ApiKeyStore
    from peopleinfo.auth.ended_sessions import EndedSessionStore
    from peopleinfo.matching.match_index import MatchIndex
    from peopleinfo.matching.merge_store import MergeStore
    from peopleinfo.people.import_log import ImportLog
    from peopleinfo.people.trash import TrashStore
    from peopleinfo.people.version_archive import VersionArchive


class StoreIndex(SearchIndex, ListIndex, Protocol):
    """The search index of a store, which also lists people by name."""


class OpenedStore(Store, ArchivedStore, Protocol):
    """A store as its factory opens it, with the credentials that are stored in the same place."""

    @property
    def api_keys(self) -> ApiKeyStore:
        """The store of API keys."""

    @property
    def ended_sessions(self) -> EndedSessionStore:
        """The store of ended console sessions."""

    @property
    def search(self) -> StoreIndex | None:
        """The search index, None if the store has none."""


class ServiceStore(NamedTuple):
    """The parts of an open store, for the assembly of the service."""

    people: Store
    """The records, with metrics and the configured cache."""
    secret: bytes
    """32 random bytes, generated when the store is created, from which all processes derive keys."""
    api_keys: ApiKeyStore
    ended_sessions: EndedSessionStore
    imports: ImportLog
    archive: VersionArchive
    trash: TrashStore
    """The deleted people, with metrics and the configured cache."""
    merges: MergeStore
    """The merges, with metrics and the configured cache."""
    cache: ServiceCache | None = None
    """The cache in front of the records, None if none is configured."""
    search: StoreIndex | None = None
    """The search index, None if the store has none."""
    matches: MatchIndex | None = None
    """The match index, None if the store has none or if it is off."""
    immediate: ImmediateReader | None = None
    """Reads that never wait, None if every read may wait."""
    joined: JoinedReader | None = None
    """Batch reads that never wait, None if every batch may wait."""


class ServiceCache(CachedReader, Protocol):
    """Cached reads, and the state of the cache."""

    @property
    def state(self) -> str:
        """State of the cache: "ok" or "down"."""
