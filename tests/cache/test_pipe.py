"""Many commands at a time over one connection: everybody gets the reply to his own, whoever else has gone away."""

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


async def test_everybody_gets_the_reply_to_his_own_command(pipe: PipelinedConnection) -> None:
    replies = await asyncio.gather(*(pipe.execute("ECHO", number) for number in range(1_000)))
    assert replies == [str(number).encode() for number in range(1_000)]


async def test_what_is_refused_is_raised_and_does_not_disturb_the_others(pipe: PipelinedConnection) -> None:
    asked = ("ECHO", "before"), ("NO SUCH COMMAND",), ("ECHO", "after")
    told = await asyncio.gather(*(pipe.execute(*command) for command in asked), return_exceptions=True)
    assert isinstance(told[1], ReplyError)
    assert (told[0], told[2]) == (b"before", b"after")


async def test_who_goes_away_does_not_disturb_the_others(pipe: PipelinedConnection) -> None:
    asking = [asyncio.ensure_future(pipe.execute("ECHO", number)) for number in range(100)]
    await asyncio.sleep(0)
    for one in asking[::2]:
        one.cancel()
    assert await asyncio.gather(*asking[1::2]) == [str(number).encode() for number in range(1, 100, 2)]
    assert all(one.cancelled() for one in asking[::2])


async def test_what_has_no_hurry_is_sent_all_the_same_and_in_its_turn(pipe: PipelinedConnection) -> None:
    assert await pipe.execute("ECHO", "alone", urgent=False) == b"alone"
    said: list[bytes] = []

    async def say(word: str, *, urgent: bool) -> None:
        said.append(await pipe.execute("ECHO", word, urgent=urgent))

    await asyncio.gather(say("first", urgent=False), say("second", urgent=True), say("third", urgent=False))
    assert said == [b"first", b"second", b"third"]


async def test_what_the_server_tells_unasked_is_heard(server: Server) -> None:
    heard: list[list[Any]] = []
    async with Redis.from_url(server.url, protocol=3) as redis:
        connection = redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()
        pipe = PipelinedConnection(connection, on_push=heard.append)
        await pipe.execute("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "a")
        await pipe.execute("SET", "a1", "x")
        await pipe.execute("FLUSHALL")
        await pipe.execute("PING")
        await pipe.close()
    assert heard == [[b"invalidate", [b"a1"]], [b"invalidate", None]]
    assert pipe.is_closed.is_set()


async def test_whoever_waits_when_the_server_dies_is_told(pipe: PipelinedConnection, server: Server) -> None:
    server.pause()
    asking = [asyncio.ensure_future(pipe.execute("PING")) for _ in range(3)]
    await asyncio.sleep(0)
    server.stop()
    async with asyncio.timeout(HANG_TIMEOUT):
        told = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(one) for one in told} == {ConnectionError}
    with pytest.raises(ConnectionError):
        await pipe.execute("PING")


async def test_who_has_waited_long_enough_is_told_and_the_late_reply_is_nobodys(
    pipe: PipelinedConnection, server: Server
) -> None:
    server.pause()
    patient = asyncio.ensure_future(pipe.execute("ECHO", "patient"))
    asking = [asyncio.ensure_future(pipe.execute("ECHO", "late", time_limit=seconds)) for seconds in (0.02, 0.05, 0.01)]
    async with asyncio.timeout(HANG_TIMEOUT):
        told = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(one) for one in told} == {TimeoutError}
    server.resume()
    async with asyncio.timeout(HANG_TIMEOUT):
        assert await pipe.execute("ECHO", "in time", time_limit=HANG_TIMEOUT) == b"in time"
        assert await patient == b"patient"
