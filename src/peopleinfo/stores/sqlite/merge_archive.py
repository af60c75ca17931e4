"""The merges of a database file as a whole, for backups and copies. Implements `peopleinfo.matching.merge_store.MergeArchive`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import PersonNotFound, VersionConflict
from peopleinfo.matching.merge_store import StoredLog, decode_log
from peopleinfo.people.history import Operation
from peopleinfo.stores.sqlite import batches, merge_rows
from peopleinfo.stores.sqlite.changes import append_changes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from peopleinfo.matching.merge_store import MergedVersion, MergeRecord
    from peopleinfo.stores.sqlite.connection import ReadInThread
    from peopleinfo.stores.sqlite.merge_rows import MergeLogs
    from peopleinfo.stores.sqlite.search_entries import SearchEntries
    from peopleinfo.stores.sqlite.writer import GroupCommitWriter

_IDS: Final = "SELECT merge_id FROM merges ORDER BY n"
_LOG: Final = "SELECT version, body FROM readable_logs WHERE seq = ?"
_VERSION: Final = "SELECT version FROM people WHERE seq = ?1 UNION ALL SELECT version FROM merged_people WHERE seq = ?1"


class MergeArchive:
    """Reads and stores merges."""

    def __init__(
        self,
        writer: GroupCommitWriter,
        run: ReadInThread,
        seqs_of: Callable[[Sequence[str]], list[int]],
        now: Callable[[], datetime],
        entries: SearchEntries,
        logs: MergeLogs,
    ) -> None:
        """The parameters are those of `SqliteMerges`."""
        self._writer = writer
        self._run = run
        self._seqs = seqs_of
        self._now = now
        self._entries = entries
        self._logs = logs

    async def merge_ids(self) -> list[str]:
        """Implement `MergeArchive.merge_ids`."""
        return await self._run(lambda db: [merge_id.hex() for (merge_id,) in db.execute(_IDS)])

    async def read_log(self, person_id: str) -> StoredLog | None:
        """Implement `MergeArchive.read_log`."""
        (seq,) = self._seqs([person_id])
        row = await self._run(lambda db: db.execute(_LOG, (seq,)).fetchone())
        return StoredLog(row[0], decode_log(row[1])) if row else None

    async def store_merge(self, merge: MergeRecord, log: StoredLog | None) -> None:
        """Implement `MergeArchive.store_merge`."""
        seqs = dict(zip(merge.people, self._seqs(merge.people), strict=True))
        if all(seqs.values()):
            with suppress(PersonNotFound, VersionConflict):
                await self._writer.run(lambda db: self._store(db, merge, log, seqs))

    def _store(
        self, db: sqlite3.Connection, merge: MergeRecord, log: StoredLog | None, seqs: Mapping[str, int]
    ) -> None:
        """Raises PersonNotFound or VersionConflict if the people have other versions."""
        survivor = seqs[merge.survivor.person_id]
        is_matching = log is not None and db.execute(_VERSION, (survivor,)).fetchone() == (log.version,)
        stored = merge_rows.read_merge(db, merge.merge_id)
        if stored is None and (merge.undone_at or is_matching):
            for each in () if merge.undone_at else merge.merged:
                move_record(db, self._entries, each, seqs, merge, self._now())
            merge_rows.insert_merge(db, merge, seqs.values())
        elif stored is not None and merge.undone_at and not stored.undone_at:
            merge_rows.update_merge(db, merge)
        if log is not None and is_matching:
            self._logs.write(db, survivor, *log)


def move_record(
    db: sqlite3.Connection,
    entries: SearchEntries,
    merged: MergedVersion,
    seqs: Mapping[str, int],
    merge: MergeRecord,
    now: datetime,
) -> None:
    """Move a merged record out of the table of people and of all indexes.

    Raises PersonNotFound or VersionConflict unless it is current at the version before the merge.
    """
    person_id, version = merged.person_id, merged.version
    seq, into = seqs[person_id], merge.survivor.person_id
    _, body, plan = batches.read_expected(db, person_id, seq, version - 1)
    entries.remove(db, seq, body, plan)
    merge_rows.move_to_merged(db, person_id, seq, (into, seqs[into]), merge.merge_id)
    append_changes(db, [(person_id, version)], Operation.MERGED, now, merged_into=into)
