"""API keys in the database file."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import msgspec

from peopleinfo.auth.api_keys import ApiKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.stores.sqlite.errors import ErrorTranslator
    from peopleinfo.stores.sqlite.writer import GroupCommitWriter

_decode = msgspec.json.Decoder(ApiKey).decode


class SqliteApiKeyStore:
    """Implements `peopleinfo.auth.api_keys.ApiKeyStore` on a database file."""

    def __init__(self, reader: sqlite3.Connection, writer: GroupCommitWriter, errors: ErrorTranslator) -> None:
        self._reader = reader
        self._errors = errors
        self._writer = writer

    async def find(self, digest: bytes) -> ApiKey | None:
        rows = self._read("SELECT body FROM api_keys WHERE digest = ?", [digest])
        return _decode(rows[0][0]) if rows else None

    async def save(self, *keys: ApiKey) -> None:
        rows = [(key.key_hash, msgspec.json.encode(key)) for key in keys]
        await self._writer.run(
            lambda db: db.executemany("INSERT OR REPLACE INTO api_keys (digest, body) VALUES (?, ?)", rows)
        )

    async def all(self) -> list[ApiKey]:
        keys = [_decode(body) for (body,) in self._read("SELECT body FROM api_keys")]
        return sorted(keys, key=lambda key: key.created_at)

    async def any_exist(self) -> bool:
        return bool(self._read("SELECT 1 FROM api_keys LIMIT 1"))

    def _read(self, query: str, values: Sequence[bytes] = ()) -> list[tuple[bytes]]:
        try:
            return self._reader.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._errors.translate(error) from error
