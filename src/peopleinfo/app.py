"""From settings to objects: the one module that knows every leaf."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peopleinfo.crypto.master_key import Encryption
from peopleinfo.errors import PeopleInfoError
from peopleinfo.people.service import People
from peopleinfo.settings import InvalidSettings, TableLocation
from peopleinfo.stores.instrumented import ObservedStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, MutableMapping
    from contextlib import AbstractAsyncContextManager

    from peopleinfo.auth.api_keys import ApiKeys
    from peopleinfo.auth.authenticator import Tokens
    from peopleinfo.auth.oidc_login import CodeFlow
    from peopleinfo.auth.rate_limit import Rates
    from peopleinfo.crypto.master_key import Master
    from peopleinfo.crypto.rotation import KeyStore
    from peopleinfo.http.middleware.rate_limit import Limits
    from peopleinfo.http.shutdown import Drain
    from peopleinfo.people.store import Store
    from peopleinfo.privacy.audit import Audit
    from peopleinfo.settings import Sealing, Settings


@asynccontextmanager
async def open_people(settings: Settings, *, create: bool = False) -> AsyncIterator[People]:
    """Open the store that the settings name, and close it again; with `create` a missing store is made.

    Raises StoreMissing; StoreUnusable, saying what to mend.
    """
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(_open_store(settings.location, encryption(settings), create=create))
        store: Store = ObservedStore(opened)
        if settings.cache_url:
            from peopleinfo.stores.cached.store import open_cached  # noqa: PLC0415 - as below

            store = await stack.enter_async_context(
                open_cached(
                    store,
                    settings.cache_url,
                    user=settings.cache_user,
                    password=settings.cache_password,
                    seconds=settings.cache_ttl,
                    local_size=settings.cache_local_size,
                    strict=settings.cache_strict_writes,
                    deadline=settings.cache_timeout,
                    fence_seconds=settings.cache_fence_ttl,
                )
            )
        yield People(store, now=utc_now)


@asynccontextmanager
async def open_api_keys(settings: Settings, *, create: bool = False) -> AsyncIterator[ApiKeys]:
    """Open the store that the settings name, for the sake of its API keys; with `create` a missing store is made. Raises StoreUnusable."""
    async with _open_store(settings.location, encryption(settings), create=create) as store:
        yield store.api_keys


def encryption(settings: Settings) -> Encryption | None:
    """Return what people are sealed with, None when they are not. Raises StoreUnusable when there is no such key."""
    sealing = settings.sealing
    return Encryption(open_master(sealing), sealing.prefixes) if sealing else None


def open_master(sealing: Sealing) -> Master:
    """Return a master key. Raises StoreUnusable when there is no such key."""
    from peopleinfo.crypto.master_key import FileMaster  # noqa: PLC0415 - as below

    if sealing.scheme == "aws-kms":
        from peopleinfo.crypto.kms import KmsMaster  # noqa: PLC0415 - as below

        return KmsMaster(sealing.key, region=sealing.region, endpoint=sealing.endpoint)
    return FileMaster(Path(sealing.key))


def examine_files(settings: Settings) -> list[tuple[Path, str]]:
    """Check the files of the embedded store for damage: each file, and its first problem or "". A table has none."""
    if isinstance(settings.location, TableLocation):
        return []
    from peopleinfo.stores.sqlite.integrity import examine  # noqa: PLC0415 - as below

    return list(examine(settings.location))


def is_store_file(path: Path, settings: Settings) -> bool:
    """Return whether a path leads to a file of the embedded store: writing it would destroy the store."""
    location = settings.location
    if isinstance(location, TableLocation):
        return False
    from peopleinfo.stores.sqlite.files import names_of, path_of_keys  # noqa: PLC0415 - as below

    return path.resolve() in {Path(name).resolve() for name in names_of([location, path_of_keys(location)])}


async def seal_store(settings: Settings, *, told: Callable[[int], None]) -> int:
    """Seal everybody in a store that was plain and is not served now; return how many. Raises StoreUnusable, InvalidSettings."""
    given = encryption(settings)
    if given is None:
        raise InvalidSettings("say in PEOPLEINFO_ENCRYPTION what to seal people with: docs/encryption.md")
    if isinstance(settings.location, TableLocation):
        raise InvalidSettings(
            "a table is sealed by copying it to a new one, while the service runs: docs/encryption.md"
        )
    from peopleinfo.stores.sqlite.encrypt_existing import seal_people  # noqa: PLC0415 - as below

    return seal_people(settings.location, given, told=told)


@asynccontextmanager
async def open_key_store(settings: Settings, encryption: Encryption, *, alone: bool) -> AsyncIterator[KeyStore]:
    """Open the keys of an encrypted store. `alone`: no service may use a file meanwhile. Raises StoreUnusable, InvalidSettings."""
    async with _open_store(settings.location, encryption):  # which says what is wrong
        pass
    if isinstance(settings.location, TableLocation):
        from peopleinfo.stores.dynamodb.factory import open_table  # noqa: PLC0415 - as below
        from peopleinfo.stores.dynamodb.key_table import DynamoKeyStore  # noqa: PLC0415 - as below

        async with open_table(settings.location) as table:
            yield DynamoKeyStore(table.beside(settings.location.keys))
        return
    from peopleinfo.stores.sqlite.encrypt_existing import SqliteKeyStore, hold_alone  # noqa: PLC0415 - as below
    from peopleinfo.stores.sqlite.person_keys import made  # noqa: PLC0415 - as below

    with closing(made(settings.location)) as db:
        if alone:
            hold_alone(db, settings.location)
        yield SqliteKeyStore(db)


def _open_store(
    location: Path | TableLocation, encryption: Encryption | None, *, create: bool = False
) -> AbstractAsyncContextManager[Store]:
    # Each brings libraries that the other has no use for.
    if isinstance(location, TableLocation):
        from peopleinfo.stores.dynamodb.factory import open_dynamodb  # noqa: PLC0415

        return open_dynamodb(location, now=utc_now, encryption=encryption, create=create)
    from peopleinfo.stores.sqlite.factory import open_sqlite  # noqa: PLC0415

    return open_sqlite(location, now=utc_now, encryption=encryption, create=create)


def _tokens(settings: Settings) -> Tokens | None:
    if not settings.oidc_issuer:
        return None
    from peopleinfo.auth.oidc import OidcTokens  # noqa: PLC0415 - as above

    return OidcTokens(settings.oidc_issuer, settings.oidc_audience, scopes_claim=settings.oidc_scopes_claim)


def _code_flow(settings: Settings) -> CodeFlow | None:
    if not settings.oidc_client_id:
        return None
    from peopleinfo.auth.oidc_login import CodeFlow  # noqa: PLC0415 - as above

    return CodeFlow(
        settings.oidc_issuer, settings.oidc_client_id, secret=settings.oidc_client_secret, scopes=settings.oidc_scopes
    )


def _limits(settings: Settings) -> Limits | None:
    if not settings.rate_limit:
        return None
    from peopleinfo.http.middleware.rate_limit import Limits  # noqa: PLC0415 - as above

    return Limits(settings.rate_limit, anybody=settings.allow_anonymous, proxies=settings.trusted_proxies)


@asynccontextmanager
async def _shared(rates: Rates, settings: Settings, secret: bytes) -> AsyncIterator[None]:
    from peopleinfo.stores.cached.redis_client import open_link  # noqa: PLC0415 - as above
    from peopleinfo.stores.cached.shared_rate_limits import SharedRates  # noqa: PLC0415

    opening = open_link(settings.cache_url, user=settings.cache_user, password=settings.cache_password)
    async with opening as link, _running(SharedRates(rates, link, secret).keep()):
        yield


def open_audit(settings: Settings, stack: AsyncExitStack) -> Audit | None:
    """Return where events go, None when it goes nowhere; it ends with `stack`."""
    if not settings.audit_log:
        return None
    check_audit(settings)
    from peopleinfo.privacy.audit_file import AuditStream  # noqa: PLC0415 - as above

    stream = AuditStream(settings.audit_file)
    stack.callback(stream.close)
    return stream


def check_audit(settings: Settings) -> None:
    """Raise InvalidSettings when the audit would be written into a file of the store."""
    if settings.audit_file and is_store_file(settings.audit_file, settings):
        raise InvalidSettings(f"PEOPLEINFO_AUDIT_LOG={settings.audit_log} is a file of the store: name another file")


def utc_now() -> datetime:
    """The clock of the service."""
    return datetime.now(UTC)


@contextmanager
def _ends_in_good_order(drain: Drain) -> Iterator[None]:
    """Drain at SIGTERM; so does a worker whose parent is gone, as nobody else would tell it."""
    drain.take_over()
    parent = multiprocessing.parent_process()
    if parent is None:
        yield
        return
    drain.leave_interrupts_to_another()
    loop = asyncio.get_running_loop()

    def orphaned() -> None:
        loop.remove_reader(parent.sentinel)
        signal.raise_signal(signal.SIGTERM)

    loop.add_reader(parent.sentinel, orphaned)  # becomes readable when the parent ends, however it ends
    yield
    loop.remove_reader(parent.sentinel)


class Application:
    """The ASGI app: opens the store when the server starts (lifespan protocol) and closes it after the last answer.

    Before it starts it can be pickled: each worker gets one of its own.
    """

    def __init__(self, settings: Settings, *, instance: str, shared: Path | None = None) -> None:
        """Serve by the settings, under the name `instance`; workers of one service leave their figures in the folder `shared`."""
        self._settings = settings
        self._instance = instance
        self._shared = shared
        self._app: Any = None

    def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> Awaitable[None]:
        """Hand a request to the app, or run through the server's life."""
        if scope["type"] == "lifespan":
            return self._live(receive, send)
        answer: Awaitable[None] = self._app(scope, receive, send)
        return answer

    async def _live(self, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        from peopleinfo.telemetry import logs, tracing  # noqa: PLC0415 - commands that do not serve need not load it

        await receive()  # lifespan.startup
        async with AsyncExitStack() as stack:
            logs.configure(self._settings.log_level)
            stack.enter_context(tracing.sending(self._instance))
            try:
                people = await stack.enter_async_context(open_people(self._settings))
                self._app = await self._offer(people, stack)
            except (OSError, PeopleInfoError) as error:
                print(f"peopleinfo: cannot start to serve: {error}", file=sys.stderr)  # noqa: T201 - as the command does
                raise
            # What is there now stays: a collection that looked through it all would hold everybody up for some hundredths of a second.
            gc.collect()
            gc.freeze()
            await send({"type": "lifespan.startup.complete"})
            await receive()  # lifespan.shutdown
        await send({"type": "lifespan.shutdown.complete"})

    async def _offer(self, people: People, stack: AsyncExitStack) -> Any:
        from peopleinfo.auth.authenticator import Gate  # noqa: PLC0415
        from peopleinfo.console import pages  # noqa: PLC0415
        from peopleinfo.http.app import create_app  # noqa: PLC0415
        from peopleinfo.http.sessions import Sessions  # noqa: PLC0415
        from peopleinfo.http.shutdown import Drain  # noqa: PLC0415
        from peopleinfo.telemetry import metrics  # noqa: PLC0415
        from peopleinfo.telemetry.access_log import RequestLog  # noqa: PLC0415
        from peopleinfo.telemetry.multiprocess import Workers  # noqa: PLC0415
        from peopleinfo.telemetry.prometheus import Exposition  # noqa: PLC0415

        settings = self._settings
        workers = Workers(self._shared, metrics.ALL) if self._shared else None
        exposition = Exposition(self._instance, workers)
        log = RequestLog(silent=settings.log_level not in ("debug", "info"), counted=exposition.publish)
        stack.callback(log.flush)
        await stack.enter_async_context(_running(exposition.pulse()))
        keyless = settings.is_local and not settings.asks_from_the_start
        gate = Gate(
            people.store.api_keys,
            now=utc_now,
            admin_key=settings.admin_key,
            open_to_all=settings.allow_anonymous,
            open_until_keys=keyless,
            tokens=_tokens(settings),
        )
        drain = Drain(settings.drain_seconds)
        stack.enter_context(_ends_in_good_order(drain))
        app = create_app(
            people,
            exposition,
            log,
            gate,
            drain,
            sessions := Sessions(people.store.secret, people.store.ended_sessions, now=utc_now),
            audit := open_audit(settings, stack),
            limits := _limits(settings),
            proxies=settings.trusted_proxies,
            body_timeout=settings.body_timeout,
            loopback_only=keyless and not settings.allow_anonymous,
            unix_socket=settings.socket_path is not None,
            open_metrics=settings.metrics_auth == "none",
            origins=settings.origins,
        )
        if limits and settings.rate_limit_shared:
            await stack.enter_async_context(_shared(limits.rates, settings, people.store.secret))
        if settings.retained:
            from peopleinfo.privacy.retention import sweep_daily  # noqa: PLC0415

            sweeping = sweep_daily(people.store, audit, retention=settings.retained, now=utc_now)
            await stack.enter_async_context(_running(sweeping))
        pages.install(app, gate, sessions, _code_flow(settings), limits, body_timeout=settings.body_timeout)
        return app


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run something beside the rest, and end it."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
