"""The interface of a store for backups and copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from peopleinfo.matching.match_index import MatchIndex
    from peopleinfo.matching.merge_store import MergeStore
    from peopleinfo.people.import_log import ImportLog
    from peopleinfo.people.trash import TrashStore
    from peopleinfo.people.version_archive import VersionArchive


class ArchivedStore(Protocol):
    """The parts of a store that backups and copies read and write besides its current records."""

    @property
    def archive(self) -> VersionArchive:
        """The histories of people, for backups and copies."""

    @property
    def trash(self) -> TrashStore:
        """The deleted people that can be restored."""

    @property
    def merges(self) -> MergeStore:
        """The merges of the records."""

    @property
    def imports(self) -> ImportLog:
        """The log of imports."""

    @property
    def matches(self) -> MatchIndex | None:
        """The match index, None if the store has none."""

    @property
    def secret(self) -> bytes:
        """32 random bytes, generated when the store is created, from which all processes derive keys."""
