"""The service as an ASGI app: routes, and what happens around every request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import falcon
import falcon.asgi

from peopleinfo.http import problems, uvicorn_protocol
from peopleinfo.http.bodies import App
from peopleinfo.http.bulk import ExportResource, ImportResource
from peopleinfo.http.cursors import Cursors
from peopleinfo.http.docs import DocsResource, OpenApiResource
from peopleinfo.http.etags import UntaggedConditions
from peopleinfo.http.health import MetricsResource, StatusResource
from peopleinfo.http.legacy import DataResource
from peopleinfo.http.memory_budget import BODIES
from peopleinfo.http.middleware.audit import AuditMiddleware
from peopleinfo.http.middleware.auth import AuthMiddleware
from peopleinfo.http.middleware.cors import Cors
from peopleinfo.http.middleware.host_check import LocalhostOnly
from peopleinfo.http.middleware.query_parameters import KnownParameters
from peopleinfo.http.operations import OPERATIONS
from peopleinfo.http.people import PeopleResource, PersonExportResource, PersonResource
from peopleinfo.telemetry import tracing
from peopleinfo.telemetry.access_log import AccessRecord
from peopleinfo.telemetry.health import Health
from peopleinfo.telemetry.metrics import REQUESTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from peopleinfo.auth.authenticator import Authenticator
    from peopleinfo.http.middleware.rate_limit import RateLimiter
    from peopleinfo.http.sessions import Sessions
    from peopleinfo.http.shutdown import GracefulShutdown
    from peopleinfo.people.service import PeopleService
    from peopleinfo.privacy.audit import AuditLog
    from peopleinfo.telemetry.access_log import AccessLog
    from peopleinfo.telemetry.prometheus import Exposition

_UNMATCHED: Final = "(no route)"
_ERRORS: Final = ("500", "503")
_METHODS: Final = frozenset(falcon.HTTP_METHODS)


def create_app(
    people: PeopleService,
    exposition: Exposition,
    log: AccessLog,
    gate: Authenticator,
    drain: GracefulShutdown,
    sessions: Sessions,
    audit: AuditLog | None,
    limits: RateLimiter | None,
    *,
    proxies: int,
    body_timeout: float,
    loopback_only: bool,
    unix_socket: bool = False,
    open_metrics: bool,
    origins: frozenset[str] = frozenset(),
) -> App:
    """Return the ASGI app that offers `people` to whom `gate` lets in, and says so until `drain` is on.

    How much each may ask for is said by `limits`. Who reads or changes somebody is noted in `audit`. There are `proxies` of ours before the
    service, which say from where a request came.
    `body_timeout` bounds how long a body may take to arrive; `loopback_only` answers to names of this machine alone, which on a
    `unix_socket` are more; `open_metrics` shows the figures to everybody. Pages of `origins` may ask, too.
    """
    middleware = [
        AccessLogMiddleware(log, drain),
        *([Cors(origins)] if origins else []),
        *([LocalhostOnly(gate, origins, unix_socket=unix_socket)] if loopback_only else []),
        *([AuditMiddleware(audit, proxies=proxies)] if audit else []),
        AuthMiddleware(gate, limits, sessions, open_metrics=open_metrics),
        KnownParameters(),
        UntaggedConditions(),
    ]
    app = App(middleware=middleware)
    app.req_options.strip_url_path_trailing_slash = True
    problems.register(app)
    cursors = Cursors(people.store.secret)
    several = PeopleResource(people, cursors, body_timeout=body_timeout)
    app.add_route("/v1/people", several)
    app.add_route("/v1/people/search", several, suffix="search")
    app.add_route("/v1/people/import", ImportResource(people, body_timeout=body_timeout))
    app.add_route("/v1/people/export", ExportResource(people, body_timeout=body_timeout))
    app.add_route("/v1/people/{person_id}", PersonResource(people, body_timeout=body_timeout))
    app.add_route("/v1/people/{person_id}/export", PersonExportResource(people, audit))
    app.add_route("/data", DataResource(people, cursors, body_timeout=body_timeout))
    for operation in OPERATIONS:
        for trouble in _ERRORS:
            REQUESTS.init_labels(operation.path, operation.method.upper(), trouble)
    exposition.gauges += [people.store.update_gauges, uvicorn_protocol.update_gauges]
    status = StatusResource(people.store, Health(people.store.check), drain, audit)
    app.add_route("/status", status)
    app.add_route("/status/ready", status)
    app.add_route("/status/live", status, suffix="live")
    app.add_route("/metrics", MetricsResource(exposition, log))
    app.add_route("/openapi.json", OpenApiResource())
    docs = DocsResource()
    app.add_route("/docs", docs)
    app.add_route("/docs/{name}", docs, suffix="asset")
    return app


class AccessLogMiddleware:
    """Notes every answer with the route's template, never the path or the query; of a stream when it has ended."""

    def __init__(self, log: AccessLog, drain: GracefulShutdown) -> None:
        self._log = log
        self._drain = drain

    async def process_response(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _resource: object, _succeeded: bool
    ) -> None:
        """Record the response in the metrics and the access log, a streamed one when it has ended."""
        scope = req.scope
        if "counted" in scope:
            BODIES.release(scope["counted"])
        resp.set_header("X-Request-Id", scope["request_id"])
        if self._drain.is_on:  # the client's next request had better find another server
            resp.set_header("Connection", "close")
        trace_id = _end_of_span(req, resp) if "span" in scope else ""
        if resp.stream is not None:
            resp.stream = self._counted(req, resp, resp.stream, trace_id)
        else:
            self._note(req, resp, len(resp.data or b""), trace_id)

    def _note(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, size: int, trace_id: str) -> None:
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

    async def _counted(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, pieces: AsyncIterable[bytes], trace_id: str
    ) -> AsyncIterator[bytes]:
        size = 0
        try:
            async for piece in pieces:
                size += len(piece)
                yield piece
        finally:  # also when the client goes away
            self._note(req, resp, size, trace_id)


def _end_of_span(req: falcon.asgi.Request, resp: falcon.asgi.Response) -> str:
    """Say in the span of a request what came of it, and in the answer which span it was; return the trace's id."""
    trace_id, traceresponse = tracing.end_request_span(
        req.scope["span"], req.uri_template or _UNMATCHED, req.method, resp.status_code
    )
    resp.set_header("Traceresponse", traceresponse)
    return trace_id
