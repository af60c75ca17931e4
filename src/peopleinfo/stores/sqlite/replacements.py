"""Replacements of records in the current transaction. Each statement changes all records of a batch: most of its cost is that of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.errors import IdentifierConflict, PersonNotFound, VersionConflict
from peopleinfo.people.folding import FOLD_VERSION
from peopleinfo.people.history import UPDATED
from peopleinfo.people.person import PersonData, StoredPerson, encode_person, split_record, timestamp
from peopleinfo.stores.sqlite.merge_rows import missing
from peopleinfo.stores.sqlite.reindex import data_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from peopleinfo.people.history import Origin
    from peopleinfo.people.store import ReplaceOutcome
    from peopleinfo.stores.sqlite.history import Recorder
    from peopleinfo.stores.sqlite.merge_rows import MergeLogs
    from peopleinfo.stores.sqlite.person_keys import EncryptingWriter
    from peopleinfo.stores.sqlite.search_entries import SearchEntries
    from peopleinfo.stores.sqlite.upsert import LocatedPerson

_BATCH: Final = 500  # records in memory at a time
_READ: Final = "SELECT seq, surname_key, version, body, plan FROM readable WHERE seq IN"
_SET: Final = "fold = ?, version = ?, body = ?, operation = ?, principal = ?, import_id = ?, plan = ? WHERE seq = ?"
_UPDATE: Final = f"UPDATE people SET {_SET}"  # noqa: S608 - constants; leaves the row where it is
_MOVE: Final = f"UPDATE people SET surname_key = ?, {_SET}"  # noqa: S608
_Row = tuple[int, str, int, bytes, int]


class Change(NamedTuple):
    """The new fields of a record, and the version that the client has read."""

    seq: int
    person_id: str
    data: PersonData
    expected: int


class _Replaced(NamedTuple):
    seq: int
    old: PersonData
    old_key: str
    plan: int
    new: PersonData
    record: StoredPerson


class Replacer:
    """Replaces records."""

    def __init__(
        self,
        encryptor: EncryptingWriter | None,
        recorder: Recorder,
        entries: SearchEntries,
        logs: MergeLogs,
        now: Callable[[], datetime],
    ) -> None:
        self._encryptor = encryptor
        self._recorder = recorder
        self._entries = entries
        self._logs = logs
        self._now = now

    def replace(self, db: sqlite3.Connection, change: Change, origin: Origin) -> StoredPerson:
        """Replace one record. Raises PersonNotFound, VersionConflict and IdentifierConflict, before the first write."""
        (outcome,) = self._replace(db, [change], origin)
        if isinstance(outcome, StoredPerson):
            return outcome
        raise outcome

    def replace_all(self, db: sqlite3.Connection, changes: Sequence[Change], origin: Origin) -> list[ReplaceOutcome]:
        """Replace records, and return for each the new record or why it is not changed. No record may occur twice."""
        # A unique identifier is compared with those of the records before it.
        size = 1 if self._entries.plan.unique else _BATCH
        return [
            outcome
            for start in range(0, len(changes), size)
            for outcome in self._replace(db, changes[start : start + size], origin)
        ]

    def store_later_versions(self, db: sqlite3.Connection, people: Sequence[LocatedPerson]) -> None:
        """Replace records by later versions from another store, without a check of unique identifiers."""
        now = self._now()
        for start in range(0, len(people), _BATCH):
            batch = people[start : start + _BATCH]
            rows = _read(db, [person.seq for person in batch])
            self._write(db, [_later_version(person, rows[person.seq]) for person in batch], UPDATED, now)

    def _replace(self, db: sqlite3.Connection, changes: Sequence[Change], origin: Origin) -> list[ReplaceOutcome]:
        at = timestamp(now := self._now())
        rows = _read(db, [change.seq for change in changes])
        outcomes: list[ReplaceOutcome] = []
        replaced: list[_Replaced] = []
        for change in changes:
            try:
                replaced.append(self._replaced(db, change, rows.get(change.seq), at))
            except (PersonNotFound, VersionConflict, IdentifierConflict) as error:
                outcomes.append(error)
            else:
                outcomes.append(replaced[-1].record)
        self._write(db, replaced, origin, now)
        return outcomes

    def _replaced(self, db: sqlite3.Connection, change: Change, row: _Row | None, at: str) -> _Replaced:
        if row is None:
            raise missing(db, change.person_id, change.seq)
        _, key, version, body, plan = row
        if version != change.expected:
            raise VersionConflict(change.person_id, actual=version)
        old, given = split_record(StoredPerson(change.person_id, version, body))
        self._entries.check_unique(db, change.seq, change.data)
        record = encode_person(
            change.person_id, version + 1, change.data, created_at=given["created_at"], updated_at=at
        )
        return _Replaced(change.seq, old, key, plan, change.data, record)

    def _write(self, db: sqlite3.Connection, replaced: Sequence[_Replaced], origin: Origin, now: datetime) -> None:
        self._recorder.replacing(db, [(one.seq, one.record) for one in replaced], origin.operation, now)
        self._entries.replace(db, [(one.seq, one.old, one.plan, one.new) for one in replaced])
        self._update(db, replaced, origin)
        self._logs.edited(db, [(one.seq, one.record.version, one.new) for one in replaced])

    def _update(self, db: sqlite3.Connection, replaced: Sequence[_Replaced], origin: Origin) -> None:
        updated, moved = [], []
        for seq, _, old_key, _, new, record in replaced:
            key, version, body = new.surname_key, record.version, record.body
            if self._encryptor:
                key, body = self._encryptor.index(key), self._encryptor.encrypt_record(db, seq, version, body)
            values = (FOLD_VERSION, version, body, *origin, self._entries.number, seq)
            if key == old_key:
                updated.append(values)
            else:
                moved.append((key, *values))
        db.executemany(_UPDATE, updated)
        db.executemany(_MOVE, moved)


def _read(db: sqlite3.Connection, seqs: Sequence[int]) -> dict[int, _Row]:
    """Return the current rows of records by their seqs."""
    query = f"{_READ} ({', '.join('?' * len(seqs))})"
    return {row[0]: row for row in db.execute(query, seqs)}


def _later_version(person: LocatedPerson, row: _Row) -> _Replaced:
    seq, key, _, body, plan = row
    record = StoredPerson(*person.key, person.person.body)
    return _Replaced(seq, data_of(body), key, plan, data_of(record.body), record)
