"""Idempotency keys in the database file. Each method runs in the current transaction of its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peopleinfo.errors import IdempotencyKeyConflict, IdempotentPersonDeleted
from peopleinfo.people.idempotency import IDEMPOTENCY_TTL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from datetime import datetime

    from peopleinfo.people.idempotency import IdempotencyKey
    from peopleinfo.stores.sqlite.person_keys import EncryptingWriter


class IdempotencyKeys:
    """The keys of the last day with the responses to their first requests."""

    def __init__(self, encryptor: EncryptingWriter | None, now: Callable[[], datetime]) -> None:
        self._encryptor = encryptor
        self._now = now

    def replay(self, db: sqlite3.Connection, idempotency_key: IdempotencyKey) -> tuple[int, bytes] | None:
        """Return the seq and the JSON of the record of the first request, None for an unused key.

        Raises IdempotencyKeyConflict, IdempotentPersonDeleted.
        """
        db.execute("DELETE FROM once WHERE expires_at <= ?", (self._second(),))
        row = db.execute("SELECT content, seq, answer FROM once WHERE key = ?", (idempotency_key.key,)).fetchone()
        if row is None:
            return None
        content, seq, response = row
        if content != idempotency_key.content:
            raise IdempotencyKeyConflict
        if self._encryptor and response is not None:
            response = self._encryptor.decrypt_response(db, seq, response)
        if response is None:
            raise IdempotentPersonDeleted
        return seq, response

    def save(self, db: sqlite3.Connection, idempotency_key: IdempotencyKey, seq: int, body: bytes) -> None:
        """Store the response to the first request with a key."""
        response = self._encryptor.encrypt_response(db, seq, body) if self._encryptor else body
        expires_at = self._second() + IDEMPOTENCY_TTL
        row = (idempotency_key.key, idempotency_key.content, seq, response, expires_at)
        db.execute("INSERT INTO once VALUES (?, ?, ?, ?, ?)", row)

    def _second(self) -> int:
        return int(self._now().timestamp())
