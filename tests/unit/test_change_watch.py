"""Readers that wait for changes: one task reads the feed for all of them, and no reader misses a change."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from peopleinfo.errors import StoreUnavailable
from peopleinfo.people.change_watch import ChangeWatch
from peopleinfo.people.history import Change, ChangePage, Operation
from tests.limits import HANG_TIMEOUT

READERS = 200


class Feed:
    """A feed whose positions are the numbers of its changes."""

    def __init__(self) -> None:
        self.length = 0
        self.reads = 0
        self.fails = False
        self.was_read = asyncio.Event()

    async def changes(self, since: bytes | None, *, limit: int) -> ChangePage:
        self.reads += 1
        self.was_read.set()
        await asyncio.sleep(0)
        if self.fails:
            raise StoreUnavailable("the store is unavailable")
        start = self.length if since is None else int(since)
        end = min(self.length, start + limit)
        changes = [Change(str(number), 1, Operation.CREATED, "") for number in range(start, end)]
        return ChangePage(changes, str(end).encode(), more=end < self.length)


class Reader:
    """A reader that waits until the feed has a change after its position."""

    def __init__(self, feed: Feed, watch: ChangeWatch) -> None:
        self.feed, self.watch = feed, watch
        self.wakes = 0

    async def next_page(self, position: bytes = b"0") -> ChangePage:
        cancel = asyncio.get_running_loop().create_future()
        while True:
            signal = self.watch.signal
            page = await self.feed.changes(position, limit=10)
            if page.changes:
                return page
            await self.watch.wait(signal, page.next, cancel=cancel, seconds=HANG_TIMEOUT)
            self.wakes += 1


def watch_of(feed: Feed, **options: Any) -> ChangeWatch:
    return ChangeWatch(cast("Any", feed), options.pop("is_ending", lambda: False), interval=0, **options)


async def reads_of(feed: Feed, number: int) -> None:
    """Wait until the feed was read this many times more."""
    target = feed.reads + number
    while feed.reads < target:
        feed.was_read.clear()
        await feed.was_read.wait()


async def test_waiting_readers_cost_one_read_at_a_time() -> None:
    feed = Feed()
    watch = watch_of(feed)
    readers = [Reader(feed, watch) for _ in range(READERS)]
    waiting = [asyncio.ensure_future(reader.next_page()) for reader in readers]
    await reads_of(feed, READERS)  # each reader reads once before it waits
    before = feed.reads
    for _ in range(READERS):
        await asyncio.sleep(0)
    assert 0 < feed.reads - before <= READERS
    assert sum(reader.wakes for reader in readers) == 0
    feed.length = 1
    pages = await asyncio.gather(*waiting)
    assert [len(page.changes) for page in pages] == [1] * READERS


async def test_reader_notices_a_change_during_its_own_read() -> None:
    feed = Feed()
    watch = watch_of(feed)
    waiting = asyncio.ensure_future(Reader(feed, watch).next_page())
    await reads_of(feed, 5)
    signal = watch.signal
    page = await feed.changes(b"0", limit=10)
    feed.length = 1
    await waiting  # the watch has notified the other reader
    cancel = asyncio.get_running_loop().create_future()
    await watch.wait(signal, page.next, cancel=cancel, seconds=HANG_TIMEOUT)
    assert signal.done()


@pytest.mark.parametrize("fails", [True, False])
async def test_failure_and_shutdown_wake_every_reader(*, fails: bool) -> None:
    feed = Feed()
    is_ending = False
    watch = watch_of(feed, is_ending=lambda: is_ending)
    signal, cancel = watch.signal, asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(watch.wait(signal, b"0", cancel=cancel, seconds=HANG_TIMEOUT))
    await reads_of(feed, 5)
    feed.fails, is_ending = fails, not fails
    await waiting
    assert signal.done()


async def test_feed_is_not_read_while_no_reader_waits() -> None:
    feed = Feed()
    watch = watch_of(feed)
    cancel = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(watch.wait(watch.signal, b"0", cancel=cancel, seconds=HANG_TIMEOUT))
    await reads_of(feed, 5)
    cancel.set_result(None)
    await waiting
    await watch.signal  # done when the task ends
    reads = feed.reads
    for _ in range(20):
        await asyncio.sleep(0)
    assert feed.reads == reads
