"""Redis client: every command has a timeout, and a circuit breaker stops requests to a server that does not respond."""

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

TIMEOUT: Final = 0.05  # seconds that a request waits for the cache
_MAX_FAILURES: Final = 3  # consecutive timeouts until the circuit breaker opens
_RECONNECT_DELAY: Final = (0.1, 0.3)  # seconds between two attempts to reconnect, chosen at random
_PROBE_TIMEOUT: Final = 2.0
_log = structlog.get_logger("peopleinfo.stores.cached")


class CacheUnavailable(Exception):
    """The cache did not respond in time, or the circuit breaker is open."""


class Script:
    """A Lua script, which Redis runs atomically; called by its digest once Redis has cached it."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class RedisClient:
    """Client of a Redis server or cluster, which need not be reachable at the start."""

    def __init__(self, redis: Redis | RedisCluster, *, command_timeout: float) -> None:
        self.redis = redis
        self.is_cluster = isinstance(redis, RedisCluster)
        self.is_reachable = False
        """Whether fences and invalidations are sent."""
        self.is_up = False
        """Whether reads are sent too: only after all missed invalidations are sent."""
        self.on_reconnect: Callable[[], Awaitable[None]] = _nothing
        """Sends the missed invalidations after a reconnection."""
        self.last_error = ""
        """The error message of the last failed attempt to connect."""
        self._timeout = command_timeout
        self._failures = 0
        self._down = asyncio.Event()
        for error in ("timeout", "connection"):
            CACHE_ERRORS.init_labels(error)
        for to in ("down", "up"):
            CACHE_BREAKER.init_labels(to)
        self._connection: PipelinedConnection | None = None  # None for a cluster, where redis-py selects the node

    async def run(self, script: Script, keys: Sequence[str], *arguments: str | int | bytes, urgent: bool = True) -> Any:
        """Run a script within the timeout; if not `urgent`, it may be sent with others a little later. Raises CacheUnavailable."""
        if not self.is_reachable:
            raise CacheUnavailable("the circuit breaker is open")
        start = perf_counter()
        try:
            reply = await self.evaluate(script, keys, *arguments, time_limit=self._timeout, urgent=urgent)
        except Exception as error:
            # A dead connection may raise any error of redis-py or the loop (uvloop: RuntimeError); none may fail a request.
            self._failures += 1
            CACHE_ERRORS.inc("timeout" if isinstance(error, TimeoutError) else "connection")
            if self._failures >= _MAX_FAILURES or not isinstance(error, TimeoutError):
                self.trip(error)
            raise CacheUnavailable(type(error).__name__) from error
        finally:
            CACHE_SECONDS.observe(perf_counter() - start, script.name)
        self._failures = 0
        return reply

    async def evaluate(
        self,
        script: Script,
        keys: Sequence[str],
        *arguments: str | int | bytes,
        time_limit: float = math.inf,
        urgent: bool = True,
    ) -> Any:
        """Run a script within `time_limit` seconds; if not `urgent`, it may be sent a little later.

        Raises errors of redis-py or hiredis, ConnectionError, TimeoutError.
        """
        operands: tuple[Any, ...] = (len(keys), *keys, *arguments)
        if self.is_cluster:
            async with asyncio.timeout(time_limit if time_limit < math.inf else None):
                with suppress(NoScriptError):
                    return await self.redis.evalsha(script.digest, *operands)
                return await self.redis.eval(script.text, *operands)
        if self._connection is None:
            raise ConnectionError("the client is not connected")
        try:
            return await self._connection.execute(
                "EVALSHA", script.digest, *operands, time_limit=time_limit, urgent=urgent
            )
        except ReplyError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
        return await self._connection.execute("EVAL", script.text, *operands, time_limit=time_limit)

    def trip(self, error: Exception | None = None) -> None:
        """Open the circuit breaker until the server responds again and `on_reconnect` has finished."""
        if self.is_up:
            CACHE_BREAKER.inc("down")
            _log.warning(
                "cache_disconnected", error=type(error).__name__ if error else "an invalidation could not be sent"
            )
        self.is_up = self.is_reachable = False
        self._down.set()

    def _report(self, error: Exception) -> None:
        """Log the error of a failed connection, once for each distinct message."""
        message = str(error) or type(error).__name__
        if message != self.last_error:
            self.last_error = message
            _log.warning("cache_unreachable", reason=message)

    async def reconnect_forever(self) -> None:
        """Reconnect whenever the circuit breaker is open; never returns."""
        while True:
            await self._down.wait()
            if not await self.reconnect():
                await asyncio.sleep(random.uniform(*_RECONNECT_DELAY))  # noqa: S311 - spreads reconnections

    async def close(self) -> None:
        """Close every connection."""
        if self._connection:
            await self._connection.close()
        await self.redis.aclose()

    async def _connect(self) -> None:
        """Open a new connection: the previous one may lead to a server that has failed."""
        if not isinstance(self.redis, Redis):
            await self.redis.ping()
            return
        if self._connection:
            await self._connection.close()
        connection = self.redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()
        self._connection = PipelinedConnection(connection)
        await self._connection.execute("PING")

    async def reconnect(self) -> bool:
        """Try once to reconnect; return whether the cache is usable."""
        self._down.clear()
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT):
                await self._connect()
                # Send new invalidations at once. Otherwise the queue would never become empty under load.
                self.is_reachable = True
                self._failures = 0
                await self.on_reconnect()
        except Exception as error:  # noqa: BLE001 - as in `run`
            self.trip()
            self._report(error)
        if not self._down.is_set():
            self.is_up = True
            self.last_error = ""
            CACHE_BREAKER.inc("up")
            _log.info("cache_connected")
        return self.is_up


@asynccontextmanager
async def open_redis(
    url: str, *, user: str = "", password: str = "", command_timeout: float = TIMEOUT
) -> AsyncIterator[RedisClient]:
    """Open a client for a URL: redis://, rediss:// (TLS), or redis+cluster:// and rediss+cluster:// for a cluster.

    `?ca=` is a file of trusted certificates. The URL or the arguments contain the user and the password. An unreachable server is no
    error: the client connects as soon as the server responds.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    scheme, _, cluster = parts.scheme.partition("+")
    options: dict[str, Any] = {
        "protocol": 3,  # required for push messages
        "socket_connect_timeout": max(command_timeout, _PROBE_TIMEOUT / 2),
        # This client sets its own timeouts. If redis-py had a timeout, it would write within asyncio.wait_for. On Python 3.11 that
        # suppresses a cancellation at the end of the write (cpython gh-86296), so a cancelled request or task would continue.
        "socket_timeout": None,
        "retry": Retry(NoBackoff(), 0),  # the next request is the retry
    }
    if password:
        options |= {"username": user or None, "password": password}
    if "ca" in query:
        options["ssl_ca_certs"] = query["ca"]
    base_url = urlunsplit((scheme, parts.netloc, parts.path, "", ""))
    redis: Redis | RedisCluster
    if cluster:
        redis = RedisCluster.from_url(base_url, require_full_coverage=False, **options)
    else:
        redis = Redis.from_url(base_url, **options)
    client = RedisClient(redis, command_timeout=command_timeout)
    try:
        yield client
    finally:
        await client.close()


async def _nothing() -> None:
    """Do nothing: the default of `on_reconnect`."""
