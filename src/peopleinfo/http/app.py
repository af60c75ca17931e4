"""The service as an ASGI app: routes, and what happens around every request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import falcon
import falcon.asgi

from peopleinfo.http import problems
from peopleinfo.http.auth import Authentication
from peopleinfo.http.cursors import Cursors
from peopleinfo.http.data import DataResource
from peopleinfo.http.docs import DocsResource, OpenApiResource, RootResource
from peopleinfo.http.loopback import LoopbackOnly
from peopleinfo.http.people import PeopleResource, PersonResource
from peopleinfo.http.requests import App
from peopleinfo.http.status import MetricsResource, StatusResource
from peopleinfo.http.transfer import ExportResource, ImportResource
from peopleinfo.telemetry.health import Health
from peopleinfo.telemetry.requests import Answered

if TYPE_CHECKING:
    from peopleinfo.gate import Gate
    from peopleinfo.http.drain import Drain
    from peopleinfo.people import People
    from peopleinfo.telemetry.metrics import Metrics
    from peopleinfo.telemetry.requests import RequestLog

_UNMATCHED: Final = "(no route)"
_METHODS: Final = frozenset(falcon.HTTP_METHODS)


def create_app(
    people: People,
    metrics: Metrics,
    log: RequestLog,
    gate: Gate,
    drain: Drain,
    *,
    body_seconds: float,
    loopback_only: bool,
) -> App:
    """Return the ASGI app that offers `people` to whom `gate` lets in, and says so until `drain` is on.

    `body_seconds` bounds how long a body may take to arrive; `loopback_only` answers to names of this machine alone.
    """
    app = App(
        middleware=[_Observed(log, drain), *([LoopbackOnly(gate)] if loopback_only else []), Authentication(gate)]
    )
    app.req_options.strip_url_path_trailing_slash = True
    problems.install(app)
    cursors = Cursors(people.store.secret)
    several = PeopleResource(people, cursors, body_seconds=body_seconds)
    app.add_route("/v1/people", several)
    app.add_route("/v1/people/search", several, suffix="search")
    app.add_route("/v1/people/import", ImportResource(people, body_seconds=body_seconds))
    app.add_route("/v1/people/export", ExportResource(people))
    app.add_route("/v1/people/{person_id}", PersonResource(people, body_seconds=body_seconds))
    app.add_route("/data", DataResource(people, cursors, body_seconds=body_seconds))
    status = StatusResource(people.store, Health(people.store), drain)
    app.add_route("/status", status)
    app.add_route("/status/ready", status)
    app.add_route("/status/live", status, suffix="live")
    app.add_route("/metrics", MetricsResource(metrics, log))
    app.add_route("/openapi.json", OpenApiResource())
    app.add_route("/", RootResource())
    docs = DocsResource()
    app.add_route("/docs", docs)
    app.add_route("/docs/{name}", docs, suffix="asset")
    return app


class _Observed:
    """Notes every answer with the route's template, never the path or the query."""

    def __init__(self, log: RequestLog, drain: Drain) -> None:
        self._log = log
        self._drain = drain

    async def process_response(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _resource: object, _succeeded: bool
    ) -> None:
        scope = req.scope
        request_id = scope["request_id"]
        resp.set_header("X-Request-Id", request_id)
        if self._drain.is_on:  # the client's next request had better find another server
            resp.set_header("Connection", "close")
        route = req.uri_template or _UNMATCHED
        method = req.method if req.method in _METHODS else "(other)"
        seconds = time.perf_counter() - scope["began"]
        self._log.note(Answered(route, method, resp.status_code, seconds, request_id, time.time()))
