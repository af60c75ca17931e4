"""The results of an import as a response that grows while the body of the request is still being read."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import temporary_folder_full
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from peopleinfo.http.openapi.import_schemas import ImportResult

_MAX_MEMORY: Final = 1024 * 1024  # bytes of a response; a longer response is spooled to a temporary file
_CHUNK_SIZE: Final = 64 * 1024


class ImportResponseStream:
    """Lines in a temporary file: written by the import, read by the response.

    Neither waits for the other, so a client may send the whole body before it reads the response.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_MAX_MEMORY)  # noqa: SIM115 - `chunks` or `close` closes it
        self._written = 0
        self._is_complete = False
        self._last = b""
        self._changed = asyncio.Event()

    @property
    def is_empty(self) -> bool:
        """Whether no result is written yet."""
        return self._written == 0

    def write(self, results: Sequence[ImportResult]) -> None:
        """Append results. Raises StoreUnavailable if the temporary folder is full."""
        text = b"".join(strict_json.encode(result) + b"\n" for result in results)
        try:
            self._file.seek(self._written)
            self._file.write(text)
            self._file.flush()  # reports a full disk here instead of in a later step
        except OSError as error:
            raise temporary_folder_full("response", error) from error
        self._written += len(text)
        self._changed.set()

    def complete(self, last: bytes = b"") -> None:
        """End the response, with a last line that needs no file."""
        self._last = last
        self._is_complete = True
        self._changed.set()

    async def started(self) -> None:
        """Wait until the first result is written or the response is complete."""
        await self._changed.wait()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the lines as they are written, until the response is complete."""
        position = 0
        while True:
            self._changed.clear()
            while position < self._written:
                self._file.seek(position)
                chunk = self._file.read(min(_CHUNK_SIZE, self._written - position))
                position += len(chunk)
                yield chunk
            if self._is_complete:
                break
            await self._changed.wait()
        if self._last:
            yield self._last

    def close(self) -> None:
        """Delete the file."""
        with suppress(OSError):  # unwritten results are not needed any more
            self._file.close()
