"""People who come from another store and keep their ids, versions and times; and keys that a newer fold makes anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.people.names import FOLD_VERSION
from peopleinfo.people.person import PersonHeader, decode_header

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    Row = tuple[str, int, int, int, bytes]  # of the table of people: surname_key, seq, fold, version, body

# Who comes from elsewhere lies where the time of its creation says, so that namesakes stay in the order of their age: a millisecond, and a
# number within it. Numbers that this store gives out go on after the latest of them.
_SEQS_PER_MILLISECOND: Final = 1 << 18
_LAST_IN_RANGE: Final = "SELECT max(seq) FROM people WHERE seq >= ? AND seq < ?"


class IncomingPerson(NamedTuple):
    """A person who comes; `seq` is its own when its id is one of this store's."""

    seq: int | None
    header: PersonHeader
    body: bytes

    @property
    def row_key(self) -> str:
        """The key by which it is found."""
        return self.header.surname_key


def latest_versions(people: Sequence[bytes], own_seq: Callable[[str], int | None]) -> list[IncomingPerson]:
    """Read the JSON of people who come; of several versions of one person only the latest."""
    latest: dict[str, IncomingPerson] = {}
    for body in people:
        known = decode_header(body)
        if known.person_id not in latest or latest[known.person_id].header.version < known.version:
            latest[known.person_id] = IncomingPerson(own_seq(known.person_id), known, body)
    return list(latest.values())


class Upsert:
    """Takes people over within the transaction that is under way."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._last: dict[int, int] = {}  # the first seq of a millisecond → the last that is taken of it
        self.inserts: list[Row] = []
        """Those who were not here, as they are to be inserted."""
        self.updates: list[Row] = []
        """Those who were here at an earlier version, as they are to be."""

    def add(self, people: Sequence[IncomingPerson]) -> None:
        """Sort out who is new and who is newer."""
        for person in people:
            seq = person.seq or self._foreign_seq(person.header.person_id)
            there = self._version(seq)
            if there is not None and there >= person.header.version:
                continue
            if seq is None:
                seq = self._allocate_seq(person.header)
            elif there is None:  # of somebody whose key was destroyed there may be a row left
                self._db.execute("DELETE FROM people WHERE seq = ?", (seq,))
            (self.inserts if there is None else self.updates).append(self._row(person, seq))
        if self.inserts:
            last = max(row[1] for row in self.inserts)
            self._db.execute("UPDATE deployment SET last_seq = max(last_seq, ?)", (last,))

    @staticmethod
    def _row(person: IncomingPerson, seq: int) -> Row:
        return (person.row_key, seq, FOLD_VERSION, person.header.version, person.body)

    def _version(self, seq: int | None) -> int | None:
        row = self._db.execute("SELECT version FROM readable WHERE seq = ?", (seq,)).fetchone()
        return int(row[0]) if row else None

    def _foreign_seq(self, person_id: str) -> int | None:
        return foreign_seq(self._db, person_id)

    def _allocate_seq(self, person: PersonHeader) -> int:
        """Return a free place for somebody from elsewhere, and note that its id leads there."""
        first = round(person.creation_time.timestamp() * 1_000) * _SEQS_PER_MILLISECOND
        while (last := self._last_taken(first)) == first + _SEQS_PER_MILLISECOND - 1:
            first += _SEQS_PER_MILLISECOND
        seq = self._last[first] = last + 1
        self._db.execute("INSERT INTO foreign_ids VALUES (?, ?)", (bytes.fromhex(person.person_id), seq))
        return seq

    def _last_taken(self, first: int) -> int:
        if first not in self._last:
            (last,) = self._db.execute(_LAST_IN_RANGE, (first, first + _SEQS_PER_MILLISECOND)).fetchone()
            self._last[first] = last or first - 1
        return self._last[first]


def is_outdated(fold: int) -> bool:
    """Say whether a key is of another fold than today's."""
    return fold != FOLD_VERSION


def reindex_person(db: sqlite3.Connection, seq: int, index: Callable[[str], str]) -> tuple[str, str] | None:
    """Give a person today's key and return the old and the new one, as they are kept; None when it has it or is gone."""
    row = db.execute("SELECT fold, body, surname_key FROM readable WHERE seq = ?", (seq,)).fetchone()
    if row is None or not is_outdated(row[0]):
        return None
    key = index(decode_header(row[1]).surname_key)
    db.execute("UPDATE people SET surname_key = ?, fold = ? WHERE seq = ?", (key, FOLD_VERSION, seq))
    return str(row[2]), key


def foreign_seq(db: sqlite3.Connection, person_id: str) -> int | None:
    """Return the number of a person who came from another store with this id, None when nobody did."""
    row = db.execute("SELECT seq FROM foreign_ids WHERE person_id = ?", (bytes.fromhex(person_id),)).fetchone()
    return int(row[0]) if row else None
