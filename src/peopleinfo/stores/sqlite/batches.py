"""Reads and inserts of rows of records. One statement handles a batch: the thread waits for the interpreter lock after each statement."""

from __future__ import annotations

import itertools
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from peopleinfo.errors import StoreUnavailable, VersionConflict
from peopleinfo.people import strict_json
from peopleinfo.people.person import StoredPerson, check_all_stored
from peopleinfo.stores.sqlite.merge_rows import missing
from peopleinfo.stores.sqlite.schema import SECRET

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from peopleinfo.people.person import PersonData

BY_SEQ: Final = "SELECT version, body FROM readable WHERE seq = ?"
# One parameter: binding each seq costs as much as a fifth of the read.
_BY_SEQS: Final = "SELECT r.seq, r.version, r.body FROM json_each(?) one CROSS JOIN readable r WHERE r.seq = one.value"
_BY_SEQ_WITH_PLAN: Final = "SELECT version, body, plan FROM readable WHERE seq = ?"
SHORT_READ: Final = 100  # records; a switch to a thread costs more than reading them
_BATCH_ROWS: Final = 500
_new_record = partial(tuple.__new__, StoredPerson)  # half the instructions of StoredPerson()
_BATCH_SIZES: Final = (_BATCH_ROWS, 32)  # rows of an INSERT; fewer rows are one statement


def insert_rows(db: sqlite3.Connection, insert: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows; `insert` is a statement up to its keyword VALUES, and each row has all its values."""
    if rows:
        insert_values(db, insert, len(rows[0]), list(itertools.chain.from_iterable(rows)))


def insert_values(db: sqlite3.Connection, insert: str, columns: int, values: Sequence[Any], end: str = "") -> list[Any]:
    """Insert rows like `insert_rows`, from the values of all rows; return what a clause RETURNING in `end` returns."""
    returned: list[Any] = []
    start = 0
    while rest := (len(values) - start) // columns:
        rows = next((size for size in _BATCH_SIZES if size <= rest), rest)
        batch = values[start : start + rows * columns]
        returned += db.execute(_statement(insert, columns, rows, end), batch).fetchall()
        start += len(batch)
    return returned


def read_records(db: sqlite3.Connection, person_ids: Sequence[str], seqs: Sequence[int]) -> list[StoredPerson | None]:
    """Return the records with these ids and seqs, in order; None for an unknown one. Raises StoreDamaged."""
    rows: dict[int, tuple[int, int, Any]] = {}
    for start in range(0, len(seqs), _BATCH_ROWS):
        batch = msgspec.json.encode(seqs[start : start + _BATCH_ROWS])
        rows |= {row[0]: row for row in db.execute(_BY_SEQS, (batch,)).fetchall()}
    records = [
        _new_record((person_id, row[1], row[2])) if (row := rows.get(seq)) else None
        for person_id, seq in zip(person_ids, seqs, strict=True)
    ]
    check_all_stored(list(filter(None, records)))
    return records


def read_expected(db: sqlite3.Connection, person_id: str, seq: int, expected: int | None) -> tuple[int, bytes, int]:
    """Return version, JSON and plan of a record.

    Raises PersonNotFound, PersonMerged, VersionConflict unless at version `expected`.
    """
    row: tuple[int, bytes, int] | None = db.execute(_BY_SEQ_WITH_PLAN, (seq,)).fetchone()
    if row is None:
        raise missing(db, person_id, seq)
    if expected not in (None, row[0]):
        raise VersionConflict(person_id, actual=row[0])
    return row


def variable_size(data: PersonData) -> int:
    """Return the approximate size of a record's fields of variable length, in bytes."""
    custom = len(strict_json.encode(data.extra)) if data.extra else 0
    return custom + len(data.person_address or "")


def check_not_encrypted(db: sqlite3.Connection, *, encrypted: bool) -> None:
    """Raise StoreUnavailable if another process encrypted the store after this process opened it without encryption."""
    (size,) = db.execute("SELECT length(secret) FROM deployment").fetchone()
    if not encrypted and size != SECRET:
        raise StoreUnavailable(
            "the store was encrypted while it was open; restart the service with PEOPLEINFO_ENCRYPTION"
        )


@cache
def _statement(insert: str, columns: int, rows: int, end: str) -> str:
    values = f"({', '.join('?' * columns)})"
    return f"{insert} {', '.join([values] * rows)} {end}"
