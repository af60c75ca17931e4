"""Fault injection between the store and DynamoDB."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiodynamo.http.types import Request, Response

from peopleinfo.stores.dynamodb.http import open_http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiodynamo.http.types import HttpImplementation

THROTTLED = Response(400, b'{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}')


class FaultyTransport:
    """An HTTP transport with fault injection: `fault` receives each request and the function that sends it."""

    def __init__(self) -> None:
        self.fault: Callable[[str, Request, HttpImplementation], Any] | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[HttpImplementation]:
        async with open_http() as http:

            async def send(request: Request) -> Response:
                if self.fault is None:
                    return await http(request)
                action = str(request.headers and request.headers["X-Amz-Target"]).rpartition(".")[2]
                response: Response = await self.fault(action, request, http)
                return response

            yield send
