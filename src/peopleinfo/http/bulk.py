"""Many people in and out as streams of any length: /v1/people/import and /v1/people/export."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final, cast

from peopleinfo.bulk.importer import Importer, RowResult, batches
from peopleinfo.errors import StoreUnavailable
from peopleinfo.formats import reader
from peopleinfo.formats.column_mapping import ColumnMapping, InvalidInput
from peopleinfo.formats.export import Piece, as_csv, as_ndjson
from peopleinfo.http.bodies import body_timeout, media_type, preferred, read_json, wait_for_disconnect
from peopleinfo.http.memory_budget import EXPORT_SIZE, EXPORTS, RESPONSES
from peopleinfo.http.middleware.audit import audit_of
from peopleinfo.http.middleware.compression import GZIP, accepts_gzip, compressed
from peopleinfo.http.operations import CSV, JSON, NDJSON
from peopleinfo.http.people import idempotency_key
from peopleinfo.http.schemas import ImportResult, Reason
from peopleinfo.http.search_params import read_export
from peopleinfo.people import strict_json
from peopleinfo.people.field_access import check_search
from peopleinfo.people.fields import FIELDS
from peopleinfo.privacy.audit import person_ids
from peopleinfo.telemetry.metrics import BULK_OPERATIONS, EXPORTED, IMPORTED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping

    from falcon.asgi import Request, Response

    from peopleinfo.bulk.importer import Row
    from peopleinfo.http.memory_budget import Held
    from peopleinfo.http.middleware.audit import RequestAudit
    from peopleinfo.people.service import PeopleService

_BATCH_ROWS: Final = 500  # checking so many takes a few milliseconds, in which no other request is served
_BATCH_SIZE: Final = 256 * 1024  # of the rows' own length, of which their values take up to fifty times as much
_AT_ONCE: Final = 32  # imports being read; more wait for their turn
_IN_MEMORY: Final = 1024 * 1024  # bytes of an answer; a longer one waits in a temporary file
_PIECE: Final = 64 * 1024
_RESUME_HINT: Final = ": sent again with the same Idempotency-Key, it goes on where it stopped"
_CODINGS: Final = (GZIP, "x-gzip")
_FORMATS: Final[dict[str, reader.Format]] = {NDJSON: "ndjson", "application/jsonl": "ndjson", CSV: "csv", JSON: "json"}


class ImportResource:
    """/v1/people/import: rows in, what became of each out."""

    def __init__(self, people: PeopleService, *, body_timeout: float) -> None:
        self._people = people
        self._body_seconds = body_timeout
        # The readers of files wait for their input, which the loop must not, and slow senders must not keep others' threads.
        self._threads = ThreadPoolExecutor(_AT_ONCE, "import")

    async def on_post(self, req: Request, resp: Response) -> None:
        """Store every row that is a person; answer when all are read, so that a client may send first and read then."""
        key = idempotency_key(req)
        import_id = hashlib.sha256(b"import " + key.encoded).digest() if key else None
        import_ = Importer(self._people, import_id, dry_run=req.get_param_as_bool("dry_run") or False)
        kind = _FORMATS[media_type(req, tuple(_FORMATS), codings=_CODINGS)]
        is_packed = req.get_header("Content-Encoding", default="").lower() in _CODINGS
        body = cast("io.BufferedReader", io.BufferedReader(_Body(req, self._body_seconds), _PIECE))
        run = partial(asyncio.get_running_loop().run_in_executor, self._threads)
        source = await run(partial(reader.read, body, read_columns(req.params), form=kind, is_packed=is_packed))
        parts = batches(source.rows, _BATCH_ROWS, _BATCH_SIZE)
        BULK_OPERATIONS.change(1, "import")
        results = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed when it has been sent
        try:
            await _store(import_, partial(run, next, parts, None), results, _RESUME_HINT if key else "", audit_of(req))
        except BaseException:
            with suppress(OSError):  # what it has not written yet is of no use
                results.close()
            raise
        finally:
            BULK_OPERATIONS.change(-1, "import")
        results.seek(0)
        resp.content_type = NDJSON
        resp.stream = _pieces(results)


class ExportResource:
    """/v1/people/export: everyone, or those who are meant."""

    def __init__(self, people: PeopleService, *, body_timeout: float) -> None:
        self._people = people
        self._body_seconds = body_timeout

    async def on_get(self, req: Request, resp: Response) -> None:
        """Answer those who are meant by the parameters of the query."""
        await self._export(req.params, req, resp)

    async def on_post(self, req: Request, resp: Response) -> None:
        """Answer those who are meant by the members of the body, so that no name stands in a URL."""
        await self._export(await read_json(req, seconds=self._body_seconds), req, resp)

    async def _export(self, members: Mapping[str, Any], req: Request, resp: Response) -> None:
        """Answer a person a line, as they are read from the store; a table when that is asked for, or text/csv preferred."""
        RESPONSES.require_room()
        held = EXPORTS.hold(EXPORT_SIZE)
        where, form = read_export(members)
        as_table = (form or preferred(req, (NDJSON, CSV))) in ("csv", CSV)
        hidden = req.context.principal.hidden_fields
        if hidden:
            check_search(members, hidden)
        is_compressed = accepts_gzip(req, resp)
        trail = audit_of(req)
        seen = (lambda people: trail.streams(person_ids(people))) if trail else None
        pieces = await _begun((as_csv if as_table else as_ndjson)(self._people, where, hidden=hidden, seen=seen))
        resp.content_type = CSV if as_table else NDJSON
        resp.set_header("Cache-Control", "private, no-store")
        resp.append_header("Vary", "Accept")
        resp.downloadable_as = "people.csv" if as_table else "people.ndjson"
        texts = _stream(req, pieces, held)
        if is_compressed:
            resp.set_header("Content-Encoding", GZIP)
        resp.stream = compressed(texts) if is_compressed else texts


class _Body(io.RawIOBase):
    """The body as a file, to be read in another thread than the loop's. Raises Disconnected, and falcon's error for 408."""

    def __init__(self, req: Request, seconds: float) -> None:
        super().__init__()
        self._pieces = aiter(req.stream)
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._left or asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        taken = piece[: len(buffer)]
        self._left = piece[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(self._seconds):
                return await anext(self._pieces, b"")
        except TimeoutError:
            raise body_timeout(self._seconds) from None


def read_columns(params: Mapping[str, Any]) -> ColumnMapping:
    """Return which columns of a table are which members, as the parameters of the query say."""
    formats = params.get("date_format", [])
    given = {
        member: ",".join(value) if isinstance(value, list) else value
        for member, value in params.items()
        if member in FIELDS
    }
    return ColumnMapping(given, formats if isinstance(formats, list) else [formats])


async def _begun(pieces: AsyncGenerator[Piece, None]) -> AsyncGenerator[Piece, None]:
    """Read the first piece, so that what the store refuses is a problem and not the end of a response that has begun."""
    begun = await anext(pieces, None)
    first = [begun] if begun else []
    del begun  # which is not to stay in memory until the end

    async def all_of_them() -> AsyncGenerator[Piece, None]:
        async with aclosing(pieces):
            if first:
                yield first.pop()
            async for piece in pieces:
                yield piece

    return all_of_them()


async def _stream(req: Request, pieces: AsyncGenerator[Piece, None], _held: Held) -> AsyncGenerator[bytes, None]:
    """Yield the texts for as long as the client is there to take them; the server would go on to the end, unheard."""
    BULK_OPERATIONS.change(1, "export")
    leaving = asyncio.ensure_future(wait_for_disconnect(req))
    try:
        async with aclosing(pieces):
            async for people, text in pieces:
                # A short read does not wait, nor does sending to nobody: others, too, want a turn.
                await asyncio.sleep(0)
                if leaving.done():
                    return
                EXPORTED.inc(by=people)
                yield text
    finally:
        leaving.cancel()
        BULK_OPERATIONS.change(-1, "export")


async def _store(
    import_: Importer,
    next_batch: Callable[[], Awaitable[list[Row] | None]],
    results: IO[bytes],
    how_to_go_on: str,
    trail: RequestAudit | None,
) -> None:
    rejected = 0
    if trail:
        trail.announce()
    try:
        while batch := await next_batch():
            if trail:
                trail.require()
            outcomes = await import_.import_rows(batch)
            if trail:
                trail.streams(tuple(outcome.person_id for outcome in outcomes if outcome.person_id))
            told = [_result(outcome) for outcome in outcomes]
            for result, count in Counter(one.result for one in told).items():
                IMPORTED.inc(result, by=count)
                rejected += count if result == "rejected" else 0
            _append(results, told)
        await import_.finish()
        _append(results, [ImportResult(result="done", stored=(await import_.progress()).stored, rejected=rejected)])
    except StoreUnavailable as error:
        stored = (await import_.progress()).stored
        error.args = (f"{error}; {stored} people of this import are stored{how_to_go_on}",)
        raise
    except InvalidInput as error:
        stored = (await import_.progress()).stored
        raise InvalidInput(f"{error.safe_message}; {stored} people before that are stored") from error


def _append(response: IO[bytes], results: list[ImportResult]) -> None:
    """Add lines to the response. Raises StoreUnavailable when the temporary folder cannot hold it."""
    try:
        response.write(b"".join(map(_line, results)))
        response.flush()  # so that no later step can fail
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise StoreUnavailable(f"the temporary folder cannot hold the response ({why})", retry_after=30) from error


def _result(outcome: RowResult) -> ImportResult:
    line = outcome.row.line
    if outcome.errors:
        reasons = [Reason(error.pointer, error.reason) for error in outcome.errors]
        return ImportResult(line=line, result="rejected", errors=reasons)
    if outcome.person_id is None:
        return ImportResult(line=line, result="duplicate")
    return ImportResult(line=line, result="stored", person_id=outcome.person_id)


def _line(result: ImportResult) -> bytes:
    return strict_json.encode(result) + b"\n"


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece
