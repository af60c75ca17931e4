"""What operators ask: /status and /metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import falcon

from peopleinfo import __version__
from peopleinfo.people import strict_json
from peopleinfo.telemetry.access_log import FLUSH_INTERVAL

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.http.shutdown import GracefulShutdown
    from peopleinfo.people.store import Store
    from peopleinfo.privacy.audit import AuditLog
    from peopleinfo.telemetry.access_log import AccessLog
    from peopleinfo.telemetry.health import Health
    from peopleinfo.telemetry.prometheus import Exposition


class StatusResource:
    """/status and /status/ready: whether requests should come here; /status/live: whether the process works at all."""

    def __init__(self, store: Store, health: Health, drain: GracefulShutdown, audit: AuditLog | None) -> None:
        self._store = store
        self._health = health
        self._drain = drain
        self._audit = audit

    async def on_get(self, _: Request, resp: Response) -> None:
        """Answer 200 when it can serve, and 503, naming what is down, when it cannot or is about to end."""
        trouble = await self._health.last_error()
        answer: dict[str, Any] = {"statusCode": 200, "status": "ok", "version": __version__, "store": "ok"}
        if trouble:
            answer |= {"statusCode": 503, "status": "unavailable", "store": str(trouble)}
            resp.set_header("Retry-After", str(trouble.retry_after))
        elif self._drain.is_on:
            answer |= {"statusCode": 503, "status": "draining"}
            resp.set_header("Retry-After", "1")
        if self._audit:
            answer["audit"] = self._audit.write_error() or "ok"
            if answer["audit"] != "ok":  # reads are served, but changes are refused
                answer |= {"statusCode": 503, "status": "unavailable"}
                resp.set_header("Retry-After", "5")
        if cache := self._store.cache_state:
            answer["cache"] = cache  # whose absence costs time, and nothing else
        _tell(resp, answer)

    async def on_get_live(self, _: Request, resp: Response) -> None:
        """Answer 200: that it answers says that it is alive. Whoever restarts it for want of a store helps nobody."""
        _tell(resp, {"statusCode": 200, "status": "ok", "version": __version__})

    on_head = on_get
    on_head_live = on_get_live


def _tell(resp: Response, answer: dict[str, Any]) -> None:
    resp.status = answer["statusCode"]
    resp.content_type = falcon.MEDIA_JSON
    resp.set_header("Cache-Control", "no-store")
    resp.data = strict_json.encode(answer)


class MetricsResource:
    """/metrics: figures for Prometheus."""

    def __init__(self, exposition: Exposition, log: AccessLog) -> None:
        self._exposition = exposition
        self._log = log

    async def on_get(self, req: Request, resp: Response) -> None:
        """Answer in the Prometheus text format, or in OpenMetrics when asked for."""
        if (
            self._exposition.has_others
        ):  # who publish at least so often: then whatever was answered before this request is counted
            await asyncio.sleep(FLUSH_INTERVAL)
        self._log.flush()
        resp.data, resp.content_type = self._exposition.text(req.get_header("Accept", default=""))

    on_head = on_get
