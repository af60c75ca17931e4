"""Ended console sessions in the database file."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from peopleinfo.stores.sqlite.errors import ErrorTranslator
    from peopleinfo.stores.sqlite.writer import GroupCommitWriter


class SqliteEndedSessionStore:
    """Implements `peopleinfo.auth.ended_sessions.EndedSessionStore` on a database file."""

    def __init__(
        self,
        reader: sqlite3.Connection,
        writer: GroupCommitWriter,
        errors: ErrorTranslator,
        now: Callable[[], datetime],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._errors = errors
        self._now = now

    async def add(self, session_id: bytes, *, expires_at: datetime) -> None:
        now, expires = int(self._now().timestamp()), int(expires_at.timestamp())

        def change(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM ended_sessions WHERE expires_at < ?", (now,))
            db.execute(
                "INSERT OR REPLACE INTO ended_sessions (session_id, expires_at) VALUES (?, ?)", (session_id, expires)
            )

        await self._writer.run(change)

    async def contains(self, session_id: bytes) -> bool:
        query = "SELECT 1 FROM ended_sessions WHERE session_id = ?"
        try:
            return self._reader.execute(query, (session_id,)).fetchone() is not None
        except sqlite3.Error as error:
            raise self._errors.translate(error) from error
