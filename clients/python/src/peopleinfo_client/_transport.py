"""HTTP transports over httpx: the only code of the client that differs between asyncio and threads."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import httpx

from peopleinfo_client._requests import common_headers, import_chunks
from peopleinfo_client._retry import Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from peopleinfo_client._requests import Request

    Rows = Iterable[Mapping[str, Any]]

_TOO_SLOW: Final = "the response did not arrive within the timeout"


class AsyncTransport:
    """Sends requests with asyncio."""

    def __init__(self, url: str, api_key: str | None, timeout: float) -> None:
        self._http = httpx.AsyncClient(base_url=url, headers=common_headers(api_key), timeout=timeout)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def send(self, request: Request, timeout: float) -> Response:  # noqa: ASYNC109 - bounds one attempt
        """Return the response with its whole body. Raises httpx.TransportError."""
        try:
            async with asyncio.timeout(timeout), self.stream(request, timeout) as response:
                return await self.read(response)
        except TimeoutError as error:
            raise httpx.ReadTimeout(_TOO_SLOW) from error

    def stream(
        self, request: Request, timeout: float, rows: Rows | None = None
    ) -> AbstractAsyncContextManager[httpx.Response]:
        """Return a context with the response before its body is read. Rows become the body of the request."""
        content = request.content if rows is None else _async_chunks(rows)
        return self._http.stream(
            request.method, request.path, headers=request.headers, content=content, timeout=_timeouts(timeout)
        )

    async def read(self, response: httpx.Response) -> Response:
        """Read the whole body of a response."""
        return _response(response, await response.aread())

    async def sleep(self, seconds: float) -> None:
        """Wait before the next attempt."""
        await asyncio.sleep(seconds)


class SyncTransport:
    """Sends requests from any thread."""

    def __init__(self, url: str, api_key: str | None, timeout: float) -> None:
        self._http = httpx.Client(base_url=url, headers=common_headers(api_key), timeout=timeout)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def send(self, request: Request, timeout: float) -> Response:
        """Return the response with its whole body. Raises httpx.TransportError."""
        deadline = time.monotonic() + timeout
        with self.stream(request, timeout) as response:
            return _response(response, b"".join(_before(deadline, response.iter_bytes())))

    def stream(
        self, request: Request, timeout: float, rows: Rows | None = None
    ) -> AbstractContextManager[httpx.Response]:
        """Return a context with the response before its body is read. Rows become the body of the request."""
        content = request.content if rows is None else import_chunks(rows)
        return self._http.stream(
            request.method, request.path, headers=request.headers, content=content, timeout=_timeouts(timeout)
        )

    def read(self, response: httpx.Response) -> Response:
        """Read the whole body of a response."""
        return _response(response, response.read())

    def sleep(self, seconds: float) -> None:
        """Wait before the next attempt."""
        time.sleep(seconds)


def _timeouts(timeout: float) -> httpx.Timeout:
    # The timeout to connect ends before that of the whole attempt: only the former proves that nothing was sent.
    return httpx.Timeout(timeout, connect=timeout * 0.9)


def _response(response: httpx.Response, body: bytes) -> Response:
    return Response(response.status_code, response.headers.get("Retry-After"), body)


def _before(deadline: float, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield chunks until the deadline. Raises httpx.ReadTimeout."""
    for chunk in chunks:
        yield chunk
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout(_TOO_SLOW)


async def _async_chunks(rows: Rows) -> AsyncIterator[bytes]:
    for chunk in import_chunks(rows):
        yield chunk
