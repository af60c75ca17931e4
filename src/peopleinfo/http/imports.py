"""/v1/people/import: a stream of any length."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import IO, TYPE_CHECKING, Final, cast

from msgspec import UNSET

from peopleinfo.bulk.importer import Importer, batches
from peopleinfo.errors import InvalidInput, StoreUnavailable, Unavailable
from peopleinfo.http.import_options import import_options
from peopleinfo.http.middleware.audit import audit_of
from peopleinfo.http.operation_types import NDJSON
from peopleinfo.http.people import idempotency_key
from peopleinfo.http.request_stream import RequestStream
from peopleinfo.http.schemas import ImportResult, Reason
from peopleinfo.people import strict_json
from peopleinfo.telemetry.metrics import BULK_OPERATIONS, IMPORTED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from falcon.asgi import Request, Response

    from peopleinfo.bulk.importer import ImportTarget
    from peopleinfo.bulk.rows import Row, RowResult
    from peopleinfo.http.middleware.audit import RequestAudit

_BATCH_ROWS: Final = 500  # validation takes a few milliseconds, which block all other requests
_BATCH_SIZE: Final = 256 * 1024  # bytes of input; parsed values take up to fifty times as much memory
_MAX_READERS: Final = 32  # imports that are read at the same time; others wait
_MAX_MEMORY: Final = 1024 * 1024  # bytes of a response; a longer response is spooled to a temporary file
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
        """Store every valid row. The response starts when the whole body is read, so clients may send before they read."""
        key = idempotency_key(req)
        import_id = hashlib.sha256(b"import " + key.encoded).digest() if key else None
        import_ = Importer(
            self._target,
            import_id,
            dry_run=req.get_param_as_bool("dry_run") or False,
            principal=req.context.principal.name,
        )
        options = import_options(req)
        body = cast("io.BufferedReader", io.BufferedReader(RequestStream(req, self._body_timeout), _CHUNK_SIZE))
        run = partial(asyncio.get_running_loop().run_in_executor, self._threads)
        source = await run(partial(options.open, body))
        row_batches = batches(source.rows, _BATCH_ROWS, _BATCH_SIZE)
        BULK_OPERATIONS.change(1, "import")
        results = tempfile.SpooledTemporaryFile(_MAX_MEMORY)  # noqa: SIM115 - _chunks closes it
        try:
            await _store(
                import_, partial(run, next, row_batches, None), results, _RESUME_HINT if key else "", audit_of(req)
            )
        except BaseException:
            with suppress(OSError):  # unwritten results are not needed any more
                results.close()
            raise
        finally:
            BULK_OPERATIONS.change(-1, "import")
        results.seek(0)
        resp.content_type = NDJSON
        resp.stream = _chunks(results)


async def _store(
    import_: Importer,
    next_batch: Callable[[], Awaitable[list[Row] | None]],
    results: IO[bytes],
    resume_hint: str,
    trail: RequestAudit | None,
) -> None:
    if trail:
        trail.record_intent()
    try:
        while batch := await next_batch():
            if trail:
                trail.check_writable()
            outcomes = await import_.import_rows(batch)
            if trail:
                trail.record_people(tuple(outcome.person_id for outcome in outcomes if outcome.person_id))
            for status, count in Counter(outcome.status for outcome in outcomes).items():
                IMPORTED.inc(status, by=count)
            _write(results, [_result(outcome) for outcome in outcomes])
        await import_.finish()
        _write(results, [ImportResult(result="done", **import_.account._asdict())])
    except Unavailable as error:
        stored = (await import_.progress()).stored
        error.args = (f"{error}; this import has stored {stored} people{resume_hint}",)
        raise
    except InvalidInput as error:
        stored = (await import_.progress()).stored
        raise InvalidInput(f"{error.safe_message}; {stored} people before this error are stored") from error


def _write(response: IO[bytes], results: list[ImportResult]) -> None:
    """Append results to the response. Raises StoreUnavailable if the temporary folder is full."""
    try:
        response.write(b"".join(map(_line, results)))
        response.flush()  # reports a full disk here instead of in a later step
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise StoreUnavailable(f"the temporary folder cannot store the response ({reason})", retry_after=30) from error


def _result(outcome: RowResult) -> ImportResult:
    reasons = [Reason(error.pointer, error.reason) for error in outcome.errors]
    return ImportResult(
        line=outcome.row.line, result=outcome.status, person_id=outcome.person_id or UNSET, errors=reasons or UNSET
    )


def _line(result: ImportResult) -> bytes:
    return strict_json.encode(result) + b"\n"


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_SIZE):
            yield chunk
