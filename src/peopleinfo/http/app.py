"""The HTTP API as an ASGI app: its middleware and its access log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import falcon
import falcon.asgi

from peopleinfo.http import problems, routes
from peopleinfo.http.falcon_app import App
from peopleinfo.http.memory_budget import BODIES
from peopleinfo.http.middleware.audit import AuditMiddleware
from peopleinfo.http.middleware.auth import AuthMiddleware
from peopleinfo.http.middleware.cors import Cors
from peopleinfo.http.middleware.host_check import LocalhostOnly
from peopleinfo.http.middleware.validation import RequestValidation
from peopleinfo.http.openapi.operations import OPERATIONS
from peopleinfo.telemetry import tracing
from peopleinfo.telemetry.access_log import AccessRecord
from peopleinfo.telemetry.metrics import REQUESTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from peopleinfo.http.services import Services
    from peopleinfo.http.shutdown import GracefulShutdown
    from peopleinfo.settings import Settings
    from peopleinfo.telemetry.access_log import AccessLog

_UNMATCHED: Final = "(no route)"
_ERRORS: Final = ("500", "503")
_METHODS: Final = frozenset(falcon.HTTP_METHODS)


def create_app(services: Services, settings: Settings) -> App:
    """Return the ASGI app of the HTTP API."""
    authenticator, audit, proxies = services.authenticator, services.audit, settings.trusted_proxies
    middleware = [
        AccessLogMiddleware(services.access_log, services.shutdown),
        Cors(settings.origins),
        *([LocalhostOnly(authenticator, settings)] if settings.is_loopback_only else []),
        *([AuditMiddleware(audit, proxies=proxies)] if audit else []),
        AuthMiddleware(
            authenticator, services.rate_limiter, services.sessions, open_metrics=settings.metrics_auth == "none"
        ),
        RequestValidation(),
    ]
    app = App(middleware=middleware)
    app.req_options.strip_url_path_trailing_slash = True
    problems.register(app)
    routes.add_people_routes(app, services, body_timeout=settings.body_timeout)
    routes.add_fhir_routes(app, services, body_timeout=settings.body_timeout)
    routes.add_operations_routes(app, services)
    for operation in OPERATIONS:
        for status in _ERRORS:
            REQUESTS.init_labels(operation.path, operation.method.upper(), status)
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
