"""Pages of search results and scans."""

from __future__ import annotations

import itertools
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.people.person import check_stored
from peopleinfo.people.store import MAX_ROWS_SCANNED, PAGE_SIZE, Page

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator

    from peopleinfo.people.person_filter import PersonFilter

SEQ_SIZE: Final = 8  # bytes of a seq in a position or an id
_LAST_CODE_POINT: Final = "\U0010ffff"  # of Unicode
_CHUNK: Final = 32  # rows fetched at a time; fewer rows have less than PAGE_SIZE bytes
_BY_SURNAME: Final = "SELECT seq, body FROM readable WHERE surname_key = ? AND seq > ? ORDER BY seq LIMIT ?"
BY_PREFIX: Final = """
    SELECT seq, body, surname_key FROM readable WHERE (surname_key, seq) > (?, ?) AND surname_key < ? ORDER BY surname_key, seq LIMIT ?
"""
_SCAN: Final = "SELECT seq, body FROM in_order WHERE seq > ? AND seq % ? = ? ORDER BY seq LIMIT ?"


def parse_position(position: bytes | None) -> tuple[int, str]:
    """Return the seq of the last record read and, in a prefix search, its surname key."""
    return (int.from_bytes(position[:SEQ_SIZE]), position[SEQ_SIZE:].decode()) if position else (0, "")


def prefix_upper_bound(prefix: str) -> str | bytes:
    """Return the smallest value that SQLite sorts after every text with this prefix."""
    stem = prefix.rstrip(_LAST_CODE_POINT)
    if not stem:
        return b""  # SQLite sorts every blob after every text
    # Skip the surrogates U+D800 to U+DFFF, which texts do not contain.
    return stem[:-1] + ("\ue000" if stem[-1] == "\ud7ff" else chr(ord(stem[-1]) + 1))


def find_page(
    db: sqlite3.Connection, person_filter: PersonFilter, key: str | None, after: bytes | None, limit: int
) -> Page:
    """Return a page of the records with an indexed surname key; without a key, those with the filter's prefix."""
    seq, last_key = parse_position(after)
    rows = max_rows(limit, person_filter)
    if key is not None:
        return page_of(db.execute(_BY_SURNAME, (key, seq, rows)), limit, person_filter)
    prefix = person_filter.prefix_key or ""
    return page_of(
        db.execute(BY_PREFIX, (last_key or prefix, seq, prefix_upper_bound(prefix), rows)), limit, person_filter
    )


def scan_page(
    db: sqlite3.Connection,
    person_filter: PersonFilter | None,
    after: bytes | None,
    limit: int,
    segment: int,
    segments: int,
) -> Page:
    """Return a page of the records in a segment."""
    seq, _ = parse_position(after)
    return page_of(db.execute(_SCAN, (seq, segments, segment, max_rows(limit, person_filter))), limit, person_filter)


def max_rows(limit: int, person_filter: PersonFilter | None) -> int:
    """Return the row limit of the query; the extra row shows whether there is a next page."""
    return (MAX_ROWS_SCANNED if person_filter and person_filter.needs_row_check else limit) + 1


def page_of(
    cursor: sqlite3.Cursor | Generator[tuple[Any, ...]], limit: int, person_filter: PersonFilter | None
) -> Page:
    """Build a page from rows of seq, body and, in a prefix search, surname key."""
    if person_filter is None or not person_filter.needs_row_check:
        return full_page(cursor, limit)
    people: list[bytes] = []
    size = 0
    last: tuple[Any, ...] = ()
    with closing(cursor):  # ends the read transaction even if rows remain
        for examined, row in enumerate(cursor):
            if len(people) == limit or examined == MAX_ROWS_SCANNED or size >= PAGE_SIZE:
                return Page(people, position_after(last))
            last = row
            if person_filter.matches(check_stored(row[1])):
                people.append(row[1])
                size += len(row[1])
    return Page(people, None)


def full_page(rows: sqlite3.Cursor | Generator[tuple[Any, ...]], limit: int) -> Page:
    """Build a page from matching rows; one row more than `limit` means that there is a next page."""
    fetched = list(itertools.islice(rows, _CHUNK))
    is_truncated = len(fetched) == _CHUNK and _read_rest(fetched, rows)
    people = fetched[:limit]
    return Page(
        [check_stored(row[1]) for row in people],
        position_after(people[-1]) if is_truncated or len(fetched) > limit else None,
    )


def _read_rest(fetched: list[tuple[Any, ...]], rows: sqlite3.Cursor | Generator[tuple[Any, ...]]) -> bool:
    """Append the other rows, up to `PAGE_SIZE` bytes; return whether that limit was reached."""
    size = sum(len(row[1]) for row in fetched)
    with closing(rows):
        while size < PAGE_SIZE and (chunk := list(itertools.islice(rows, _CHUNK))):
            fetched += chunk
            size += sum([len(row[1]) for row in chunk])
    while size - len(fetched[-1][1]) >= PAGE_SIZE:
        size -= len(fetched.pop()[1])
    return size >= PAGE_SIZE


def position_after(row: tuple[Any, ...]) -> bytes:
    """Return the position after a row of seq, body and, in a prefix search, surname key."""
    return bytes(row[0].to_bytes(SEQ_SIZE) + "".join(row[2:]).encode())
