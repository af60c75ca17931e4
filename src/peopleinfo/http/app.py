"""The HTTP API as an ASGI app: its middleware and its access log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import falcon
import falcon.asgi

from peopleinfo.http import problems, routes, uvicorn_protocol
from peopleinfo.http.bodies import App
from peopleinfo.http.health import MetricsResource, StatusResource
from peopleinfo.http.memory_budget import BODIES
from peopleinfo.http.middleware.audit import AuditMiddleware
from peopleinfo.http.middleware.auth import AuthMiddleware
from peopleinfo.http.middleware.cors import Cors
from peopleinfo.http.middleware.host_check import LocalhostOnly
from peopleinfo.http.middleware.validation import RequestValidation
from peopleinfo.http.operations import OPERATIONS
from peopleinfo.telemetry import tracing
from peopleinfo.telemetry.access_log import AccessRecord
from peopleinfo.telemetry.health import Health
from peopleinfo.telemetry.metrics import REQUESTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from peopleinfo.auth.authenticator import Authenticator
    from peopleinfo.bulk.importer import ImportTarget
    from peopleinfo.http.health import HasState
    from peopleinfo.http.middleware.rate_limit import RateLimiter
    from peopleinfo.http.sessions import Sessions
    from peopleinfo.http.shutdown import GracefulShutdown
    from peopleinfo.people.service import PeopleService
    from peopleinfo.people.store import StoreMaintenance
    from peopleinfo.privacy.audit import AuditLog
    from peopleinfo.telemetry.access_log import AccessLog
    from peopleinfo.telemetry.prometheus import Exposition

_UNMATCHED: Final = "(no route)"
_ERRORS: Final = ("500", "503")
_METHODS: Final = frozenset(falcon.HTTP_METHODS)


def create_app(
    people: PeopleService,
    imports: ImportTarget,
    store: StoreMaintenance,
    exposition: Exposition,
    log: AccessLog,
    authenticator: Authenticator,
    shutdown: GracefulShutdown,
    sessions: Sessions,
    audit: AuditLog | None,
    rate_limiter: RateLimiter | None,
    *,
    proxies: int,
    body_timeout: float,
    loopback_only: bool,
    unix_socket: bool = False,
    open_metrics: bool,
    origins: frozenset[str] = frozenset(),
    cache: HasState | None = None,
) -> App:
    """Return the ASGI app of the HTTP API.

    `proxies` is the number of trusted proxies in front of the server, which append the client's address to X-Forwarded-For.
    `body_timeout` is in seconds. `loopback_only` requires a Host header with a name of this machine;
    on a `unix_socket` it also accepts names without a period. `open_metrics` serves /metrics without a credential.
    Pages of `origins` may call the API (CORS).
    """
    middleware = [
        AccessLogMiddleware(log, shutdown),
        Cors(origins),
        *([LocalhostOnly(authenticator, origins, unix_socket=unix_socket)] if loopback_only else []),
        *([AuditMiddleware(audit, proxies=proxies)] if audit else []),
        AuthMiddleware(authenticator, rate_limiter, sessions, open_metrics=open_metrics),
        RequestValidation(),
    ]
    app = App(middleware=middleware)
    app.req_options.strip_url_path_trailing_slash = True
    problems.register(app)
    routes.add_people_routes(app, people, imports, audit, body_timeout=body_timeout)
    for operation in OPERATIONS:
        for status in _ERRORS:
            REQUESTS.init_labels(operation.path, operation.method.upper(), status)
    exposition.gauges += [store.update_gauges, uvicorn_protocol.update_gauges]
    routes.add_operations_routes(
        app, StatusResource(Health(store.check), shutdown, audit, cache), MetricsResource(exposition, log)
    )
    return app


class AccessLogMiddleware:
    """Writes each response to the metrics and the access log with the route template, never with the path or the query."""

    def __init__(self, log: AccessLog, shutdown: GracefulShutdown) -> None:
        self._log = log
        self._drain = shutdown

    async def process_response(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _resource: object, _succeeded: bool
    ) -> None:
        """Record the response; a streamed response is recorded when its stream ends."""
        scope = req.scope
        if "counted" in scope:
            BODIES.release(scope["counted"])
        resp.set_header("X-Request-Id", scope["request_id"])
        if self._drain.is_on:  # the client then connects to another server
            resp.set_header("Connection", "close")
        trace_id = _end_span(req, resp) if "span" in scope else ""
        if resp.stream is not None:
            resp.stream = self._count_bytes(req, resp, resp.stream, trace_id)
        else:
            self._record(req, resp, len(resp.data or b""), trace_id)

    def _record(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, size: int, trace_id: str) -> None:
        scope, context = req.scope, req.context
        principal = getattr(context, "principal", None)
        self._log.append(
            AccessRecord(
                req.uri_template or _UNMATCHED,
                req.method if req.method in _METHODS else "(other)",
                resp.status_code,
                time.perf_counter() - scope["began"],
                scope["request_id"],
                time.time(),
                size,
                principal and principal.name,
                getattr(context, "source", None),
                trace_id,
            )
        )

    async def _count_bytes(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, chunks: AsyncIterable[bytes], trace_id: str
    ) -> AsyncIterator[bytes]:
        size = 0
        try:
            async for chunk in chunks:
                size += len(chunk)
                yield chunk
        finally:  # also when the client disconnects
            self._record(req, resp, size, trace_id)


def _end_span(req: falcon.asgi.Request, resp: falcon.asgi.Response) -> str:
    """End the span of a request, set the header Traceresponse and return the trace id."""
    trace_id, traceresponse = tracing.end_request_span(
        req.scope["span"], req.uri_template or _UNMATCHED, req.method, resp.status_code
    )
    resp.set_header("Traceresponse", traceresponse)
    return trace_id
