"""The way to Redis: every call has a deadline, and a server that does not answer is left alone until it does (a circuit breaker)."""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
from contextlib import asynccontextmanager, suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import structlog
from hiredis import ReplyError
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError

from peopleinfo.stores.cached.pipelined_connection import PipelinedConnection
from peopleinfo.telemetry.metrics import CACHE_BREAKER, CACHE_ERRORS, CACHE_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

TIMEOUT: Final = 0.05  # seconds that anybody waits for the cache
_FAILURES: Final = 3  # in a row, before the server is left alone
_RECONNECT_DELAY: Final = (0.1, 0.3)  # seconds between two attempts to come back, at random
_PROBE_SECONDS: Final = 2.0
_log = structlog.get_logger("peopleinfo.stores.cached")


class CacheUnavailable(Exception):
    """The cache did not answer in time, or has been given up for now."""


class Script:
    """A Lua script, which Redis runs as one step; by its digest, if it knows it already."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class RedisClient:
    """A Redis server or cluster. It need not be there yet, and may go and come back."""

    def __init__(self, redis: Redis | RedisCluster, *, deadline: float) -> None:
        self.redis = redis
        self.is_cluster = isinstance(redis, RedisCluster)
        self.is_reachable = False
        """Whether the server is told of changes."""
        self.is_up = False
        """Whether it is asked too: only once it has been told of every change that it missed."""
        self.on_reconnect: Callable[[], Awaitable[None]] = _nothing
        """Tells the server what it missed."""
        self.trouble = ""
        """Why the last attempt to connect failed, in the words of the client or the server."""
        self._deadline = deadline
        self._failures = 0
        self._down = asyncio.Event()
        for error in ("timeout", "connection"):
            CACHE_ERRORS.init_labels(error)
        for to in ("down", "up"):
            CACHE_BREAKER.init_labels(to)
        self._pipe: PipelinedConnection | None = None  # none in a cluster, where redis-py knows which server to ask

    async def run(self, script: Script, keys: Sequence[str], *arguments: str | int | bytes, urgent: bool = True) -> Any:
        """Run a script within the deadline; without `hurry` it may be sent a little later, with others. Raises Unreachable."""
        if not self.is_reachable:
            raise CacheUnavailable("given up for now")
        began = perf_counter()
        try:
            answer = await self.evaluate(script, keys, *arguments, seconds=self._deadline, urgent=urgent)
        except Exception as error:
            # Whatever the client, or the loop (uvloop: RuntimeError), makes of a connection that has died: it fails no request.
            self._failures += 1
            CACHE_ERRORS.inc("timeout" if isinstance(error, TimeoutError) else "connection")
            if self._failures >= _FAILURES or not isinstance(error, TimeoutError):
                self.trip(error)
            raise CacheUnavailable(type(error).__name__) from error
        finally:
            CACHE_SECONDS.observe(perf_counter() - began, script.name)
        self._failures = 0
        return answer

    async def evaluate(
        self,
        script: Script,
        keys: Sequence[str],
        *arguments: str | int | bytes,
        seconds: float = math.inf,
        urgent: bool = True,
    ) -> Any:
        """Run a script; the server may take so many seconds, and without `hurry` it may be sent a little later.

        Raises redis-py's or hiredis' errors, ConnectionError, TimeoutError.
        """
        asked: tuple[Any, ...] = (len(keys), *keys, *arguments)
        if self.is_cluster:
            async with asyncio.timeout(seconds if seconds < math.inf else None):
                with suppress(NoScriptError):
                    return await self.redis.evalsha(script.digest, *asked)
                return await self.redis.eval(script.text, *asked)
        if self._pipe is None:
            raise ConnectionError("there is no connection")
        try:
            return await self._pipe.execute("EVALSHA", script.digest, *asked, seconds=seconds, hurry=urgent)
        except ReplyError as refused:
            if not str(refused).startswith("NOSCRIPT"):
                raise
        return await self._pipe.execute("EVAL", script.text, *asked, seconds=seconds)

    def trip(self, error: Exception | None = None) -> None:
        """Leave the server alone until it answers again and `on_return` is done."""
        if self.is_up:
            CACHE_BREAKER.inc("down")
            _log.warning(
                "cache_disconnected", error=type(error).__name__ if error else "a change could not be told to it"
            )
        self.is_up = self.is_reachable = False
        self._down.set()

    def _report(self, error: Exception) -> None:
        """Log why no connection is made, once for each reason."""
        trouble = str(error) or type(error).__name__
        if trouble != self.trouble:
            self.trouble = trouble
            _log.warning("cache_unreachable", reason=trouble)

    async def reconnect_forever(self) -> None:
        """Come back whenever the server was given up; never returns."""
        while True:
            await self._down.wait()
            if not await self.reconnect():
                await asyncio.sleep(random.uniform(*_RECONNECT_DELAY))  # noqa: S311 - so that not all come at once

    async def close(self) -> None:
        """Close every connection."""
        if self._pipe:
            await self._pipe.close()
        await self.redis.aclose()

    async def _connect(self) -> None:
        """Have a connection to the server as it is now: the one before may lead to a server that has died."""
        if not isinstance(self.redis, Redis):
            await self.redis.ping()
            return
        if self._pipe:
            await self._pipe.close()
        connection = self.redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()
        self._pipe = PipelinedConnection(connection)
        await self._pipe.execute("PING")

    async def reconnect(self) -> bool:
        """Try once to use the server again."""
        self._down.clear()
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await self._connect()
                # What changes from now on the server hears at once: else, under load, there would always be something that it missed.
                self.is_reachable = True
                self._failures = 0
                await self.on_reconnect()
        except Exception as error:  # noqa: BLE001 - as in `run`
            self.trip()
            self._report(error)
        if not self._down.is_set():
            self.is_up = True
            self.trouble = ""
            CACHE_BREAKER.inc("up")
            _log.info("cache_connected")
        return self.is_up


@asynccontextmanager
async def open_redis(
    url: str, *, user: str = "", password: str = "", deadline: float = TIMEOUT
) -> AsyncIterator[RedisClient]:
    """Open the way to the server of a URL: redis://, rediss:// (TLS), or redis+cluster:// and rediss+cluster:// for a cluster.

    `?ca=` names a file with the certificates to trust. The user and the password may stand in the URL or come beside it. It need not answer: the link joins it when it does.
    """
    parts = urlsplit(url)
    asked = dict(parse_qsl(parts.query))
    scheme, _, cluster = parts.scheme.partition("+")
    options: dict[str, Any] = {
        "protocol": 3,  # in which the server tells what has changed
        "socket_connect_timeout": max(deadline, _PROBE_SECONDS / 2),
        # The deadline is ours. Given one, redis-py writes within asyncio.wait_for, which on Python 3.11 swallows a cancellation that comes when
        # the writing is just done (cpython gh-86296): a request that was given up went on, and a task that was to end did not.
        "socket_timeout": None,
        "retry": Retry(NoBackoff(), 0),  # a second attempt comes with the next request
    }
    if password:
        options |= {"username": user or None, "password": password}
    if "ca" in asked:
        options["ssl_ca_certs"] = asked["ca"]
    plain = urlunsplit((scheme, parts.netloc, parts.path, "", ""))
    redis: Redis | RedisCluster
    if cluster:
        redis = RedisCluster.from_url(plain, require_full_coverage=False, **options)
    else:
        redis = Redis.from_url(plain, **options)
    link = RedisClient(redis, deadline=deadline)
    try:
        yield link
    finally:
        await link.close()


async def _nothing() -> None:
    """Do nothing."""
