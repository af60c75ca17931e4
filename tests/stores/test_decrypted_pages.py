"""Decrypted pages in memory: every change in any process, and every erasure, has an effect on the next read."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AsyncExitStack, closing
from typing import TYPE_CHECKING

from peopleinfo.people.person import decode_header
from peopleinfo.people.store import Page
from peopleinfo.stores.sqlite import decrypted_pages
from peopleinfo.stores.sqlite.decrypted_pages import DecryptedPages
from peopleinfo.stores.sqlite.factory import open_sqlite
from peopleinfo.stores.sqlite.files import path_of_keys
from tests.store_kinds import Clock, encryption, person_data, person_filter

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from peopleinfo.stores.sqlite.store import SqliteStore

WHERE = person_filter(surname="Same")


async def versions(store: SqliteStore, *, limit: int = 10) -> list[tuple[str | None, int]]:
    """Return name and version of the people in the first page, as both ways to read it return them."""
    page = await store.find(WHERE, after=None, limit=limit)
    assert store.immediate.find_now(WHERE, limit) == (b",".join(page.people), page.next)
    return [(header.person_name, header.version) for header in map(decode_header, page.people)]


async def test_page_in_memory_shows_each_change_of_another_process(tmp_path: Path, clock: Clock) -> None:
    async with AsyncExitStack() as stack:
        reader, writer = [
            await stack.enter_async_context(
                open_sqlite(tmp_path / "people.db", now=clock.now, encryption=encryption(tmp_path, prefixes=False))
            )
            for _ in range(2)
        ]
        anna, bela = [await writer.create(person_data("Same", name)) for name in ("Anna", "Bela")]
        for _ in range(2):
            assert await versions(reader) == [("Anna", 1), ("Bela", 1)]
        await writer.replace(anna.person_id, person_data("Same", "Anna"), expected=1)
        assert await versions(reader) == [("Anna", 2), ("Bela", 1)]
        assert await versions(reader, limit=1) == [("Anna", 2)]
        await writer.create(person_data("Same", "Cleo"))
        assert await versions(reader) == [("Anna", 2), ("Bela", 1), ("Cleo", 1)]
        await writer.replace(bela.person_id, person_data("Other", "Bela"), expected=1)
        assert await versions(reader) == [("Anna", 2), ("Cleo", 1)]
        await writer.delete(anna.person_id)
        assert await versions(reader) == [("Cleo", 1)]


async def test_page_in_memory_omits_record_whose_key_is_deleted(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "people.db"
    async with open_sqlite(path, now=clock.now, encryption=encryption(tmp_path, prefixes=False)) as store:
        for name in ("Anna", "Bela"):
            await store.create(person_data("Same", name))
        assert await versions(store) == [("Anna", 1), ("Bela", 1)]
        with closing(sqlite3.connect(path_of_keys(path))) as keys:
            keys.execute("DELETE FROM person_keys WHERE seq = 1")
            keys.commit()
        assert await versions(store) == [("Bela", 1)]


def pages_of(surnames: list[str]) -> DecryptedPages:
    """Return an empty cache of a database with a ciphertext of 10 bytes for each surname."""
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE people (surname_key, seq, body)")
    db.execute("CREATE TABLE person_keys (seq)")
    for seq, key in enumerate(surnames, start=1):
        db.execute("INSERT INTO people VALUES (?, ?, ?)", (key, seq, ciphertext(key)))
        db.execute("INSERT INTO person_keys VALUES (?)", (seq,))
    return DecryptedPages(db)


def ciphertext(key: str) -> bytes:
    return key.encode() * 10


async def test_oldest_pages_leave_memory_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decrypted_pages, "MAX_CACHED_SIZE", 25)
    pages = pages_of(["a", "b", "c"])
    page = Page([b"{}"], None)
    for key in "abc":
        pages.put((key, 0, 2), [ciphertext(key)], page)
    assert [pages.get((key, 0, 2)) for key in "abc"] == [None, page, page]


async def test_pages_leave_memory_after_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decrypted_pages, "CACHE_TTL", 0.0)
    pages = pages_of(["a"])
    pages.put(("a", 0, 2), [ciphertext("a")], Page([b"{}"], None))
    assert pages.get(("a", 0, 2))
    while pages.get(("a", 0, 2)):
        await asyncio.sleep(0)


async def test_large_page_is_not_kept_in_memory() -> None:
    pages = pages_of(["a"])
    pages.put(("a", 0, 2), [bytes(1024 * 1024)], Page([b"{}"], None))
    assert pages.get(("a", 0, 2)) is None
