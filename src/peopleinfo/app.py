"""Assembly of the application from its settings. Only this module imports every implementation."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import signal
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from peopleinfo.errors import InvalidSettings, PeopleInfoError
from peopleinfo.matching.merge_service import MergeService
from peopleinfo.people.history_service import HistoryService
from peopleinfo.people.people_list import PeopleList
from peopleinfo.people.person import utc_now
from peopleinfo.people.service import PeopleService
from peopleinfo.people.trash import Trash
from peopleinfo.privacy.subject_export import PersonalDataExport
from peopleinfo.settings.identifiers import parse_identifiers
from peopleinfo.stores.registry import is_store_file, open_service_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, MutableMapping
    from pathlib import Path

    from peopleinfo.auth.authenticator import TokenVerifier
    from peopleinfo.auth.oidc_login import AuthorizationCodeFlow
    from peopleinfo.auth.rate_limit import TokenBuckets
    from peopleinfo.bulk.import_history import ImportHistory
    from peopleinfo.bulk.importer import ImportTarget
    from peopleinfo.http.cursors import ChangeTokens
    from peopleinfo.http.falcon_app import App
    from peopleinfo.http.fast_reads import FastReads
    from peopleinfo.http.middleware.request_limits import RateLimiter
    from peopleinfo.http.services import Services
    from peopleinfo.http.shutdown import GracefulShutdown
    from peopleinfo.matching.match_service import MatchService
    from peopleinfo.matching.review_queue import Review
    from peopleinfo.privacy.audit import AuditLog
    from peopleinfo.settings import Settings
    from peopleinfo.stores.service_store import ServiceStore


@asynccontextmanager
async def open_people(settings: Settings, *, create: bool = False) -> AsyncIterator[PeopleService]:
    """Open the configured store for the duration of the context. `create`: create a missing store.

    Raises StoreMissing, StoreConfigurationError.
    """
    async with open_service_store(settings, create=create) as store:
        yield people_service(store, settings)


@asynccontextmanager
async def open_people_list(settings: Settings) -> AsyncIterator[PeopleList]:
    """Open the list of the people of the configured store for the duration of the context.

    Raises StoreMissing, StoreConfigurationError.
    """
    async with open_service_store(settings) as store:
        yield PeopleList(store.people, store.search)


@asynccontextmanager
async def open_history(settings: Settings) -> AsyncIterator[tuple[HistoryService, ChangeTokens]]:
    """Open the history of the configured store, and the tokens of its feed, for the duration of the context.

    Raises StoreMissing, StoreConfigurationError.
    """
    from peopleinfo.http.cursors import ChangeTokens  # noqa: PLC0415 - as below

    async with open_service_store(settings) as store:
        yield HistoryService(store.people), ChangeTokens(store.secret)


@asynccontextmanager
async def open_trash(settings: Settings) -> AsyncIterator[Trash]:
    """Open the trash of the configured store for the duration of the context. Raises StoreMissing, StoreConfigurationError."""
    async with open_service_store(settings) as store:
        yield trash_of(store, settings)


def people_service(store: ServiceStore, settings: Settings) -> PeopleService:
    """Return the service on the records of an open store."""
    return PeopleService(
        store.people,
        secret=store.secret,
        now=utc_now,
        cache=store.cache,
        index=store.search,
        trash=trash_of(store, settings),
    )


@asynccontextmanager
async def open_merges(settings: Settings) -> AsyncIterator[MergeService]:
    """Open the merges of the configured store for the duration of the context. Raises StoreMissing, StoreConfigurationError."""
    async with open_service_store(settings) as store:
        yield merge_service(store)


def merge_service(store: ServiceStore) -> MergeService:
    """Return the service on the merges of an open store."""
    return MergeService(store.merges, secret=store.secret, now=utc_now)


def trash_of(store: ServiceStore, settings: Settings) -> Trash:
    """Return the trash of an open store."""
    return Trash(store.trash, age=settings.trash_age, now=utc_now)


def match_service(store: ServiceStore, settings: Settings) -> MatchService:
    """Return the detection of duplicates among the records of an open store."""
    from peopleinfo.matching.match_service import MatchService  # noqa: PLC0415 - few commands need it

    identifiers, _ = parse_identifiers(settings.identifiers)
    return MatchService(
        store.matches,
        store.people,
        secret=store.secret,
        identifiers=identifiers,
        estimate=store.people.estimate,
        clock=time.monotonic,
    )


def import_history(store: ServiceStore, settings: Settings) -> ImportHistory:
    """Return the imports of an open store."""
    from peopleinfo.bulk.import_history import ImportHistory  # noqa: PLC0415 - as above

    history = HistoryService(store.people)
    return ImportHistory(store.imports, store.secret, people_service(store, settings), history, store.people)


@asynccontextmanager
async def open_import_history(settings: Settings) -> AsyncIterator[ImportHistory]:
    """Open the imports of the configured store for the duration of the context. Raises StoreMissing, StoreConfigurationError."""
    async with open_service_store(settings) as store:
        yield import_history(store, settings)


def import_target(store: ServiceStore, settings: Settings, matches: MatchService) -> ImportTarget:
    """Return the target of imports into an open store."""
    from peopleinfo.bulk.importer import ImportTarget  # noqa: PLC0415 - as above

    refused, review = settings.duplicates_refuse, review_of(matches, store)
    return ImportTarget(store.people, store.secret, utc_now, store.imports, matches, refused, store.search, review)


def review_of(matches: MatchService, store: ServiceStore) -> Review:
    """Return the review queue of an open store."""
    from peopleinfo.matching.review_queue import Review  # noqa: PLC0415 - as above

    return Review(matches, store.people, utc_now)


def _token_verifier(settings: Settings) -> TokenVerifier | None:
    if not settings.oidc_issuer:
        return None
    from peopleinfo.auth.oidc import OidcTokenVerifier  # noqa: PLC0415 - as above

    return OidcTokenVerifier(settings.oidc_issuer, settings.oidc_audience, scopes_claim=settings.oidc_scopes_claim)


def _login_flow(settings: Settings) -> AuthorizationCodeFlow | None:
    if not settings.oidc_client_id:
        return None
    from peopleinfo.auth.oidc_login import AuthorizationCodeFlow  # noqa: PLC0415 - as above

    return AuthorizationCodeFlow(
        settings.oidc_issuer, settings.oidc_client_id, secret=settings.oidc_client_secret, scopes=settings.oidc_scopes
    )


def _rate_limiter(settings: Settings) -> RateLimiter | None:
    if not settings.rate_limit:
        return None
    from peopleinfo.http.middleware.request_limits import RateLimiter  # noqa: PLC0415 - as above

    return RateLimiter(settings.rate_limit, limit_anonymous=settings.allow_anonymous, proxies=settings.trusted_proxies)


def _fast_reads(app: App, services: Services, store: ServiceStore, settings: Settings) -> FastReads | None:
    """Return the hot path, None if every read needs the store."""
    if store.immediate is None:
        return None
    from peopleinfo.http.cursors import Cursors  # noqa: PLC0415 - as above
    from peopleinfo.http.fast_reads import FastReads  # noqa: PLC0415
    from peopleinfo.http.middleware.cors import ANY_ORIGIN  # noqa: PLC0415
    from peopleinfo.http.middleware.host_check import LocalhostOnly  # noqa: PLC0415

    return FastReads(
        services,
        store.immediate,
        Cursors(store.secret),
        app.new_request_id,
        varies=bool(settings.origins) and ANY_ORIGIN not in settings.origins,
        proxies=settings.trusted_proxies,
        hosts=LocalhostOnly(services.authenticator, settings) if settings.is_loopback_only else None,
    )


@asynccontextmanager
async def _shared_rate_limits(rates: TokenBuckets, settings: Settings, secret: bytes) -> AsyncIterator[None]:
    from peopleinfo.stores.cached.redis_client import open_redis  # noqa: PLC0415 - as above
    from peopleinfo.stores.cached.shared_rate_limits import SharedTokenBuckets  # noqa: PLC0415

    connection = open_redis(settings.cache_url, user=settings.cache_user, password=settings.cache_password)
    async with connection as redis, background_task(SharedTokenBuckets(rates, redis, secret).run()):
        yield


def open_audit(settings: Settings, stack: AsyncExitStack) -> AuditLog | None:
    """Return the configured audit log, None if it is off. `stack` closes it."""
    if not settings.audit_log:
        return None
    check_audit(settings)
    from peopleinfo.privacy.audit_file import AuditLogWriter  # noqa: PLC0415 - as above

    writer = AuditLogWriter(settings.audit_file)
    stack.callback(writer.close)
    return writer


def open_audit_file(settings: Settings, stack: AsyncExitStack) -> AuditLog | None:
    """Return the audit log of a command, None unless it is a file: stdout is for the output of the command."""
    return open_audit(settings, stack) if settings.audit_file else None


def check_audit(settings: Settings) -> None:
    """Raise InvalidSettings if the audit log would overwrite a file of the store."""
    if settings.audit_file and is_store_file(settings.audit_file, settings):
        raise InvalidSettings(f"PEOPLEINFO_AUDIT_LOG={settings.audit_log} is a file of the store: name another file")


@contextmanager
def graceful_shutdown(shutdown: GracefulShutdown) -> Iterator[None]:
    """Shut down gracefully on SIGTERM, and in a worker also when its parent process ends."""
    shutdown.install_handlers()
    parent = multiprocessing.parent_process()
    if parent is None:
        yield
        return
    shutdown.ignore_sigint()
    loop = asyncio.get_running_loop()

    def orphaned() -> None:
        loop.remove_reader(parent.sentinel)
        signal.raise_signal(signal.SIGTERM)

    loop.add_reader(parent.sentinel, orphaned)  # becomes readable when the parent ends, however it ends
    yield
    loop.remove_reader(parent.sentinel)


class Application:
    """The ASGI application: opens the store at startup (lifespan protocol) and closes it after the last response.

    It can be pickled before startup, since each worker process gets a copy.
    """

    def __init__(self, settings: Settings, *, instance: str, metrics_dir: Path | None = None) -> None:
        """Take the settings and the name of the instance. Worker processes share their metrics in `metrics_dir`."""
        self._settings = settings
        self._instance = instance
        self._metrics_dir = metrics_dir
        self._app: Any = None

    def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> Awaitable[None]:
        """Process a request or the lifespan of the server."""
        if scope["type"] == "lifespan":
            return self._lifespan(scope["state"], receive, send)
        response: Awaitable[None] = self._app(scope, receive, send)
        return response

    async def _lifespan(
        self,
        state: dict[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        from peopleinfo.telemetry import logs, tracing  # noqa: PLC0415 - other commands do not need it

        await receive()  # lifespan.startup
        async with AsyncExitStack() as stack:
            logs.configure(self._settings.log_level)
            stack.enter_context(tracing.configured(self._instance))
            try:
                store = await stack.enter_async_context(open_service_store(self._settings))
                self._app = await self._build(store, stack, state)
            except (OSError, PeopleInfoError) as error:
                print(f"peopleinfo: the server cannot start: {error}", file=sys.stderr)  # noqa: T201 - output of the command
                raise
            # Objects of the startup are permanent. Scanning them in each garbage collection would delay requests by tens of milliseconds.
            gc.collect()
            gc.freeze()
            await send({"type": "lifespan.startup.complete"})
            await receive()  # lifespan.shutdown
        await send({"type": "lifespan.shutdown.complete"})

    async def _build(self, store: ServiceStore, stack: AsyncExitStack, state: dict[str, Any]) -> Any:
        from peopleinfo.auth.authenticator import Authenticator  # noqa: PLC0415
        from peopleinfo.console import routes  # noqa: PLC0415
        from peopleinfo.http import uvicorn_protocol  # noqa: PLC0415
        from peopleinfo.http.app import create_app  # noqa: PLC0415
        from peopleinfo.http.fast_protocol import STATE  # noqa: PLC0415
        from peopleinfo.http.services import Services  # noqa: PLC0415
        from peopleinfo.http.sessions import Sessions  # noqa: PLC0415
        from peopleinfo.http.shutdown import GracefulShutdown  # noqa: PLC0415
        from peopleinfo.matching.creation_check import NewRecords  # noqa: PLC0415
        from peopleinfo.telemetry import metrics  # noqa: PLC0415
        from peopleinfo.telemetry.access_log import AccessLog  # noqa: PLC0415
        from peopleinfo.telemetry.multiprocess import Workers  # noqa: PLC0415
        from peopleinfo.telemetry.prometheus import Exposition  # noqa: PLC0415

        settings = self._settings
        audit = open_audit(settings, stack)
        workers = Workers(self._metrics_dir, metrics.ALL) if self._metrics_dir else None
        gauges = store.people.update_gauges, uvicorn_protocol.update_gauges
        exposition = Exposition(self._instance, workers, gauges=gauges)
        review = review_of(matches := match_service(store, settings), store)
        services = Services(
            people=people_service(store, settings),
            trash=trash_of(store, settings),
            personal_data=PersonalDataExport(store.people, store.archive, store.trash, audit),
            people_list=PeopleList(store.people, store.search),
            history=HistoryService(store.people),
            matches=matches,
            review=review,
            new_records=NewRecords(matches, store.people, review, settings.duplicates_refuse, utc_now),
            imports=import_target(store, settings, matches),
            merges=merge_service(store),
            import_history=import_history(store, settings),
            store=store.people,
            joined=store.joined,
            cache=store.cache,
            authenticator=Authenticator(
                store.api_keys,
                now=utc_now,
                admin_key=settings.admin_key,
                allow_anonymous=settings.allow_anonymous,
                allow_anonymous_until_first_key=settings.allows_anonymous_until_first_key,
                tokens=_token_verifier(settings),
            ),
            sessions=Sessions(store.secret, store.ended_sessions, now=utc_now),
            login_flow=_login_flow(settings),
            rate_limiter=_rate_limiter(settings),
            audit=audit,
            exposition=exposition,
            access_log=AccessLog(silent=settings.log_level not in ("debug", "info"), on_flush=exposition.publish),
            shutdown=GracefulShutdown(settings.drain_seconds),
        )
        stack.callback(services.access_log.flush)
        stack.enter_context(graceful_shutdown(services.shutdown))
        await self._start_background_tasks(services, store, stack)
        app = create_app(services, settings)
        routes.add_routes(app, services, body_timeout=settings.body_timeout)
        state[STATE] = _fast_reads(app, services, store, settings)
        return app

    async def _start_background_tasks(self, services: Services, store: ServiceStore, stack: AsyncExitStack) -> None:
        from peopleinfo.privacy.history_expiry import run_expiry  # noqa: PLC0415
        from peopleinfo.privacy.retention import run_retention, run_trash_expiry  # noqa: PLC0415

        settings = self._settings
        await stack.enter_async_context(background_task(services.exposition.sample_loop()))
        if services.rate_limiter and settings.rate_limit_shared:
            rates = services.rate_limiter.rates
            await stack.enter_async_context(_shared_rate_limits(rates, settings, store.secret))
        await stack.enter_async_context(background_task(run_expiry(store.people)))
        if store.matches is not None:
            from peopleinfo.matching.statistics_refresh import run_counts  # noqa: PLC0415

            counts_task = run_counts(services.matches, store.people, now=utc_now)
            await stack.enter_async_context(background_task(counts_task))
        trash_task = run_trash_expiry(store.people, store.trash, services.audit, now=utc_now)
        await stack.enter_async_context(background_task(trash_task))
        if settings.retention:
            retention_task = run_retention(store.people, services.audit, retention=settings.retention, now=utc_now)
            await stack.enter_async_context(background_task(retention_task))


@asynccontextmanager
async def background_task(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run a coroutine in the background for the duration of the context, then cancel it."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
