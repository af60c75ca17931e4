"""/v1/people/import: a stream of any length."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from msgspec import UNSET

from peopleinfo.bulk.import_log_entry import ImportFile
from peopleinfo.bulk.importer import Importer, batches
from peopleinfo.errors import AuditUnavailable, InvalidInput, Unavailable
from peopleinfo.formats.reader_warnings import warnings
from peopleinfo.http import problems
from peopleinfo.http.import_options import file_name, import_options, query_option, upsert_options
from peopleinfo.http.import_response_stream import ImportResponseStream
from peopleinfo.http.media_types import NDJSON
from peopleinfo.http.middleware.audit import audit_of
from peopleinfo.http.openapi.import_schemas import ImportDuplicate, ImportResult, InputWarning
from peopleinfo.http.openapi.schemas import Reason
from peopleinfo.http.request_headers import idempotency_key
from peopleinfo.http.request_stream import DigestStream
from peopleinfo.people import strict_json
from peopleinfo.telemetry.metrics import BULK_OPERATIONS, IMPORTED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from falcon.asgi import Request, Response

    from peopleinfo.bulk.importer import ImportTarget
    from peopleinfo.bulk.rows import Row, RowDuplicate, RowResult
    from peopleinfo.formats.reader import Input
    from peopleinfo.http.middleware.audit import RequestAudit

_BATCH_ROWS: Final = 500  # validation takes a few milliseconds, which block all other requests
_BATCH_SIZE: Final = 256 * 1024  # bytes of input; parsed values take up to fifty times as much memory
_CHANGES: Final = ("stored", "updated")  # results of rows that changed a person
_MAX_READERS: Final = 32  # imports that are read at the same time; others wait
_CHUNK_SIZE: Final = 64 * 1024
_RESUME_HINT: Final = "; send the import again with the same Idempotency-Key to resume it"


def reader_threads() -> ThreadPoolExecutor:
    """Return the threads of the readers, which block while they wait for input: slow imports must not occupy other threads."""
    return ThreadPoolExecutor(_MAX_READERS, "import")


class ImportResource:
    """/v1/people/import: stores rows and returns one result per row."""

    def __init__(self, target: ImportTarget, threads: ThreadPoolExecutor, *, body_timeout: float) -> None:
        self._target = target
        self._threads = threads
        self._body_timeout = body_timeout

    async def on_post(self, req: Request, resp: Response) -> None:
        """Store every valid row. The response starts with the first results; an error before them is a problem document."""
        key = idempotency_key(req)
        import_id = hashlib.sha256(b"import " + key.encoded).digest() if key else None
        import_ = Importer(
            self._target,
            import_id,
            options=upsert_options(req),
            dry_run=req.get_param_as_bool("dry_run") or False,
            principal=req.context.principal.name,
            file=ImportFile(file_name(req)),
            hidden=req.context.principal.hidden_fields,
        )
        options = import_options(req)
        stream = DigestStream(req, self._body_timeout)
        body = cast("io.BufferedReader", io.BufferedReader(stream, _CHUNK_SIZE))
        run = partial(asyncio.get_running_loop().run_in_executor, self._threads)
        source = await run(partial(options.open, body))
        next_batch = partial(run, next, batches(source.rows, _BATCH_ROWS, _BATCH_SIZE), None)
        results = ImportResponseStream()
        work = _Import(import_, source, stream, results, audit_of(req), _RESUME_HINT if key else "")
        task = asyncio.create_task(work.run(req, next_batch))
        try:
            await results.started()
            if results.is_empty:
                await task  # raises the error
        except BaseException:
            task.cancel()
            results.close()
            raise
        resp.content_type = NDJSON
        resp.stream = _stream(results, task)


class _Import:
    """One import of a request body."""

    def __init__(
        self,
        import_: Importer,
        source: Input,
        stream: DigestStream,
        results: ImportResponseStream,
        trail: RequestAudit | None,
        resume_hint: str,
    ) -> None:
        self._import = import_
        self._source = source
        self._stream = stream
        self._results = results
        self._trail = trail
        self._resume_hint = resume_hint

    async def run(self, req: Request, next_batch: Callable[[], Awaitable[list[Row] | None]]) -> None:
        """Write the results and the last line. Raises an error before the first result; a later one becomes the last line."""
        BULK_OPERATIONS.change(1, "import")
        last = b""
        try:
            await self._store(next_batch)
        except Exception as error:
            if self._results.is_empty:
                raise
            problem = await problems.document(req, error)
            last = strict_json.encode({"result": "failed"} | problem | self._import.account._asdict()) + b"\n"
            if self._trail:
                with suppress(AuditUnavailable):  # the response has started
                    self._trail.end(problem["status"])
        finally:
            BULK_OPERATIONS.change(-1, "import")
            self._results.complete(last)

    async def _store(self, next_batch: Callable[[], Awaitable[list[Row] | None]]) -> None:
        if self._trail:
            self._trail.record_intent()
        try:
            while batch := await next_batch():
                await self._store_batch(batch)
            await self._import.finish(digest=self._stream.hexdigest)
            messages = [InputWarning(message) for message in warnings(self._source, query_option)]
            done = ImportResult(result="done", warnings=messages or UNSET, **self._import.account._asdict())
            self._results.write([done])
        except Unavailable as error:
            stored = (await self._import.progress()).stored
            error.args = (f"{error}; this import has stored {stored} people{self._resume_hint}",)
            raise
        except InvalidInput as error:
            stored = (await self._import.progress()).stored
            raise InvalidInput(f"{error.safe_message}; {stored} people before this error are stored") from error

    async def _store_batch(self, batch: list[Row]) -> None:
        if self._trail:
            self._trail.check_writable()
        outcomes = await self._import.import_rows(batch)
        if self._trail:
            self._trail.record_people(
                tuple(one.person_id for one in outcomes if one.person_id and one.status in _CHANGES)
            )
        for status, count in Counter(outcome.status for outcome in outcomes).items():
            IMPORTED.inc(status, by=count)
        self._results.write([_result(outcome) for outcome in outcomes])


async def _stream(results: ImportResponseStream, task: asyncio.Task[None]) -> AsyncIterator[bytes]:
    try:
        async for chunk in results.chunks():
            yield chunk
        await task
    finally:
        task.cancel()
        results.close()


def _result(outcome: RowResult) -> ImportResult:
    reasons = [Reason(error.pointer, error.reason) for error in outcome.errors]
    return ImportResult(
        line=outcome.row.line,
        result=outcome.status,
        person_id=outcome.person_id or UNSET,
        errors=reasons or UNSET,
        duplicate=_duplicate(outcome.duplicate) if outcome.duplicate else UNSET,
    )


def _duplicate(duplicate: RowDuplicate) -> ImportDuplicate:
    return ImportDuplicate(
        duplicate.grade,
        round(duplicate.score, 6),
        list(duplicate.because),
        duplicate.person_id or UNSET,
        UNSET if duplicate.line is None else duplicate.line,
    )
