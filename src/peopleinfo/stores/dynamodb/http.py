"""The HTTP under the calls to DynamoDB and to whoever gives credentials: aiodynamo takes any function from a request to a response."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Final

from aiodynamo.http.types import Request, RequestFailed, Response
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from peopleinfo.telemetry.metrics import DYNAMODB_POOL_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiodynamo.http.types import HttpImplementation

_CONNECTIONS: Final = 128  # to DynamoDB at a time
_IDLE: Final = timedelta(seconds=15)


@asynccontextmanager
async def open_http() -> AsyncIterator[HttpImplementation]:
    """Open connections as they are needed, HTTP/1.1, and close them. A call raises RequestFailed; its deadline is the caller's (ADR 14)."""
    building = ClientBuilder().http1_only().no_proxy().follow_redirects(enable=False).pool_idle_timeout(_IDLE)
    free = asyncio.Semaphore(_CONNECTIONS)  # of ours, to see how long one waits
    async with building.build() as client:

        async def http(request: Request) -> Response:
            began = monotonic()
            try:
                async with free:
                    DYNAMODB_POOL_SECONDS.observe(monotonic() - began)
                    asked = client.request(request.method, request.url).headers(request.headers or {})
                    answer = await asked.body_bytes(request.body or b"").build().send()
                    return Response(answer.status, bytes(await answer.bytes()))
            except PyreqwestError as failed:
                raise RequestFailed(failed) from failed

        yield http
