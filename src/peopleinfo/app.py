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
from peopleinfo.people.service import PeopleService
from peopleinfo.settings import InvalidSettings
from peopleinfo.settings.urls import DynamoDBUrl
from peopleinfo.stores.instrumented import InstrumentedStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, MutableMapping
    from contextlib import AbstractAsyncContextManager

    from peopleinfo.auth.api_keys import ApiKeyStore
    from peopleinfo.auth.authenticator import TokenVerifier
    from peopleinfo.auth.oidc_login import AuthorizationCodeFlow
    from peopleinfo.auth.rate_limit import TokenBuckets
    from peopleinfo.crypto.master_key import MasterKey
    from peopleinfo.crypto.rotation import KeyStore
    from peopleinfo.http.middleware.rate_limit import RateLimiter
    from peopleinfo.http.shutdown import GracefulShutdown
    from peopleinfo.privacy.audit import AuditLog
    from peopleinfo.settings import Settings
    from peopleinfo.settings.urls import EncryptionUrl
    from peopleinfo.stores.registry import ServiceStore


@asynccontextmanager
async def open_people(settings: Settings, *, create: bool = False) -> AsyncIterator[PeopleService]:
    """Open the store that the settings name, and close it again; with `create` a missing store is made.

    Raises StoreMissing; StoreUnusable, saying what to mend.
    """
    async with _open_service_store(settings, create=create) as store:
        yield PeopleService(store, now=utc_now)


@asynccontextmanager
async def _open_service_store(settings: Settings, *, create: bool = False) -> AsyncIterator[ServiceStore]:
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(_open_store(settings.location, encryption(settings), create=create))
        store: ServiceStore = InstrumentedStore(opened)
        if settings.cache_url:
            from peopleinfo.stores.cached.store import open_cached  # noqa: PLC0415 - as below

            store = await stack.enter_async_context(
                open_cached(
                    store,
                    settings.cache_url,
                    user=settings.cache_user,
                    password=settings.cache_password,
                    ttl=settings.cache_ttl,
                    local_size=settings.cache_local_size,
                    strict=settings.cache_strict_writes,
                    command_timeout=settings.cache_timeout,
                    fence_ttl=settings.cache_fence_ttl,
                )
            )
        yield store


@asynccontextmanager
async def open_api_keys(settings: Settings, *, create: bool = False) -> AsyncIterator[ApiKeyStore]:
    """Open the store that the settings name, for the sake of its API keys; with `create` a missing store is made. Raises StoreUnusable."""
    async with _open_store(settings.location, encryption(settings), create=create) as store:
        yield store.api_keys


def encryption(settings: Settings) -> Encryption | None:
    """Return what people are sealed with, None when they are not. Raises StoreUnusable when there is no such key."""
    sealing = settings.encryption_url
    return Encryption(open_master_key(sealing), sealing.prefixes) if sealing else None


def open_master_key(sealing: EncryptionUrl) -> MasterKey:
    """Return a master key. Raises StoreUnusable when there is no such key."""
    from peopleinfo.crypto.master_key import FileMasterKey  # noqa: PLC0415 - as below

    if sealing.scheme == "aws-kms":
        from peopleinfo.crypto.kms import KmsMasterKey  # noqa: PLC0415 - as below

        return KmsMasterKey(sealing.key, region=sealing.region, endpoint=sealing.endpoint)
    return FileMasterKey(Path(sealing.key))


def check_database_files(settings: Settings) -> list[tuple[Path, str]]:
    """Check the files of the embedded store for damage: each file, and its first problem or "". A table has none."""
    if isinstance(settings.location, DynamoDBUrl):
        return []
    from peopleinfo.stores.sqlite.integrity import examine  # noqa: PLC0415 - as below

    return list(examine(settings.location))


def is_store_file(path: Path, settings: Settings) -> bool:
    """Return whether a path leads to a file of the embedded store: writing it would destroy the store."""
    location = settings.location
    if isinstance(location, DynamoDBUrl):
        return False
    from peopleinfo.stores.sqlite.files import file_names, path_of_keys  # noqa: PLC0415 - as below

    return path.resolve() in {Path(name).resolve() for name in file_names([location, path_of_keys(location)])}


async def encrypt_store(settings: Settings, *, on_progress: Callable[[int], None]) -> int:
    """Seal everybody in a store that was plain and is not served now; return how many. Raises StoreUnusable, InvalidSettings."""
    given = encryption(settings)
    if given is None:
        raise InvalidSettings("say in PEOPLEINFO_ENCRYPTION what to seal people with: docs/encryption.md")
    if isinstance(settings.location, DynamoDBUrl):
        raise InvalidSettings(
            "a table is sealed by copying it to a new one, while the service runs: docs/encryption.md"
        )
    from peopleinfo.stores.sqlite.encrypt_existing import encrypt_database  # noqa: PLC0415 - as below

    return encrypt_database(settings.location, given, on_progress=on_progress)


@asynccontextmanager
async def open_key_store(settings: Settings, encryption: Encryption, *, exclusive: bool) -> AsyncIterator[KeyStore]:
    """Open the keys of an encrypted store. `alone`: no service may use a file meanwhile. Raises StoreUnusable, InvalidSettings."""
    async with _open_store(settings.location, encryption):  # which says what is wrong
        pass
    if isinstance(settings.location, DynamoDBUrl):
        from peopleinfo.stores.dynamodb.factory import open_table  # noqa: PLC0415 - as below
        from peopleinfo.stores.dynamodb.key_table import DynamoDBKeyStore  # noqa: PLC0415 - as below

        async with open_table(settings.location) as table:
            yield DynamoDBKeyStore(table.for_table(settings.location.key_table))
        return
    from peopleinfo.stores.sqlite.encrypt_existing import SqliteKeyStore, lock_exclusively  # noqa: PLC0415 - as below
    from peopleinfo.stores.sqlite.person_keys import open_key_db  # noqa: PLC0415 - as below

    with closing(open_key_db(settings.location)) as db:
        if exclusive:
            lock_exclusively(db, settings.location)
        yield SqliteKeyStore(db)


def _open_store(
    location: Path | DynamoDBUrl, encryption: Encryption | None, *, create: bool = False
) -> AbstractAsyncContextManager[ServiceStore]:
    # Each brings libraries that the other has no use for.
    if isinstance(location, DynamoDBUrl):
        from peopleinfo.stores.dynamodb.factory import open_dynamodb  # noqa: PLC0415

        return open_dynamodb(location, now=utc_now, encryption=encryption, create=create)
    from peopleinfo.stores.sqlite.factory import open_sqlite  # noqa: PLC0415

    return open_sqlite(location, now=utc_now, encryption=encryption, create=create)


def _token_verifier(settings: Settings) -> TokenVerifier | None:
    if not settings.oidc_issuer:
        return None
    from peopleinfo.auth.oidc import OidcTokenVerifier  # noqa: PLC0415 - as above

    return OidcTokenVerifier(settings.oidc_issuer, settings.oidc_audience, scopes_claim=settings.oidc_scopes_claim)


def _code_flow(settings: Settings) -> AuthorizationCodeFlow | None:
    if not settings.oidc_client_id:
        return None
    from peopleinfo.auth.oidc_login import AuthorizationCodeFlow  # noqa: PLC0415 - as above

    return AuthorizationCodeFlow(
        settings.oidc_issuer, settings.oidc_client_id, secret=settings.oidc_client_secret, scopes=settings.oidc_scopes
    )


def _rate_limiter(settings: Settings) -> RateLimiter | None:
    if not settings.rate_limit:
        return None
    from peopleinfo.http.middleware.rate_limit import RateLimiter  # noqa: PLC0415 - as above

    return RateLimiter(settings.rate_limit, limit_anonymous=settings.allow_anonymous, proxies=settings.trusted_proxies)


@asynccontextmanager
async def _shared_rate_limits(rates: TokenBuckets, settings: Settings, secret: bytes) -> AsyncIterator[None]:
    from peopleinfo.stores.cached.redis_client import open_redis  # noqa: PLC0415 - as above
    from peopleinfo.stores.cached.shared_rate_limits import SharedTokenBuckets  # noqa: PLC0415

    opening = open_redis(settings.cache_url, user=settings.cache_user, password=settings.cache_password)
    async with opening as link, background_task(SharedTokenBuckets(rates, link, secret).run()):
        yield


def open_audit(settings: Settings, stack: AsyncExitStack) -> AuditLog | None:
    """Return where events go, None when it goes nowhere; it ends with `stack`."""
    if not settings.audit_log:
        return None
    check_audit(settings)
    from peopleinfo.privacy.audit_file import AuditLogWriter  # noqa: PLC0415 - as above

    stream = AuditLogWriter(settings.audit_file)
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
def graceful_shutdown(drain: GracefulShutdown) -> Iterator[None]:
    """Drain at SIGTERM; so does a worker whose parent is gone, as nobody else would tell it."""
    drain.install_handlers()
    parent = multiprocessing.parent_process()
    if parent is None:
        yield
        return
    drain.ignore_sigint()
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

    def __init__(self, settings: Settings, *, instance: str, metrics_dir: Path | None = None) -> None:
        """Serve by the settings, under the name `instance`; workers of one service leave their figures in the folder `shared`."""
        self._settings = settings
        self._instance = instance
        self._shared_rate_limits = metrics_dir
        self._app: Any = None

    def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> Awaitable[None]:
        """Hand a request to the app, or run through the server's life."""
        if scope["type"] == "lifespan":
            return self._lifespan(receive, send)
        answer: Awaitable[None] = self._app(scope, receive, send)
        return answer

    async def _lifespan(self, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        from peopleinfo.telemetry import logs, tracing  # noqa: PLC0415 - commands that do not serve need not load it

        await receive()  # lifespan.startup
        async with AsyncExitStack() as stack:
            logs.configure(self._settings.log_level)
            stack.enter_context(tracing.configured(self._instance))
            try:
                store = await stack.enter_async_context(_open_service_store(self._settings))
                self._app = await self._build(store, stack)
            except (OSError, PeopleInfoError) as error:
                print(f"peopleinfo: cannot start to serve: {error}", file=sys.stderr)  # noqa: T201 - as the command does
                raise
            # What is there now stays: a collection that looked through it all would hold everybody up for some hundredths of a second.
            gc.collect()
            gc.freeze()
            await send({"type": "lifespan.startup.complete"})
            await receive()  # lifespan.shutdown
        await send({"type": "lifespan.shutdown.complete"})

    async def _build(self, store: ServiceStore, stack: AsyncExitStack) -> Any:
        from peopleinfo.auth.authenticator import Authenticator  # noqa: PLC0415
        from peopleinfo.console import pages  # noqa: PLC0415
        from peopleinfo.http.app import create_app  # noqa: PLC0415
        from peopleinfo.http.sessions import Sessions  # noqa: PLC0415
        from peopleinfo.http.shutdown import GracefulShutdown  # noqa: PLC0415
        from peopleinfo.telemetry import metrics  # noqa: PLC0415
        from peopleinfo.telemetry.access_log import AccessLog  # noqa: PLC0415
        from peopleinfo.telemetry.multiprocess import Workers  # noqa: PLC0415
        from peopleinfo.telemetry.prometheus import Exposition  # noqa: PLC0415

        settings = self._settings
        workers = Workers(self._shared_rate_limits, metrics.ALL) if self._shared_rate_limits else None
        exposition = Exposition(self._instance, workers)
        log = AccessLog(silent=settings.log_level not in ("debug", "info"), on_flush=exposition.publish)
        stack.callback(log.flush)
        await stack.enter_async_context(background_task(exposition.sample_loop()))
        keyless = settings.is_local and not settings.has_static_credentials
        gate = Authenticator(
            store.api_keys,
            now=utc_now,
            admin_key=settings.admin_key,
            allow_anonymous=settings.allow_anonymous,
            allow_anonymous_until_first_key=keyless,
            tokens=_token_verifier(settings),
        )
        drain = GracefulShutdown(settings.drain_seconds)
        stack.enter_context(graceful_shutdown(drain))
        app = create_app(
            PeopleService(store, now=utc_now),
            exposition,
            log,
            gate,
            drain,
            sessions := Sessions(store.secret, store.ended_sessions, now=utc_now),
            audit := open_audit(settings, stack),
            limits := _rate_limiter(settings),
            proxies=settings.trusted_proxies,
            body_timeout=settings.body_timeout,
            loopback_only=keyless and not settings.allow_anonymous,
            unix_socket=settings.socket_path is not None,
            open_metrics=settings.metrics_auth == "none",
            origins=settings.origins,
        )
        if limits and settings.rate_limit_shared:
            await stack.enter_async_context(_shared_rate_limits(limits.rates, settings, store.secret))
        if settings.retention:
            from peopleinfo.privacy.retention import run_retention  # noqa: PLC0415

            sweeping = run_retention(store, audit, retention=settings.retention, now=utc_now)
            await stack.enter_async_context(background_task(sweeping))
        pages.add_routes(app, gate, sessions, _code_flow(settings), limits, body_timeout=settings.body_timeout)
        return app


@asynccontextmanager
async def background_task(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run something beside the rest, and end it."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
