"""Reads of the embedded store that end before they would wait."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from peopleinfo.errors import PeopleInfoError
from peopleinfo.people.person import ID_END, RECORD_PREFIX
from peopleinfo.people.store import PAGE_SIZE
from peopleinfo.stores.sqlite.paging import SEQ_SIZE

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.person_filter import PersonFilter
    from peopleinfo.people.store import PersonReader
    from peopleinfo.stores.sqlite.person_seqs import PersonSeqs
    from peopleinfo.stores.sqlite.search_index import SqliteSearchIndex

T = TypeVar("T")

# One row: a call of SQLite for each record costs more than reading it. The order of the subquery is that of the result.
_FIRST_PAGE: Final = """
    SELECT count(*), CAST(group_concat(body) AS BLOB), max(seq)
    FROM (SELECT seq, body FROM readable WHERE surname_key = ? ORDER BY seq LIMIT ?)
"""
# The ids are the keys of an object, in order. A record with another id or an invalid format is missing in the count.
_JOINED: Final = """
    SELECT count(*), CAST(group_concat(?1 || one.key || ?2 || r.version || ?3 || r.body || ?4) AS BLOB)
    FROM json_each(?5) one CROSS JOIN readable r
    WHERE r.seq = one.value AND CAST(substr(r.body, 1, ?6) AS TEXT) = ?7 || one.key || '"' AND substr(r.body, -1) = x'7d'
"""
_HAS_MORE: Final = "SELECT 1 FROM readable WHERE surname_key = ? AND seq > ? LIMIT 1"
_BETWEEN: Final = b"}," + RECORD_PREFIX


class SqliteImmediateReader:
    """Implements `ImmediateReader` and `JoinedReader` of `peopleinfo.people.store`: short reads run in the event loop (ADR 3)."""

    source = None

    def __init__(
        self,
        store: PersonReader,
        db: sqlite3.Connection,
        index: SqliteSearchIndex,
        seqs: PersonSeqs,
        *,
        encrypted: bool,
    ) -> None:
        self._store = store
        self._db = db
        self._index = index
        self._seqs = seqs
        self._is_encrypted = encrypted

    def get_now(self, person_id: str) -> StoredPerson | None:
        """Implement `ImmediateReader.get_now`."""
        return _run_now(self._store.get(person_id))

    def find_now(self, person_filter: PersonFilter, limit: int) -> tuple[bytes, bytes | None] | None:
        """Implement `ImmediateReader.find_now`."""
        if person_filter.surname_key is None or person_filter.needs_row_check:
            return None
        if self._is_encrypted:
            page = _run_now(self._store.find(person_filter, after=None, limit=limit))
            return (b",".join(page.people), page.next) if page else None
        try:
            if person_filter.outdated_key and not self._index.is_complete:
                return None
            return self._first_page(person_filter.surname_key, limit)
        except sqlite3.Error:
            return None

    def join_now(self, person_ids: Sequence[str], parts: tuple[str, str, str, str]) -> bytes | None:
        """Implement `JoinedReader.join_now`."""
        try:
            seqs = dict(zip(person_ids, self._seqs.of_all(person_ids), strict=True))
            values = *parts, msgspec.json.encode(seqs), ID_END, RECORD_PREFIX.decode()
            row: tuple[int, bytes] = self._db.execute(_JOINED, values).fetchone()
        except (sqlite3.Error, PeopleInfoError):
            return None
        count, joined = row
        return joined if count == len(person_ids) and len(joined) < PAGE_SIZE else None

    def _first_page(self, key: str, limit: int) -> tuple[bytes, bytes | None] | None:
        """Return a page if its records have the format that the store writes, and their size is that of one page."""
        count, people, last = self._db.execute(_FIRST_PAGE, (key, limit)).fetchone()
        if not count:
            return b"", None
        is_valid = people.startswith(RECORD_PREFIX) and people.endswith(b"}") and people.count(_BETWEEN) == count - 1
        if not is_valid or len(people) >= PAGE_SIZE:
            return None
        has_more = count == limit and self._db.execute(_HAS_MORE, (key, last)).fetchone()
        return people, last.to_bytes(SEQ_SIZE) if has_more else None


def _run_now(read: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of a read, None if it would wait or fails; the caller then repeats the read."""
    with closing(read):
        try:
            read.send(None)
        except StopIteration as ended:
            result: T = ended.value
            return result
        except PeopleInfoError:
            return None
    return None
