"""Upserts of records from another store, which keep their ids, versions and times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.people.folding import FOLD_VERSION
from peopleinfo.people.person import PersonHeader, decode_header
from peopleinfo.stores.sqlite.history import erase_history
from peopleinfo.stores.sqlite.search_entries import delete_people

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from peopleinfo.stores.sqlite.person_keys import Row

# The seq of a record from another store is its creation time in milliseconds and a number within that millisecond, so that records with the
# same surname stay in the order of creation. Records created here continue after the largest seq.
_SEQS_PER_MILLISECOND: Final = 1 << 18
_LAST_IN_RANGE: Final = """
    SELECT max(seq) FROM (
        SELECT max(seq) AS seq FROM people WHERE seq >= ?1 AND seq < ?2 UNION ALL SELECT max(seq) FROM trash WHERE seq >= ?1 AND seq < ?2
        UNION ALL SELECT max(seq) FROM merged_people WHERE seq >= ?1 AND seq < ?2
    )
"""
_REMOVED: Final = (
    "SELECT version FROM trash WHERE seq = ? UNION ALL SELECT version + 1 FROM merged_people WHERE seq = ?"
)


class IncomingPerson(NamedTuple):
    """A record to upsert; `seq` is set if this store issued its id."""

    seq: int | None
    header: PersonHeader
    body: bytes

    @property
    def row_key(self) -> str:
        """The key in the surname index, before hashing."""
        return self.header.surname_key


class LocatedPerson(NamedTuple):
    """A record to upsert with its seq in this store."""

    person: IncomingPerson
    seq: int

    @property
    def row(self) -> Row:
        """The row in the table of people."""
        return (self.person.row_key, self.seq, FOLD_VERSION, self.person.header.version, self.person.body)

    @property
    def key(self) -> tuple[str, int]:
        """The id and the version."""
        return self.person.header.person_id, self.person.header.version


def latest_versions(people: Sequence[bytes], own_seq: Callable[[str], int | None]) -> list[IncomingPerson]:
    """Parse the JSON of records; of several versions of a record, return only the latest."""
    latest: dict[str, IncomingPerson] = {}
    for body in people:
        header = decode_header(body)
        if header.person_id not in latest or latest[header.person_id].header.version < header.version:
            latest[header.person_id] = IncomingPerson(own_seq(header.person_id), header, body)
    return list(latest.values())


class Upsert:
    """Sorts records into inserts and updates, in the current transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._last: dict[int, int] = {}  # first seq of a millisecond → last seq used in it
        self.inserts: list[LocatedPerson] = []
        """Records that do not exist here."""
        self.updates: list[LocatedPerson] = []
        """Records that exist here in an earlier version."""

    def add(self, people: Sequence[IncomingPerson]) -> None:
        """Add the records to `inserts` or `updates`; skip those stored in the same or a later version."""
        for person in people:
            seq = person.seq or self._foreign_seq(person.header.person_id)
            stored = self._version(seq)
            if stored is not None and stored >= person.header.version:
                continue
            if seq is None:
                seq = self._allocate_seq(person.header)
            elif stored is None and self._is_removed_later(seq, person.header.version):
                continue
            elif stored is None:  # a deleted key may have left a row behind
                self._remove_rest(seq)
            (self.inserts if stored is None else self.updates).append(LocatedPerson(person, seq))
        if self.inserts:
            last = max(person.seq for person in self.inserts)
            self._db.execute("UPDATE deployment SET last_seq = max(last_seq, ?)", (last,))

    def _is_removed_later(self, seq: int, version: int) -> bool:
        """Return whether the person is in the trash or merged into another one, at the same or a later version."""
        row = self._db.execute(_REMOVED, (seq, seq)).fetchone()
        return row is not None and row[0] >= version

    def _remove_rest(self, seq: int) -> None:
        """Remove the rest of an earlier record with this seq; the new record replaces its key."""
        if self._db.execute("DELETE FROM people WHERE seq = ?", (seq,)).rowcount:
            delete_people(self._db, f"[{seq}]")
        self._db.execute("DELETE FROM trash WHERE seq = ?", (seq,))
        self._db.execute("DELETE FROM merged_people WHERE seq = ?", (seq,))
        self._db.execute("DELETE FROM merge_logs WHERE seq = ?", (seq,))
        self._db.execute("DELETE FROM unused_keys WHERE seq = ?", (seq,))
        erase_history(self._db, seq)

    def _version(self, seq: int | None) -> int | None:
        row = self._db.execute("SELECT version FROM readable WHERE seq = ?", (seq,)).fetchone()
        return int(row[0]) if row else None

    def _foreign_seq(self, person_id: str) -> int | None:
        return foreign_seq(self._db, person_id)

    def _allocate_seq(self, person: PersonHeader) -> int:
        """Assign a seq to a record from another store, and map its id to it."""
        first = round(person.creation_time.timestamp() * 1_000) * _SEQS_PER_MILLISECOND
        while (last := self._last_taken(first)) == first + _SEQS_PER_MILLISECOND - 1:
            first += _SEQS_PER_MILLISECOND
        seq = self._last[first] = last + 1
        self._db.execute("INSERT INTO foreign_ids VALUES (?, ?)", (bytes.fromhex(person.person_id), seq))
        self._db.execute("DELETE FROM unused_keys WHERE seq = ?", (seq,))
        return seq

    def _last_taken(self, first: int) -> int:
        if first not in self._last:
            (last,) = self._db.execute(_LAST_IN_RANGE, (first, first + _SEQS_PER_MILLISECOND)).fetchone()
            self._last[first] = last or first - 1
        return self._last[first]


def foreign_seq(db: sqlite3.Connection, person_id: str) -> int | None:
    """Return the seq of a record whose id another store issued, None if unknown."""
    row = db.execute("SELECT seq FROM foreign_ids WHERE person_id = ?", (bytes.fromhex(person_id),)).fetchone()
    return int(row[0]) if row else None
