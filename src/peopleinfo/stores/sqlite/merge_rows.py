"""Rows of merges: merged records, the logs of survivors and merge records. Each function runs in the current transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo.errors import PersonMerged, PersonNotFound
from peopleinfo.matching.merge_store import (
    Member,
    MergeLog,
    MergeRecord,
    decode_log,
    decode_merge,
    encode_log,
    reencoded,
)
from peopleinfo.people import strict_json
from peopleinfo.people.history import Operation, Origin, PersonVersion, default_operation
from peopleinfo.people.person import StoredPerson, check_stored

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from peopleinfo.people.person import PersonData
    from peopleinfo.stores.sqlite.person_keys import EncryptingWriter

_MERGED: Final = "SELECT merged_into, merge_id FROM merged_people WHERE seq = ?"
_SURVIVOR: Final = "SELECT merged_into, survivor_seq FROM merged_people WHERE seq = ?"
_MERGED_INTO: Final = "SELECT person_id, seq, version + 1 FROM merged_people WHERE survivor_seq = ?"
_MOVE: Final = """
    INSERT INTO merged_people (seq, person_id, survivor_seq, merged_into, merge_id, version, operation, principal, import_id, body)
    SELECT seq, ?, ?, ?, ?, version, operation, principal, import_id, body FROM people WHERE seq = ?
"""
_READ: Final = """
    SELECT version, operation, principal, import_id, body, merge_id, merged_into FROM readable_merged WHERE seq = ?
"""
_LIVE: Final = "SELECT version, body FROM readable WHERE seq = ?"
_HAS_LOGS: Final = "SELECT 1 FROM merge_logs LIMIT 1"
_LOG: Final = "SELECT body FROM readable_logs WHERE seq = ?"
_MERGES_OF: Final = """
    SELECT body FROM merge_members JOIN merges USING (merge_id) WHERE merge_members.seq = ? ORDER BY merges.n DESC
"""
_ERASE_RECORDS: Final = (
    "DELETE FROM merges WHERE merge_id IN (SELECT merge_id FROM merge_members WHERE seq = ?)",
    "DELETE FROM merge_members WHERE merge_id IN (SELECT merge_id FROM merge_members WHERE seq = ?)",
    "DELETE FROM merge_logs WHERE seq = ?",
)


class MergedRow(NamedTuple):
    """A merged record as it was before its merge, with its origin and the merge."""

    record: StoredPerson
    origin: Origin
    merge_id: str
    merged_into: str


class MergeLogs:
    """The logs of surviving records."""

    def __init__(self, encryptor: EncryptingWriter | None) -> None:
        self._encryptor = encryptor

    def write(self, db: sqlite3.Connection, seq: int, version: int, log: MergeLog | None) -> None:
        """Store the log of a record at a version, or delete it."""
        if log is None:
            db.execute("DELETE FROM merge_logs WHERE seq = ?", (seq,))
            return
        body = encode_log(log)
        if self._encryptor:
            body = self._encryptor.encrypt_log(db, seq, version, body)
        db.execute("INSERT OR REPLACE INTO merge_logs VALUES (?, ?, ?)", (seq, version, body))

    def edited(self, db: sqlite3.Connection, changes: Iterable[tuple[int, int, PersonData]]) -> None:
        """Add the changes that created versions of records, if other records are merged into them."""
        if db.execute(_HAS_LOGS).fetchone():
            for seq, version, data in changes:
                if log := read_log(db, seq):
                    self.write(db, seq, version, log.edited(data))


def missing(db: sqlite3.Connection, person_id: str, seq: int) -> PersonNotFound:
    """Return the error of a record that is not current: PersonMerged or PersonNotFound."""
    row = db.execute(_MERGED, (seq,)).fetchone()
    return PersonMerged(row[0].hex(), row[1].hex()) if row else PersonNotFound(person_id)


def outermost(db: sqlite3.Connection, person_id: str, seq: int) -> tuple[str, int]:
    """Return the id and the seq of the outermost survivor of a record: its own unless it is merged."""
    while row := db.execute(_SURVIVOR, (seq,)).fetchone():
        person_id, seq = row[0].hex(), row[1]
    return person_id, seq


def group(db: sqlite3.Connection, person_id: str, seq: int) -> list[str]:
    """Return the ids of the records that are merged with this one, the outermost survivor first."""
    person_id, seq = outermost(db, person_id, seq)
    found, seqs = [person_id], [seq]
    while seqs:
        for other, other_seq, _ in db.execute(_MERGED_INTO, (seqs.pop(),)).fetchall():
            found.append(other.hex())
            seqs.append(other_seq)
    return found


def take_merged(db: sqlite3.Connection, seq: int) -> list[tuple[str, int, int]]:
    """Delete the rows of the records merged into one, and of its merges; return the id, seq and version of each record."""
    merged = [(person_id.hex(), other, version) for person_id, other, version in db.execute(_MERGED_INTO, (seq,))]
    db.execute("DELETE FROM merged_people WHERE survivor_seq = ?", (seq,))
    for statement in _ERASE_RECORDS:
        db.execute(statement, (seq,))
    return merged


def move_to_merged(db: sqlite3.Connection, person_id: str, seq: int, survivor: tuple[str, int], merge_id: str) -> None:
    """Move the row of a current record to the merged ones."""
    into, survivor_seq = survivor
    db.execute(_MOVE, (bytes.fromhex(person_id), survivor_seq, bytes.fromhex(into), bytes.fromhex(merge_id), seq))
    db.execute("DELETE FROM people WHERE seq = ?", (seq,))


def read_merged(db: sqlite3.Connection, person_id: str, seq: int) -> MergedRow | None:
    """Return a merged record, None if the record is not merged."""
    row = db.execute(_READ, (seq,)).fetchone()
    if row is None:
        return None
    version, operation, principal, import_id, body, merge_id, merged_into = row
    origin = Origin(Operation(operation) if operation else default_operation(version), principal, import_id)
    record = StoredPerson(person_id, version, check_stored(body, person_id))
    return MergedRow(record, origin, merge_id.hex(), merged_into.hex())


def merged_versions(db: sqlite3.Connection, person_id: str, seq: int) -> list[PersonVersion]:
    """Return the last version of a merged record and the version that its merge created; none if it is not merged."""
    if (row := read_merged(db, person_id, seq)) is None:
        return []
    merge = read_merge(db, row.merge_id)
    last = PersonVersion(row.record.version, row.origin, row.record.body)
    if merge is None:
        return [last]
    after = reencoded(row.record, row.record.version + 1, merge.at)
    return [last, PersonVersion(after.version, Origin(Operation.MERGED, merge.by), after.body)]


def read_member(db: sqlite3.Connection, person_id: str, seq: int) -> Member | None:
    """Return a current or merged record with its log, None for an unknown record."""
    live = db.execute(_LIVE, (seq,)).fetchone()
    if live is not None:
        return Member(StoredPerson(person_id, live[0], check_stored(live[1], person_id)), read_log(db, seq))
    merged = read_merged(db, person_id, seq)
    return Member(merged.record, read_log(db, seq), merged.merge_id, merged.merged_into) if merged else None


def read_log(db: sqlite3.Connection, seq: int) -> MergeLog | None:
    """Return the log of a record, None if no record is merged into it."""
    row = db.execute(_LOG, (seq,)).fetchone()
    return decode_log(row[0]) if row else None


def read_merge(db: sqlite3.Connection, merge_id: str) -> MergeRecord | None:
    """Return a merge record, None for an unknown id."""
    row = db.execute("SELECT body FROM merges WHERE merge_id = ?", (bytes.fromhex(merge_id),)).fetchone()
    return decode_merge(row[0]) if row else None


def merges_of(db: sqlite3.Connection, seq: int) -> list[MergeRecord]:
    """Return the merges in which a record took part, newest first."""
    return [decode_merge(body) for (body,) in db.execute(_MERGES_OF, (seq,))]


def insert_merge(db: sqlite3.Connection, merge: MergeRecord, seqs: Iterable[int]) -> None:
    """Store a new merge record."""
    merge_id: Any = bytes.fromhex(merge.merge_id)
    db.execute("INSERT INTO merges (merge_id, body) VALUES (?, ?)", (merge_id, strict_json.encode(merge)))
    db.executemany("INSERT INTO merge_members VALUES (?, ?)", [(seq, merge_id) for seq in seqs])


def update_merge(db: sqlite3.Connection, merge: MergeRecord) -> None:
    """Replace a merge record."""
    row = (strict_json.encode(merge), bytes.fromhex(merge.merge_id))
    db.execute("UPDATE merges SET body = ? WHERE merge_id = ?", row)
