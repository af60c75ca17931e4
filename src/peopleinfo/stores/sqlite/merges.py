"""Merges in the database file. Implements `peopleinfo.matching.merge_store.MergeStore`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from peopleinfo.errors import PersonNotFound, VersionConflict
from peopleinfo.matching.merge_store import Member, MergeRecord, redacted, reencoded
from peopleinfo.people.folding import FOLD_VERSION
from peopleinfo.people.history import Operation, Origin
from peopleinfo.people.person import StoredPerson, timestamp
from peopleinfo.stores.sqlite import batches, merge_rows
from peopleinfo.stores.sqlite.changes import append_changes
from peopleinfo.stores.sqlite.merge_archive import MergeArchive, move_record
from peopleinfo.stores.sqlite.replacements import Change

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from peopleinfo.matching.merge_store import MergeWrite, RecordChange, UndoWrite
    from peopleinfo.stores.sqlite.connection import ReadInThread
    from peopleinfo.stores.sqlite.deletion import Eraser
    from peopleinfo.stores.sqlite.history import Recorder
    from peopleinfo.stores.sqlite.merge_rows import MergeLogs
    from peopleinfo.stores.sqlite.person_keys import EncryptingWriter
    from peopleinfo.stores.sqlite.replacements import Replacer
    from peopleinfo.stores.sqlite.search_entries import SearchEntries
    from peopleinfo.stores.sqlite.writer import GroupCommitWriter

_INSERT: Final = """
    INSERT INTO people (surname_key, seq, fold, version, body, operation, principal, import_id, plan)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_VERSIONS: Final = "SELECT version, body FROM readable_history WHERE seq = ?"
_REWRITE: Final = "UPDATE history SET body = ? WHERE seq = ? AND version = ?"


class SqliteMerges:
    """Merges of the records in the file."""

    def __init__(
        self,
        writer: GroupCommitWriter,
        run: ReadInThread,
        seqs_of: Callable[[Sequence[str]], list[int]],
        now: Callable[[], datetime],
        *,
        encryptor: EncryptingWriter | None,
        recorder: Recorder,
        entries: SearchEntries,
        eraser: Eraser,
        logs: MergeLogs,
        replacer: Replacer,
    ) -> None:
        """`run` runs a read in the thread of long reads; `seqs_of` returns 0 for an unknown id."""
        self._writer = writer
        self._run = run
        self._seqs = seqs_of
        self._now = now
        self._encryptor = encryptor
        self._recorder = recorder
        self._entries = entries
        self._eraser = eraser
        self._logs = logs
        self._replacer = replacer
        archive = MergeArchive(writer, run, seqs_of, now, entries, logs)
        self.merge_ids = archive.merge_ids
        self.read_log = archive.read_log
        self.store_merge = archive.store_merge

    async def read_members(self, person_ids: Sequence[str]) -> list[Member | None]:
        pairs = list(zip(person_ids, self._seqs(person_ids), strict=True))
        return await self._run(lambda db: [merge_rows.read_member(db, *pair) for pair in pairs])

    async def read_merge(self, merge_id: str) -> MergeRecord | None:
        return await self._run(lambda db: merge_rows.read_merge(db, merge_id))

    async def merges_of(self, person_id: str) -> list[MergeRecord]:
        (seq,) = self._seqs([person_id])
        return await self._run(lambda db: merge_rows.merges_of(db, seq))

    async def group(self, person_id: str) -> list[str]:
        """Implement `PersonReader.merge_group`."""
        (seq,) = self._seqs([person_id])
        return await self._run(lambda db: merge_rows.group(db, person_id, seq))

    async def merge(self, write: MergeWrite) -> StoredPerson | None:
        survivor, merge = write.survivor, write.record
        seqs = dict(zip(merge.people, self._seqs(merge.people), strict=True))

        def change(db: sqlite3.Connection) -> StoredPerson | None:
            if merge_rows.read_merge(db, merge.merge_id):
                return None
            seq = seqs[survivor.person_id]
            _check_version(db, survivor, seq)
            for each in merge.merged:
                move_record(db, self._entries, each, seqs, merge, self._now())
            record = self._change(db, survivor, seq, Origin(Operation.MERGED, write.principal))
            merge_rows.insert_merge(db, merge, seqs.values())
            return record

        return await self._writer.run(change, size=batches.variable_size(survivor.data))

    async def undo(self, write: UndoWrite) -> list[StoredPerson] | None:
        survivor, merge = write.survivor, write.record
        seqs = dict(zip(merge.people, self._seqs(merge.people), strict=True))
        origin = Origin(Operation.UNMERGED, write.principal)

        def change(db: sqlite3.Connection) -> list[StoredPerson] | None:
            stored = merge_rows.read_merge(db, merge.merge_id)
            if stored is None or stored.undone_at is not None:
                return None
            seq = seqs[survivor.person_id]
            _check_version(db, survivor, seq)
            # The replaced version is archived with the old key and rewritten with the others.
            record = self._change(db, survivor, seq, origin)
            self._rewrite(db, write, seq, record)
            restored = [self._restore(db, each, seqs[each.person_id], origin) for each in write.merged]
            merge_rows.update_merge(db, merge)
            return [record, *restored]

        return await self._eraser.run(change)

    def _change(self, db: sqlite3.Connection, change: RecordChange, seq: int, origin: Origin) -> StoredPerson:
        record = self._replacer.replace(db, Change(seq, change.person_id, change.data, change.expected), origin)
        self._logs.write(db, seq, record.version, change.log)
        return record

    def _restore(self, db: sqlite3.Connection, change: RecordChange, seq: int, origin: Origin) -> StoredPerson:
        """Move a merged record back to the table of people and to the indexes."""
        last, merged = merge_rows.merged_versions(db, change.person_id, seq)
        if merged.version != change.expected:
            raise VersionConflict(change.person_id, actual=merged.version)
        at = timestamp(now := self._now())
        before = StoredPerson(change.person_id, last.version, last.body)
        record = reencoded(before, merged.version + 1, at, change.data.to_dict())
        for version in (last, merged):
            body = self._encrypted(db, seq, StoredPerson(change.person_id, version.version, version.body))
            self._recorder.archive(db, seq, version._replace(body=body), record.version, now)
        db.execute("DELETE FROM merged_people WHERE seq = ?", (seq,))
        self._entries.check_unique(db, seq, change.data)
        self._entries.add(db, [(seq, change.data)])
        key = change.data.surname_key
        key = self._encryptor.index(key) if self._encryptor else key
        row = (key, seq, FOLD_VERSION, record.version, self._encrypted(db, seq, record), *origin, self._entries.number)
        db.execute(_INSERT, row)
        append_changes(db, [(record.person_id, record.version)], Operation.UNMERGED, now)
        if change.log:
            self._logs.write(db, seq, record.version, change.log)
        return record

    def _rewrite(self, db: sqlite3.Connection, write: UndoWrite, seq: int, record: StoredPerson) -> None:
        """Remove the values of the merged records from the survivor's versions, and encrypt all its data with a new key."""
        versions = [
            redacted(StoredPerson(record.person_id, version, body), write.redaction)
            for version, body in db.execute(_VERSIONS, (seq,)).fetchall()
        ]
        if self._encryptor:
            self._encryptor.renew_key(db, seq)
            body = self._encrypted(db, seq, record)
            db.execute("UPDATE people SET body = ? WHERE seq = ?", (body, seq))
            self._logs.write(db, seq, record.version, write.survivor.log)
        for version in versions:
            db.execute(_REWRITE, (self._encrypted(db, seq, version), seq, version.version))

    def _encrypted(self, db: sqlite3.Connection, seq: int, record: StoredPerson) -> bytes:
        if self._encryptor is None:
            return record.body
        return self._encryptor.encrypt_record(db, seq, record.version, record.body)


def _check_version(db: sqlite3.Connection, change: RecordChange, seq: int) -> Any:
    """Raise PersonNotFound, PersonMerged or VersionConflict unless a record has the expected version."""
    if not seq:
        raise PersonNotFound(change.person_id)
    return batches.read_expected(db, change.person_id, seq, change.expected)
