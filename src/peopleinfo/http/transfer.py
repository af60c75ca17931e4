"""Many people in and out as streams of any length: /v1/people/import and /v1/people/export."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tempfile
from typing import TYPE_CHECKING, Any, Final

import falcon
import structlog

from peopleinfo import strictjson
from peopleinfo.http.contract import NDJSON, ImportResult, Reason
from peopleinfo.http.people import idempotency_key
from peopleinfo.http.requests import too_slow
from peopleinfo.http.searches import read_search
from peopleinfo.imports import Import, Outcome, batches

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from falcon.asgi import Request, Response

    from peopleinfo.imports import Row
    from peopleinfo.people import People

_BATCH_ROWS: Final = 500  # checking so many takes a few milliseconds, in which no other request is served
_IN_MEMORY: Final = 1024 * 1024  # bytes of an answer; a longer one waits in a temporary file
_PIECE: Final = 64 * 1024


class ImportResource:
    """/v1/people/import: rows in, what became of each out."""

    def __init__(self, people: People, *, body_seconds: float) -> None:
        self._people = people
        self._body_seconds = body_seconds

    async def on_post(self, req: Request, resp: Response) -> None:
        """Store every row that is a person; answer when all are read, so that a client may send first and read then."""
        key = idempotency_key(req)
        import_ = Import(self._people, hashlib.sha256(f"import {key}".encode()).digest() if key else None)
        rows = _rows(req, self._body_seconds)
        results = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed when it has been sent
        try:
            await self._store(import_, rows, results)
        except BaseException:
            results.close()
            raise
        results.seek(0)
        resp.content_type = NDJSON
        resp.stream = _pieces(results)
