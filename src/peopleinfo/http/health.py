"""Health checks and metrics: /status and /metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import falcon

from peopleinfo import __version__
from peopleinfo.people import strict_json
from peopleinfo.telemetry.access_log import FLUSH_INTERVAL

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.http.shutdown import GracefulShutdown
    from peopleinfo.privacy.audit import AuditLog
    from peopleinfo.telemetry.access_log import AccessLog
    from peopleinfo.telemetry.prometheus import Exposition
    from peopleinfo.telemetry.store_health import Health


class HasState(Protocol):
    """A cache that reports its state."""

    @property
    def state(self) -> str:
        """State of the cache: "ok" or "down"."""


class StatusResource:
    """/status and /status/ready: readiness; /status/live: liveness."""

    def __init__(
        self, health: Health, shutdown: GracefulShutdown, audit: AuditLog | None, cache: HasState | None
    ) -> None:
        self._cache = cache
        self._health = health
        self._drain = shutdown
        self._audit = audit

    async def on_get(self, _: Request, resp: Response) -> None:
        """Return 200 if the service can serve requests; return 503 with the cause if it cannot or is shutting down."""
        error = await self._health.last_error()
        status: dict[str, Any] = {"statusCode": 200, "status": "ok", "version": __version__, "store": "ok"}
        if error:
            status |= {"statusCode": 503, "status": "unavailable", "store": str(error)}
            resp.set_header("Retry-After", str(error.retry_after))
        elif self._drain.is_on:
            status |= {"statusCode": 503, "status": "draining"}
            resp.set_header("Retry-After", "1")
        if self._audit:
            status["audit"] = self._audit.write_error() or "ok"
            if status["audit"] != "ok":  # the service still reads, but rejects writes
                status |= {"statusCode": 503, "status": "unavailable"}
                resp.set_header("Retry-After", "5")
        if self._cache:
            status["cache"] = self._cache.state  # the service works without it, only slower
        _respond(resp, status)

    async def on_get_live(self, _: Request, resp: Response) -> None:
        """Return 200 whenever the process responds; a restart would not repair an unavailable store."""
        _respond(resp, {"statusCode": 200, "status": "ok", "version": __version__})

    on_head = on_get
    on_head_live = on_get_live


def _respond(resp: Response, status: dict[str, Any]) -> None:
    resp.status = status["statusCode"]
    resp.content_type = falcon.MEDIA_JSON
    resp.set_header("Cache-Control", "no-store")
    resp.data = strict_json.encode(status)


class MetricsResource:
    """/metrics: metrics for Prometheus."""

    def __init__(self, exposition: Exposition, log: AccessLog) -> None:
        self._exposition = exposition
        self._log = log

    async def on_get(self, req: Request, resp: Response) -> None:
        """Return the Prometheus text format, or OpenMetrics if the Accept header prefers it."""
        if self._exposition.has_others:  # wait until the other workers have published the requests before this one
            await asyncio.sleep(FLUSH_INTERVAL)
        self._log.flush()
        resp.data, resp.content_type = self._exposition.text(req.get_header("Accept", default=""))

    on_head = on_get
