"""/v1/people/export: a stream of any length."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from peopleinfo.formats.export import Chunk, Export
from peopleinfo.formats.export_formats import ACCEPTED, FILE_TYPES
from peopleinfo.http.bodies import read_json
from peopleinfo.http.falcon_app import wait_for_disconnect
from peopleinfo.http.media_types import NDJSON
from peopleinfo.http.memory_budget import EXPORT_SIZE, EXPORTS, RESPONSES
from peopleinfo.http.middleware.audit import audit_of
from peopleinfo.http.middleware.compression import GZIP, accepts_gzip, compressed
from peopleinfo.http.request_headers import preferred
from peopleinfo.http.search_params import PERSON_IDS, parse_export
from peopleinfo.http.text_search import split_export
from peopleinfo.people.field_access import check_search
from peopleinfo.privacy.audit import person_ids
from peopleinfo.telemetry.metrics import BULK_OPERATIONS, EXPORTED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from falcon.asgi import Request, Response

    from peopleinfo.http.cursors import ChangeTokens
    from peopleinfo.http.memory_budget import Held
    from peopleinfo.people.history_service import HistoryService
    from peopleinfo.people.service import PeopleService


class ExportResource:
    """/v1/people/export: streams all people, or those that match filters or the text of a search box."""

    def __init__(
        self, people: PeopleService, history: HistoryService, tokens: ChangeTokens, *, body_timeout: float
    ) -> None:
        self._people = people
        self._history = history
        self._tokens = tokens
        self._body_timeout = body_timeout

    async def on_get(self, req: Request, resp: Response) -> None:
        """Export the matches of the query parameters."""
        params: Mapping[str, Any] = req.params
        if isinstance(person_id := params.get(PERSON_IDS), str):  # given once
            params = {**params, PERSON_IDS: [person_id]}
        await self._export(params, req, resp)

    async def on_post(self, req: Request, resp: Response) -> None:
        """Export the matches of the fields of the body, which keeps names out of URLs and logs."""
        await self._export(await read_json(req, seconds=self._body_timeout), req, resp)

    async def _export(self, params: Mapping[str, Any], req: Request, resp: Response) -> None:
        """Stream the format that `format` requests, or that the header Accept prefers."""
        RESPONSES.require_room()
        held = EXPORTS.hold(EXPORT_SIZE)
        text, params = split_export(params)
        where, selected, form, for_excel = parse_export(params)
        chosen = form or ACCEPTED[preferred(req, tuple(ACCEPTED)) or NDJSON]
        hidden = req.context.principal.hidden_fields
        if hidden:
            check_search(params, hidden)
        if text:
            selected = await self._people.search_ids(text.query, hidden=hidden, forgiving=text.forgiving)
        file_type = FILE_TYPES[chosen]
        is_compressed = chosen != "xlsx" and accepts_gzip(req, resp)  # a workbook is compressed already
        trail = audit_of(req)
        seen = (lambda people: trail.record_people(person_ids(people))) if trail else None
        export = Export(self._people, where, person_ids=selected, hidden=hidden, on_chunk=seen)
        # Read before the first record: a consumer continues with the changes since the start of the export.
        position = (await self._history.changes(None, limit=1)).next
        chunks = await _with_first_chunk(export.chunks(chosen, for_excel=for_excel))
        resp.set_header("Changes-Token", self._tokens.encode(position))
        resp.content_type = file_type.media_type
        resp.set_header("Cache-Control", "private, no-store")
        resp.append_header("Vary", "Accept")
        resp.downloadable_as = f"people{file_type.extension}"
        output = _stream(req, chunks, held)
        if is_compressed:
            resp.set_header("Content-Encoding", GZIP)
        resp.stream = compressed(output) if is_compressed else output


async def _with_first_chunk(chunks: AsyncGenerator[Chunk, None]) -> AsyncGenerator[Chunk, None]:
    """Read the first chunk before the response starts, so that a store error becomes a problem document."""
    chunk = await anext(chunks, None)
    first = [chunk] if chunk else []
    del chunk  # frees the first page before the export ends

    async def all_chunks() -> AsyncGenerator[Chunk, None]:
        async with aclosing(chunks):
            if first:
                yield first.pop()
            async for chunk in chunks:
                yield chunk

    return all_chunks()


async def _stream(req: Request, chunks: AsyncGenerator[Chunk, None], _held: Held) -> AsyncGenerator[bytes, None]:
    """Yield the output until the client disconnects; the server itself does not stop the stream then."""
    BULK_OPERATIONS.change(1, "export")
    disconnect = asyncio.ensure_future(wait_for_disconnect(req))
    try:
        async with aclosing(chunks):
            async for people, text in chunks:
                # Fast reads and writes never suspend; let other requests run.
                await asyncio.sleep(0)
                if disconnect.done():
                    return
                EXPORTED.inc(by=people)
                yield text
    finally:
        disconnect.cancel()
        BULK_OPERATIONS.change(-1, "export")
