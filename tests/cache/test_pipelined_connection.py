"""Concurrent commands over one connection: each call gets its own reply, even if others are cancelled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hiredis import ReplyError
from redis.asyncio import Redis

from peopleinfo.stores.cached.pipelined_connection import PipelinedConnection
from tests.http.serving import HANG_TIMEOUT
from tests.valkey_servers import Server, running_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture
async def pipe(server: Server) -> AsyncIterator[PipelinedConnection]:
    async with Redis.from_url(server.url, protocol=3) as redis:
        connection = redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()
        pipe = PipelinedConnection(connection)
        yield pipe
        await pipe.close()


async def test_each_command_gets_its_own_reply(pipe: PipelinedConnection) -> None:
    replies = await asyncio.gather(*(pipe.execute("ECHO", number) for number in range(1_000)))
    assert replies == [str(number).encode() for number in range(1_000)]


async def test_error_reply_is_raised_for_its_command_only(pipe: PipelinedConnection) -> None:
    commands = ("ECHO", "before"), ("NO SUCH COMMAND",), ("ECHO", "after")
    results = await asyncio.gather(*(pipe.execute(*command) for command in commands), return_exceptions=True)
    assert isinstance(results[1], ReplyError)
    assert (results[0], results[2]) == (b"before", b"after")


async def test_cancelled_command_does_not_disturb_others(pipe: PipelinedConnection) -> None:
    calls = [asyncio.ensure_future(pipe.execute("ECHO", number)) for number in range(100)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    assert await asyncio.gather(*calls[1::2]) == [str(number).encode() for number in range(1, 100, 2)]
    assert all(call.cancelled() for call in calls[::2])


async def test_non_urgent_command_is_sent_in_order(pipe: PipelinedConnection) -> None:
    assert await pipe.execute("ECHO", "alone", urgent=False) == b"alone"
    replies: list[bytes] = []

    async def echo(word: str, *, urgent: bool) -> None:
        replies.append(await pipe.execute("ECHO", word, urgent=urgent))

    await asyncio.gather(echo("first", urgent=False), echo("second", urgent=True), echo("third", urgent=False))
    assert replies == [b"first", b"second", b"third"]


async def test_push_messages_are_received(server: Server) -> None:
    messages: list[list[Any]] = []
    async with Redis.from_url(server.url, protocol=3) as redis:
        connection = redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()
        pipe = PipelinedConnection(connection, on_push=messages.append)
        await pipe.execute("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "a")
        await pipe.execute("SET", "a1", "x")
        await pipe.execute("FLUSHALL")
        await pipe.execute("PING")
        await pipe.close()
    assert messages == [[b"invalidate", [b"a1"]], [b"invalidate", None]]
    assert pipe.is_closed.is_set()


async def test_pending_commands_fail_when_the_server_dies(pipe: PipelinedConnection, server: Server) -> None:
    server.pause()
    calls = [asyncio.ensure_future(pipe.execute("PING")) for _ in range(3)]
    await asyncio.sleep(0)
    server.stop()
    async with asyncio.timeout(HANG_TIMEOUT):
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(call) for call in results} == {ConnectionError}
    with pytest.raises(ConnectionError):
        await pipe.execute("PING")


async def test_command_times_out_and_its_late_reply_is_ignored(pipe: PipelinedConnection, server: Server) -> None:
    server.pause()
    without_limit = asyncio.ensure_future(pipe.execute("ECHO", "patient"))
    calls = [asyncio.ensure_future(pipe.execute("ECHO", "late", time_limit=limit)) for limit in (0.02, 0.05, 0.01)]
    async with asyncio.timeout(HANG_TIMEOUT):
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(call) for call in results} == {TimeoutError}
    server.resume()
    async with asyncio.timeout(HANG_TIMEOUT):
        assert await pipe.execute("ECHO", "in time", time_limit=HANG_TIMEOUT) == b"in time"
        assert await without_limit == b"patient"
