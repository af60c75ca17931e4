"""A naive write-through cache: write the store, then set the entry; fill after a miss without a lease; no expiry.

The checker must detect it, on real servers and a real Valkey.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from peopleinfo.errors import PersonNotFound
from peopleinfo.people.person import StoredPerson, split_record
from peopleinfo.people.person_filter import PersonFilter, Search
from peopleinfo.people.store import Page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class NaiveCacheStore:
    """A store behind the naive cache; it bypasses an unavailable cache."""

    def __init__(self, store: Any, port: int) -> None:
        self._store = store
        self._port = port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def get(self, person_id: str, **_: Any) -> StoredPerson:
        """Return a record."""
        record = await self._cached(f"person:{person_id}", StoredPerson | None, lambda: self._look_up(person_id))
        if record is None:
            raise PersonNotFound(person_id)
        found: StoredPerson = record
        return found

    async def find(self, criteria: PersonFilter, *, after: bytes | None, limit: int, **_: Any) -> Page:
        """Return the records with a surname."""
        page: Page = await self._cached(
            f"surname:{criteria.surname_key}", Page, lambda: self._store.find(criteria, after=after, limit=limit)
        )
        return page

    async def create(self, *args: Any, **more: Any) -> StoredPerson:
        """Create a record."""
        record: StoredPerson = await self._store.create(*args, **more)
        await self._set_all(record.person_id, record)
        return record

    async def replace(self, person_id: str, *args: Any, **more: Any) -> StoredPerson:
        """Replace a record."""
        before = await self._look_up(person_id)
        record: StoredPerson = await self._store.replace(person_id, *args, **more)
        await self._set_all(person_id, before, record)
        return record

    async def delete(self, person_id: str, **more: Any) -> None:
        """Delete a record."""
        before = await self._look_up(person_id)
        await self._store.delete(person_id, **more)
        await self._set_all(person_id, before, None)

    async def _look_up(self, person_id: str) -> StoredPerson | None:
        try:
            found: StoredPerson = await self._store.get(person_id)
        except PersonNotFound:
            return None
        return found

    async def _cached(self, key: str, kind: Any, look_up: Callable[[], Awaitable[Any]]) -> Any:
        cached = await self._execute(b"GET", key.encode())
        if cached is not None:
            return msgspec.msgpack.decode(cached, type=kind)
        value = await look_up()
        await self._execute(b"SET", key.encode(), msgspec.msgpack.encode(value))
        return value

    async def _set_all(self, person_id: str, *records: StoredPerson | None) -> None:
        await self._execute(b"SET", f"person:{person_id}".encode(), msgspec.msgpack.encode(records[-1]))
        for surname in {split_record(record)[0].surname_key for record in records if record}:
            page = await self._store.find(PersonFilter(Search(surname=surname)), after=None, limit=1_000)
            await self._execute(b"SET", f"surname:{surname}".encode(), msgspec.msgpack.encode(page))

    async def _execute(self, *words: bytes) -> bytes | None:
        command = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(command)
            kind, _, length = (await reader.readline()).strip().partition(b"$")
            response = await reader.readexactly(int(length)) if not kind and length and int(length) >= 0 else None
            writer.close()
        except (OSError, EOFError):
            return None
        return response
