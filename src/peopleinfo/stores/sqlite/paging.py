"""Pages of people, filled from rows."""

from __future__ import annotations

import itertools
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.people.person import check_stored
from peopleinfo.people.store import MAX_ROWS_SCANNED, PAGE_SIZE, Page

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator

    from peopleinfo.people.search import PersonFilter

SEQ_SIZE: Final = 8  # bytes of a seq in a position or an id
_LAST_CODE_POINT: Final = "\U0010ffff"  # of Unicode, and so of the letters that may follow a prefix
_CHUNK: Final = 32  # rows read at a time; fewer have less than PAGE_SIZE
_BY_SURNAME: Final = "SELECT seq, body FROM readable WHERE surname_key = ? AND seq > ? ORDER BY seq LIMIT ?"
_BY_PREFIX: Final = """
    SELECT seq, body, surname_key FROM readable WHERE (surname_key, seq) > (?, ?) AND surname_key < ? ORDER BY surname_key, seq LIMIT ?
"""
_SCAN: Final = "SELECT seq, body FROM in_order WHERE seq > ? AND seq % ? = ? ORDER BY seq LIMIT ?"


def parse_position(after: bytes | None) -> tuple[int, str]:
    """Take apart where a page ended: the seq of the last person looked at and, in a search by prefix, its surname key."""
    return (int.from_bytes(after[:SEQ_SIZE]), after[SEQ_SIZE:].decode()) if after else (0, "")


def _prefix_upper_bound(prefix: str) -> str | bytes:
    """Return the least value that SQLite sorts after every text that begins with `prefix`."""
    head = prefix.rstrip(_LAST_CODE_POINT)
    if not head:
        return b""  # every blob comes after every text
    # Between U+D7FF and U+E000 lie the surrogates, which no text holds.
    return head[:-1] + ("\ue000" if head[-1] == "\ud7ff" else chr(ord(head[-1]) + 1))


def find_page(db: sqlite3.Connection, where: PersonFilter, key: str | None, after: bytes | None, limit: int) -> Page:
    """Fill a page from the people under a key of the index of surnames, or, without one, under the prefix."""
    seq, begun = parse_position(after)
    rows = _max_rows(limit, where)
    if key is not None:
        return _page(db.execute(_BY_SURNAME, (key, seq, rows)), limit, where)
    prefix = where.prefix_key or ""
    return _page(db.execute(_BY_PREFIX, (begun or prefix, seq, _prefix_upper_bound(prefix), rows)), limit, where)


def scan_page(
    db: sqlite3.Connection, where: PersonFilter | None, after: bytes | None, limit: int, segment: int, segments: int
) -> Page:
    """Fill a page from everyone in a segment."""
    seq, _ = parse_position(after)
    return _page(db.execute(_SCAN, (seq, segments, segment, _max_rows(limit, where))), limit, where)


def _max_rows(limit: int, where: PersonFilter | None) -> int:
    """Return how many rows a page may need; one more than it can use tells whether there is a next one."""
    return (MAX_ROWS_SCANNED if where and where.needs_row_check else limit) + 1


def _page(cursor: sqlite3.Cursor, limit: int, where: PersonFilter | None) -> Page:
    """Fill a page from rows of seq, body and, in a search by prefix, surname key."""
    if where is None or not where.needs_row_check:
        return full_page(cursor, limit)
    people: list[bytes] = []
    size = 0
    last: tuple[Any, ...] = ()
    with closing(cursor):  # ends the read transaction even when rows are left
        for examined, row in enumerate(cursor):
            if len(people) == limit or examined == MAX_ROWS_SCANNED or size >= PAGE_SIZE:
                return Page(people, position_after(last))
            last = row
            if where.matches(check_stored(row[1])):
                people.append(row[1])
                size += len(row[1])
    return Page(people, None)


def full_page(rows: sqlite3.Cursor | Generator[tuple[Any, ...]], limit: int) -> Page:
    """Fill a page from rows that all match, one of them too many where there is a next page."""
    read = list(itertools.islice(rows, _CHUNK))
    is_cut = len(read) == _CHUNK and _read_rest(read, rows)
    people = read[:limit]
    return Page(
        [check_stored(row[1]) for row in people], position_after(people[-1]) if is_cut or len(read) > limit else None
    )


def _read_rest(read: list[tuple[Any, ...]], rows: sqlite3.Cursor | Generator[tuple[Any, ...]]) -> bool:
    """Add the other rows, up to `PAGE_SIZE` bytes; return whether it ends with those."""
    size = sum(len(row[1]) for row in read)
    with closing(rows):
        while size < PAGE_SIZE and (chunk := list(itertools.islice(rows, _CHUNK))):
            read += chunk
            size += sum([len(row[1]) for row in chunk])
    while size - len(read[-1][1]) >= PAGE_SIZE:
        size -= len(read.pop()[1])
    return size >= PAGE_SIZE


def position_after(row: tuple[Any, ...]) -> bytes:
    """Return the position after a row of seq, body and, in a search by prefix, surname key."""
    return bytes(row[0].to_bytes(SEQ_SIZE) + "".join(row[2:]).encode())
