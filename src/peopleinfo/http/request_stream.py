"""A request body of any length as a file for threads that read it."""

from __future__ import annotations

import asyncio
import hashlib
import io
from typing import TYPE_CHECKING, Any

from peopleinfo.http.bodies import body_timeout

if TYPE_CHECKING:
    from falcon.asgi import Request


class RequestStream(io.RawIOBase):
    """The request body as a file for reader threads. Raises Disconnected and Falcon's error 408."""

    def __init__(self, req: Request, seconds: float) -> None:
        super().__init__()
        self._source = aiter(req.stream)
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._rest = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait for the next bytes, fill a buffer and return the number of bytes; 0 at the end."""
        chunk = self._rest or asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        taken = chunk[: len(buffer)]
        self._rest = chunk[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(self._seconds):
                return await anext(self._source, b"")
        except TimeoutError:
            raise body_timeout(self._seconds) from None


class DigestStream(RequestStream):
    """A request body that computes its SHA-256 while it is read."""

    def __init__(self, req: Request, seconds: float) -> None:
        super().__init__(req, seconds)
        self._digest = hashlib.sha256()

    @property
    def hexdigest(self) -> str:
        """The digest of the bytes that have been read."""
        return self._digest.hexdigest()

    def readinto(self, buffer: Any) -> int:
        """Wait for the next bytes, fill a buffer and return the number of bytes; 0 at the end."""
        count = super().readinto(buffer)
        self._digest.update(memoryview(buffer)[:count])
        return count
