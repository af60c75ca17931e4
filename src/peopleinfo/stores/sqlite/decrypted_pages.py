"""Decrypted pages in memory, each returned only while the database holds the same ciphertexts, with their keys.

Decrypting a record costs four times as much as reading it. Reading all ciphertexts of a page as one row and comparing them costs less than
reading the rows of a page. No writer announces its changes: every version has another ciphertext, and the query omits a record without a key.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.crypto.keyring import CACHE_TTL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from peopleinfo.people.store import Page

    PageKey = tuple[str, int, int]  # indexed surname key, seq before the page, number of rows

MAX_CACHED_SIZE: Final = 4 * 1024 * 1024  # bytes of ciphertexts; their texts have nearly the same size
_MAX_PAGE_SIZE: Final = MAX_CACHED_SIZE // 8
_CIPHERTEXTS: Final = """
    SELECT CAST(group_concat(body, '') AS BLOB) FROM (
        SELECT p.body FROM people p CROSS JOIN person_keys k ON k.seq = p.seq
        WHERE p.surname_key = ? AND p.seq > ? ORDER BY p.seq LIMIT ?
    )
"""


class _Entry(NamedTuple):
    ciphertexts: bytes
    page: Page


class DecryptedPages:
    """The decrypted pages of the last minute. Use it only in the thread of the event loop."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._entries: dict[PageKey, _Entry] = {}
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def get(self, key: PageKey) -> Page | None:
        """Return a page, None if it is not in memory or has changed. Raises sqlite3.Error."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        (ciphertexts,) = self._db.execute(_CIPHERTEXTS, key).fetchone()
        if ciphertexts == entry.ciphertexts:
            return entry.page
        self._remove(key)
        return None

    def put(self, key: PageKey, ciphertexts: Sequence[bytes], page: Page) -> None:
        """Store a page for at most a minute."""
        entry = _Entry(b"".join(ciphertexts), page)
        if not 0 < len(entry.ciphertexts) <= _MAX_PAGE_SIZE:
            return
        self._entries[key] = entry
        self._size += len(entry.ciphertexts)
        while self._size > MAX_CACHED_SIZE:
            self._remove(next(iter(self._entries)))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(CACHE_TTL, self._clear)

    def _remove(self, key: PageKey) -> None:
        self._size -= len(self._entries.pop(key).ciphertexts)

    def _clear(self) -> None:
        self._entries.clear()
        self._size = 0
        self._timer = None
