"""HTTP client for DynamoDB and the credential providers: aiodynamo accepts any function from a request to a response."""

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

_CONNECTIONS: Final = 128  # concurrent requests
_IDLE: Final = timedelta(seconds=15)


@asynccontextmanager
async def open_http() -> AsyncIterator[HttpImplementation]:
    """Open a pool of HTTP/1.1 connections and close it at the end.

    A call raises RequestFailed. The caller sets its timeout (ADR 14).
    """
    builder = ClientBuilder().http1_only().no_proxy().follow_redirects(enable=False).pool_idle_timeout(_IDLE)
    slots = asyncio.Semaphore(_CONNECTIONS)  # limits requests here instead of in the pool, to measure the wait
    async with builder.build() as client:

        async def http(request: Request) -> Response:
            start = monotonic()
            try:
                async with slots:
                    DYNAMODB_POOL_SECONDS.observe(monotonic() - start)
                    outgoing = client.request(request.method, request.url).headers(request.headers or {})
                    response = await outgoing.body_bytes(request.body or b"").build().send()
                    return Response(response.status, bytes(await response.bytes()))
            except PyreqwestError as error:
                raise RequestFailed(error) from error

        yield http
