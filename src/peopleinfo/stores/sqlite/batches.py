"""Inserts of many rows. One statement inserts a batch: the thread waits for the interpreter lock after each statement."""

from __future__ import annotations

import itertools
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_BATCH_ROWS: Final = 500


def insert_rows(db: sqlite3.Connection, insert: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows; `insert` is a statement up to its keyword VALUES, and each row has all its values."""
    batched = len(rows) - len(rows) % _BATCH_ROWS
    for start in range(0, batched, _BATCH_ROWS):
        batch = rows[start : start + _BATCH_ROWS]
        db.execute(_statement(insert, len(batch[0]), _BATCH_ROWS), list(itertools.chain.from_iterable(batch)))
    if batched < len(rows):
        db.executemany(_statement(insert, len(rows[0]), 1), rows[batched:])


@cache
def _statement(insert: str, columns: int, rows: int) -> str:
    values = f"({', '.join('?' * columns)})"
    return f"{insert} {', '.join([values] * rows)}"
