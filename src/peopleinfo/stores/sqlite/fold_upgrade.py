"""Searches by surname in a store that has surname keys of two fold versions, until `reindex` has updated them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from peopleinfo.stores.sqlite.paging import BY_PREFIX, max_rows, page_of, parse_position, prefix_upper_bound

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Generator

    from peopleinfo.people.person_filter import PersonFilter
    from peopleinfo.people.store import Page

_BY_KEYS: Final = "SELECT seq, body FROM readable WHERE surname_key IN (?, ?) AND seq > ? ORDER BY seq LIMIT ?"


def find_in_both_versions(
    db: sqlite3.Connection, person_filter: PersonFilter, index: Callable[[str], str], after: bytes | None, limit: int
) -> Page:
    """Return a page of the records whose surname key of either version matches the filter."""
    rows = max_rows(limit, person_filter)
    seq, last_key = parse_position(after)
    outdated = person_filter.outdated_key or ""
    if person_filter.surname_key is not None:
        keys = index(person_filter.surname_key), index(outdated)
        return page_of(db.execute(_BY_KEYS, (*keys, seq, rows)), limit, person_filter)
    prefixes = sorted({person_filter.prefix_key or "", outdated})
    return page_of(_by_prefixes(db, prefixes, last_key, seq, rows), limit, person_filter)


def _by_prefixes(
    db: sqlite3.Connection, prefixes: list[str], last_key: str, seq: int, rows: int
) -> Generator[tuple[int, bytes, str]]:
    for prefix in prefixes:
        start = (prefix, 0) if last_key < prefix else (last_key, seq)
        if last_key < prefix or last_key.startswith(prefix):
            yield from db.execute(BY_PREFIX, (*start, prefix_upper_bound(prefix), rows))
