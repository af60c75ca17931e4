"""The embedded store in a SQLite file. Implements `peopleinfo.people.store.Store`, which specifies the semantics."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from peopleinfo.errors import StoreUnavailable
from peopleinfo.people.folding import FOLD_VERSION
from peopleinfo.people.history import UPDATED, Operation, Origin
from peopleinfo.people.import_log import created_batches, updated_batches
from peopleinfo.people.person import PersonData, StoredPerson, check_stored, encode_person, timestamp
from peopleinfo.people.store import Checkpoint, Lease, Page, PurgeResult, ReindexResult
from peopleinfo.stores.sqlite import batches
from peopleinfo.stores.sqlite.api_keys import SqliteApiKeyStore
from peopleinfo.stores.sqlite.batch_creates import BatchCreator
from peopleinfo.stores.sqlite.changes import read_changes
from peopleinfo.stores.sqlite.checkpoints import acquire_lease, advance_checkpoint, delete_checkpoint, read_checkpoint
from peopleinfo.stores.sqlite.deletion import Eraser, purge_people
from peopleinfo.stores.sqlite.ended_sessions import SqliteEndedSessionStore
from peopleinfo.stores.sqlite.fold_upgrade import find_in_both_versions
from peopleinfo.stores.sqlite.idempotency import IdempotencyKeys
from peopleinfo.stores.sqlite.immediate_reads import SqliteImmediateReader
from peopleinfo.stores.sqlite.import_log import SqliteImportLog, check_not_undone, record_imported
from peopleinfo.stores.sqlite.match_index import SqliteMatchIndex
from peopleinfo.stores.sqlite.merge_rows import MergeLogs, missing
from peopleinfo.stores.sqlite.merges import SqliteMerges
from peopleinfo.stores.sqlite.paging import SEQ_SIZE, find_page, parse_position, position_after, scan_page
from peopleinfo.stores.sqlite.person_seqs import PersonSeqs
from peopleinfo.stores.sqlite.reindex import INDEXED_BY, Keys, Reindex, data_of
from peopleinfo.stores.sqlite.replacements import Change, Replacer
from peopleinfo.stores.sqlite.search_index import SqliteSearchIndex
from peopleinfo.stores.sqlite.trash import SqliteTrash
from peopleinfo.stores.sqlite.upsert import Upsert, latest_versions
from peopleinfo.stores.sqlite.version_archive import SqliteVersionArchive
from peopleinfo.telemetry.metrics import SQLITE_QUEUE_LENGTH, SQLITE_WAL_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import ThreadPoolExecutor
    from datetime import datetime

    from peopleinfo.people.history import ChangePage, VersionPage
    from peopleinfo.people.idempotency import IdempotencyKey
    from peopleinfo.people.person_filter import PersonFilter
    from peopleinfo.people.store import Replacement, ReplaceOutcome
    from peopleinfo.stores.sqlite.errors import ErrorTranslator
    from peopleinfo.stores.sqlite.files import StoreFiles
    from peopleinfo.stores.sqlite.history import Recorder
    from peopleinfo.stores.sqlite.person_keys import DecryptingReader, EncryptingWriter, Row
    from peopleinfo.stores.sqlite.search_entries import SearchEntries
    from peopleinfo.stores.sqlite.writer import GroupCommitWriter

T = TypeVar("T")

_READINESS_TIMEOUT: Final = 2.0

_INSERT: Final = "INSERT INTO people (surname_key, seq, fold, version, body, principal, import_id, plan) VALUES"


class SqliteStore:
    """Records in a SQLite file, which other processes may use at the same time."""

    def __init__(
        self,
        reader: sqlite3.Connection,
        scanner: sqlite3.Connection,
        threads: ThreadPoolExecutor,
        writer: GroupCommitWriter,
        files: StoreFiles,
        errors: ErrorTranslator,
        now: Callable[[], datetime],
        *,
        secret: bytes,
        encryptor: EncryptingWriter | None,
        decryptor: DecryptingReader | None,
        recorder: Recorder,
        entries: SearchEntries,
    ) -> None:
        # Short reads run in the event loop: they are cheaper than a switch to a thread (ADR 3).
        self._reader = reader
        self._scanner = scanner
        self._threads = threads
        self._writer = writer
        self._files = files
        self._errors = errors
        self._now = now
        self.api_keys = SqliteApiKeyStore(reader, writer, errors)
        self.imports = SqliteImportLog(reader, writer, errors)
        self.ended_sessions = SqliteEndedSessionStore(reader, writer, errors, now)
        self.secret = secret
        self._encryptor = encryptor  # None: records are not encrypted
        self._decryptor = decryptor
        self._recorder = recorder
        self._idempotency = IdempotencyKeys(encryptor, now)
        self.index_value: Callable[[str], str] = encryptor.index if encryptor else str
        self._entries = entries
        self._seqs = seqs = PersonSeqs(reader, errors, secret)
        batch = BatchCreator(writer, self._insert, self._idempotency, seqs.id_of, entries.plan.unique, self)
        self.create_each = batch.create_each
        self.search = SqliteSearchIndex(self._in_thread, entries, reader)
        self.immediate = SqliteImmediateReader(self, reader, self.search, seqs, encrypted=encryptor is not None)
        self.matches = SqliteMatchIndex(self._in_thread, writer, self.search)
        self.archive = SqliteVersionArchive(self._in_thread, seqs.of_all, writer, encryptor, recorder.limits, now)
        self._logs = MergeLogs(encryptor)
        self._replacer = Replacer(encryptor, recorder, entries, self._logs, now)
        self._eraser = Eraser(writer, recorder, entries, now, encrypted=encryptor is not None)
        self.trash = SqliteTrash(
            writer,
            self._in_thread,
            seqs.of,
            now,
            encryptor=encryptor,
            recorder=recorder,
            entries=entries,
            eraser=self._eraser,
        )
        self.merges = self._merges(writer)
        self.merge_group = self.merges.group

    def _merges(self, writer: GroupCommitWriter) -> SqliteMerges:
        return SqliteMerges(
            writer,
            self._in_thread,
            self._seqs.of_all,
            self._now,
            encryptor=self._encryptor,
            recorder=self._recorder,
            entries=self._entries,
            eraser=self._eraser,
            logs=self._logs,
            replacer=self._replacer,
        )

    async def get(self, person_id: str) -> StoredPerson:
        seq = self._seqs.of(person_id)
        try:
            row = self._reader.execute(batches.BY_SEQ, (seq,)).fetchone()
        except sqlite3.Error as error:
            raise self._errors.translate(error) from error
        if row is None:
            with self._store_errors():
                raise missing(self._reader, person_id, seq)
        return StoredPerson(person_id, row[0], check_stored(row[1], person_id))

    async def create(
        self, data: PersonData, *, idempotency_key: IdempotencyKey | None = None, principal: str | None = None
    ) -> StoredPerson:
        def change(db: sqlite3.Connection) -> StoredPerson:
            if idempotency_key is not None and (first := self._idempotency.replay(db, idempotency_key)):
                return StoredPerson(self._seqs.id_of(first[0]), 1, first[1])
            (record,) = self._insert(db, [data], Origin(Operation.CREATED, principal))
            if idempotency_key is not None:
                (seq,) = db.execute("SELECT last_seq FROM deployment").fetchone()
                self._idempotency.save(db, idempotency_key, seq, record.body)
            return record

        return await self._writer.run(change, size=batches.variable_size(data))

    async def replace(
        self,
        person_id: str,
        data: PersonData,
        *,
        expected: int,
        current: StoredPerson | None = None,
        origin: Origin = UPDATED,
    ) -> StoredPerson:
        change = Change(self._seqs.of(person_id), person_id, data, expected)
        return await self._writer.run(
            lambda db: self._replacer.replace(db, change, origin),
            size=batches.variable_size(data),
        )

    async def delete(self, person_id: str, *, expected: int | None = None) -> None:
        await self._eraser.delete(person_id, self._seqs.of(person_id), expected)

    async def find(self, person_filter: PersonFilter, *, after: bytes | None, limit: int) -> Page:
        key = self._encryptor.index_lookup(person_filter) if self._encryptor else person_filter.surname_key
        try:
            if not self.search.is_complete and person_filter.outdated_key:
                index = self.index_value
                return await self._in_thread(lambda db: find_in_both_versions(db, person_filter, index, after, limit))
            if person_filter.needs_row_check:  # may read thousands of rows, which must not block the loop
                return await self._in_thread(lambda db: find_page(db, person_filter, key, after, limit))
            if self._decryptor and key is not None:
                return self._decryptor.find_page(key, parse_position(after)[0], limit)
            return find_page(self._reader, person_filter, key, after, limit)
        except sqlite3.Error as error:
            raise self._errors.translate(error) from error

    async def scan(
        self,
        *,
        after: bytes | None,
        limit: int,
        person_filter: PersonFilter | None = None,
        segment: int = 0,
        segments: int = 1,
    ) -> Page:
        def read(db: sqlite3.Connection) -> Page:
            return scan_page(db, person_filter, after, limit, segment, segments)

        return await self._in_thread(read)

    async def create_many(
        self,
        people: Sequence[PersonData],
        *,
        checkpoint: tuple[Checkpoint, Checkpoint] | None = None,
        offsets: Sequence[int] = (),
        principal: str | None = None,
        import_id: bytes | None = None,
    ) -> list[str]:
        def change(db: sqlite3.Connection) -> list[str]:
            check_not_undone(db, import_id)
            advance_checkpoint(db, checkpoint)
            origin = Origin(Operation.CREATED, principal, import_id)
            ids = [record.person_id for record in self._insert(db, people, origin)]
            record_imported(db, import_id, created_batches(ids))
            return ids

        return await self._writer.run(change)

    async def read_versions(self, person_id: str, *, after: int, limit: int) -> VersionPage:
        seq = self._seqs.of(person_id)
        return await self._in_thread(lambda db: self._recorder.read(db, person_id, seq, after, limit))

    async def read_changes(self, *, since: bytes | None, limit: int) -> ChangePage:
        return await self._in_thread(lambda db: read_changes(db, since, limit))

    async def expire_history(self) -> bool:
        await self._eraser.resume()
        return await self._writer.run(self._recorder.expire, deletes=True)

    async def replace_many(
        self, replacements: Sequence[Replacement], *, origin: Origin = UPDATED
    ) -> list[ReplaceOutcome]:
        seqs = self._seqs.of_all([current.person_id for _, current in replacements])

        changes = [
            Change(seq, current.person_id, data, current.version)
            for seq, (data, current) in zip(seqs, replacements, strict=True)
        ]

        def change(db: sqlite3.Connection) -> list[ReplaceOutcome]:
            check_not_undone(db, origin.import_id)
            outcomes = self._replacer.replace_all(db, changes, origin)
            updated = [(one.person_id, one.version) for one in outcomes if isinstance(one, StoredPerson)]
            record_imported(db, origin.import_id, updated_batches(updated))
            return outcomes

        return await self._writer.run(change, size=sum(batches.variable_size(data) for data, _ in replacements))

    async def get_many(self, person_ids: Sequence[str]) -> list[StoredPerson | None]:
        seqs = self._seqs.of_all(person_ids)
        if len(seqs) > batches.SHORT_READ:
            return await self._in_thread(lambda db: batches.read_records(db, person_ids, seqs))
        with self._store_errors():
            return batches.read_records(self._reader, person_ids, seqs)

    async def delete_checkpoint(self, checkpoint: Checkpoint) -> None:
        await self._writer.run(lambda db: delete_checkpoint(db, checkpoint))

    async def read_checkpoint(self, operation_id: bytes) -> Checkpoint:
        with self._store_errors():
            return read_checkpoint(self._reader, operation_id)

    async def acquire_lease(self, lease: Lease, *, now: datetime) -> bool:
        return await self._writer.run(lambda db: acquire_lease(db, lease, now))

    def update_gauges(self) -> None:
        SQLITE_QUEUE_LENGTH.set(self._writer.queue_length)
        SQLITE_WAL_BYTES.set(self._files.log_size())

    async def upsert_many(
        self, people: Sequence[bytes], *, checkpoint: tuple[Checkpoint, Checkpoint] | None = None
    ) -> int:
        incoming = latest_versions(people, self._seqs.own)

        def change(db: sqlite3.Connection) -> int:
            advance_checkpoint(db, checkpoint)
            upsert = Upsert(db)
            upsert.add(incoming)
            batches.check_not_encrypted(db, encrypted=self._encryptor is not None)
            self._entries.add(db, [(person.seq, data_of(person.row[-1])) for person in upsert.inserts])
            self._insert_rows(db, [person.row for person in upsert.inserts], UPDATED)
            self._recorder.created(db, [person.key for person in upsert.inserts], self._now())
            self._replacer.store_later_versions(db, upsert.updates)
            return len(upsert.inserts) + len(upsert.updates)

        return await self._writer.run(change)

    async def reindex(self, *, after: bytes | None, limit: int) -> ReindexResult:
        seq, _ = parse_position(after)
        rows = await self._in_thread(lambda db: db.execute(INDEXED_BY, (seq, limit)).fetchall())
        batch = Reindex(rows, self.index_value, self._entries)
        end = position_after(rows[-1][:1]) if len(rows) == limit else None
        keys: Keys = []
        with self._store_errors():
            is_complete = self.search.is_complete
        if batch.outdated or not is_complete or end is None:
            keys = await self._writer.run(lambda db: batch.run(db, is_last=end is None))
        return ReindexResult(len(rows), keys, end)

    async def purge(self, *, after: bytes | None, limit: int, remove: bool = True) -> PurgeResult:
        encryptor, (seq, _) = self._encryptor, parse_position(after)
        if encryptor is None:
            return PurgeResult(0, 0, None)

        def change(db: sqlite3.Connection) -> tuple[list[int], list[int]]:
            people, without_key = encryptor.without_key(db, seq, limit)
            if without_key and remove:
                purge_people(db, without_key, self._seqs.id_of)
            return people, without_key

        people, without_key = await self._writer.run(change)
        end = people[-1].to_bytes(SEQ_SIZE) if len(people) == limit else None
        return PurgeResult(len(people), len(without_key), end)

    async def estimate(self) -> int | None:
        return await self._in_thread(lambda db: int(db.execute("SELECT count(*) FROM people").fetchone()[0]))

    async def check(self) -> None:
        if self._errors.damage:
            raise self._errors.damage
        with self._store_errors():
            self._reader.execute("SELECT last_seq FROM deployment").fetchone()
        if self._writer.last_error or self._files.have_changed():  # only another write shows the current state
            try:
                async with asyncio.timeout(_READINESS_TIMEOUT):
                    await self._writer.run(lambda db: db.execute("UPDATE deployment SET last_seq = last_seq"))
            except TimeoutError:
                raise StoreUnavailable("queued writes did not finish in time") from None

    async def _in_thread(self, read: Callable[[sqlite3.Connection], T]) -> T:
        def work() -> T:
            with self._store_errors():
                return read(self._scanner)

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    @contextmanager
    def _store_errors(self) -> Iterator[None]:
        """Translate SQLite's errors to store errors. Reads of a record inline this, because it would cost as much as the read."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._errors.translate(error) from error

    def _insert(self, db: sqlite3.Connection, people: Sequence[PersonData], origin: Origin) -> list[StoredPerson]:
        batches.check_not_encrypted(db, encrypted=self._encryptor is not None)
        (last,) = db.execute(
            "UPDATE deployment SET last_seq = last_seq + ? RETURNING last_seq", (len(people),)
        ).fetchone()
        at = timestamp(now := self._now())
        rows, records = [], []
        for seq, data in enumerate(people, start=last - len(people) + 1):
            record = encode_person(self._seqs.id_of(seq), 1, data, created_at=at, updated_at=at)
            rows.append((data.surname_key, seq, FOLD_VERSION, 1, record.body))
            records.append(record)
        self._insert_rows(db, rows, origin)
        self._entries.add_unique(db, [(row[1], data) for row, data in zip(rows, people, strict=True)])
        self._recorder.created(db, [(record.person_id, 1) for record in records], now)
        return records

    def _insert_rows(self, db: sqlite3.Connection, rows: list[Row], origin: Origin) -> None:
        if self._encryptor:
            rows = self._encryptor.encrypt_new(db, rows)
        # Sorted in the order of the file.
        batches.insert_rows(db, _INSERT, [(*row, *origin[1:], self._entries.number) for row in sorted(rows)])
