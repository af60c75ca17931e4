"""Many commands at a time over one connection: everybody gets the reply to his own, whoever else has gone away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hiredis import ReplyError
from redis.asyncio import Redis

from peopleinfo.stores.cached.pipelined_connection import Pipe
from tests.http.serving import HANGS
from tests.valkey_servers import Server, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
async def pipe(server: Server) -> AsyncIterator[Pipe]:
    async with Redis.from_url(server.url, protocol=3) as redis:
        connection = redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()
        pipe = Pipe(connection)
        yield pipe
        await pipe.close()


async def test_everybody_gets_the_reply_to_his_own_command(pipe: Pipe) -> None:
    replies = await asyncio.gather(*(pipe.ask("ECHO", number) for number in range(1_000)))
    assert replies == [str(number).encode() for number in range(1_000)]


async def test_what_is_refused_is_raised_and_does_not_disturb_the_others(pipe: Pipe) -> None:
    asked = ("ECHO", "before"), ("NO SUCH COMMAND",), ("ECHO", "after")
    told = await asyncio.gather(*(pipe.ask(*command) for command in asked), return_exceptions=True)
    assert isinstance(told[1], ReplyError)
    assert (told[0], told[2]) == (b"before", b"after")


async def test_who_goes_away_does_not_disturb_the_others(pipe: Pipe) -> None:
    asking = [asyncio.ensure_future(pipe.ask("ECHO", number)) for number in range(100)]
    await asyncio.sleep(0)
    for one in asking[::2]:
        one.cancel()
    assert await asyncio.gather(*asking[1::2]) == [str(number).encode() for number in range(1, 100, 2)]
    assert all(one.cancelled() for one in asking[::2])


async def test_what_has_no_hurry_is_sent_all_the_same_and_in_its_turn(pipe: Pipe) -> None:
    assert await pipe.ask("ECHO", "alone", hurry=False) == b"alone"
    said: list[bytes] = []

    async def say(word: str, *, hurry: bool) -> None:
        said.append(await pipe.ask("ECHO", word, hurry=hurry))

    await asyncio.gather(say("first", hurry=False), say("second", hurry=True), say("third", hurry=False))
    assert said == [b"first", b"second", b"third"]


async def test_what_the_server_tells_unasked_is_heard(server: Server) -> None:
    heard: list[list[Any]] = []
    async with Redis.from_url(server.url, protocol=3) as redis:
        connection = redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()
        pipe = Pipe(connection, hear=heard.append)
        await pipe.ask("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "a")
        await pipe.ask("SET", "a1", "x")
        await pipe.ask("FLUSHALL")
        await pipe.ask("PING")
        await pipe.close()
    assert heard == [[b"invalidate", [b"a1"]], [b"invalidate", None]]
    assert pipe.is_closed.is_set()


async def test_whoever_waits_when_the_server_dies_is_told(pipe: Pipe, server: Server) -> None:
    server.pause()
    asking = [asyncio.ensure_future(pipe.ask("PING")) for _ in range(3)]
    await asyncio.sleep(0)
    server.stop()
    async with asyncio.timeout(HANGS):
        told = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(one) for one in told} == {ConnectionError}
    with pytest.raises(ConnectionError):
        await pipe.ask("PING")


async def test_who_has_waited_long_enough_is_told_and_the_late_reply_is_nobodys(pipe: Pipe, server: Server) -> None:
    server.pause()
    patient = asyncio.ensure_future(pipe.ask("ECHO", "patient"))
    asking = [asyncio.ensure_future(pipe.ask("ECHO", "late", seconds=seconds)) for seconds in (0.02, 0.05, 0.01)]
    async with asyncio.timeout(HANGS):
        told = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(one) for one in told} == {TimeoutError}
    server.resume()
    async with asyncio.timeout(HANGS):
        assert await pipe.ask("ECHO", "in time", seconds=HANGS) == b"in time"
        assert await patient == b"patient"
