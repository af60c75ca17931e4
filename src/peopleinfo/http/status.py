"""What operators ask: /status and /metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import falcon
from prometheus_client import exposition

from peopleinfo import __version__, strictjson
from peopleinfo.errors import StoreUnavailable

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.people import People
    from peopleinfo.telemetry.metrics import Metrics
    from peopleinfo.telemetry.requests import RequestLog


class StatusResource:
    """/status: whether the service can serve."""

    def __init__(self, people: People) -> None:
        self._people = people

    async def on_get(self, _: Request, resp: Response) -> None:
        """Answer 200 when it can, and 503 naming what is down when it cannot."""
        try:
            await self._people.store.ready()
        except StoreUnavailable as down:
            answer: dict[str, Any] = {
                "statusCode": 503,
                "status": "unavailable",
                "version": __version__,
                "store": str(down),
            }
            resp.set_header("Retry-After", str(down.retry_after))
        else:
            answer = {"statusCode": 200, "status": "ok", "version": __version__, "store": "ok"}
        if cache := self._people.store.cache_state:
            answer["cache"] = cache  # whose absence costs time, and nothing else
        resp.status = answer["statusCode"]
        resp.content_type = falcon.MEDIA_JSON
        resp.set_header("Cache-Control", "no-store")
        resp.data = strictjson.encode(answer)

    on_head = on_get


class MetricsResource:
    """/metrics: figures for Prometheus."""

    def __init__(self, metrics: Metrics, log: RequestLog) -> None:
        self._metrics = metrics
        self._log = log

    async def on_get(self, req: Request, resp: Response) -> None:
        """Answer in the Prometheus text format, or in OpenMetrics when asked for."""
        self._log.flush()
        encode, content_type = exposition.choose_encoder(req.get_header("Accept", default=""))
        resp.content_type = content_type
        resp.data = encode(self._metrics.registry)

    on_head = on_get
