"""/v1/people/import/preview: what an import would store of the first part of a file."""

from __future__ import annotations

import asyncio
import io
import tempfile
from functools import partial
from typing import IO, TYPE_CHECKING, Final, cast

import falcon
from msgspec import UNSET

from peopleinfo.formats.import_preview import columns, preview_rows
from peopleinfo.formats.reader_warnings import warnings
from peopleinfo.formats.unsupported_files import is_zip
from peopleinfo.http.bodies import BODY_SIZE
from peopleinfo.http.import_options import import_options, query_option
from peopleinfo.http.media_types import JSON
from peopleinfo.http.memory_budget import PREVIEWS, Held
from peopleinfo.http.openapi.import_schemas import ImportPreview, InputWarning, PreviewColumn, PreviewRow
from peopleinfo.http.openapi.schemas import Reason
from peopleinfo.http.request_stream import RequestStream
from peopleinfo.people import strict_json
from peopleinfo.people.birthdate import earliest_date

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor
    from datetime import date

    from falcon.asgi import Request, Response

    from peopleinfo.bulk.importer import ImportTarget
    from peopleinfo.http.import_options import ImportOptions

_WORKBOOK_SIZE: Final = 64 * 1024 * 1024  # bytes; a part of an archive cannot be read
_CHUNK_SIZE: Final = 64 * 1024


class ImportPreviewResource:
    """/v1/people/import/preview: reads the first part of a file and stores nothing."""

    def __init__(self, target: ImportTarget, threads: ThreadPoolExecutor, *, body_timeout: float) -> None:
        self._target = target
        self._threads = threads
        self._body_timeout = body_timeout

    async def on_post(self, req: Request, resp: Response) -> None:
        """Respond with the format, the mapping and the first rows as they would be stored."""
        options = import_options(req)
        held = PREVIEWS.hold(min(req.content_length or _WORKBOOK_SIZE, _WORKBOOK_SIZE))
        body = RequestStream(req, self._body_timeout)
        today = earliest_date(self._target.now())
        run = partial(asyncio.get_running_loop().run_in_executor, self._threads)
        resp.data = await run(partial(_preview, body, options, today, held))
        resp.content_type = JSON
        resp.set_header("Cache-Control", "private, no-store")


def _preview(body: RequestStream, options: ImportOptions, today: date, held: Held) -> bytes:  # noqa: ARG001 - counts the file
    with tempfile.SpooledTemporaryFile(BODY_SIZE + 1) as file:
        _copy(body, file)
        file.seek(0)
        source = options.open(io.BufferedReader(cast("io.RawIOBase", file)), is_preview=True)
        rows = [
            PreviewRow(
                line=result.row.line,
                result="valid" if person is not None else "skipped" if result.status == "skipped" else "rejected",
                person=UNSET if person is None else person.to_dict(),
                errors=[Reason(error.pointer, error.reason) for error in result.errors] or UNSET,
            )
            for result, person in preview_rows(source, today)
        ]
        return strict_json.encode(
            ImportPreview(
                format=source.format,
                encoding=source.encoding,
                delimiter=source.delimiter,
                sheet=source.sheet,
                other_sheets=source.other_sheets,
                header_line=source.header_line,
                columns=[PreviewColumn(*column) for column in columns(source)],
                mapping={field: list(names) for field, names in source.columns.sources.items()},
                date_formats=list(source.date_formats),
                date_choices=list(source.date_choices),
                rows=rows,
                warnings=[InputWarning(message) for message in warnings(source, query_option)],
            )
        )


def _copy(body: RequestStream, file: IO[bytes]) -> None:
    """Copy the body to a file. Raises Falcon's error 413."""
    limit, size = BODY_SIZE, 0
    buffer = bytearray(_CHUNK_SIZE)
    while count := body.readinto(buffer):
        if size == 0 and is_zip(bytes(buffer[:count])):
            limit = _WORKBOOK_SIZE
        size += count
        if size > limit:
            raise falcon.HTTPContentTooLarge(
                description=f"a preview needs only the first {limit // 1024} KiB of a file; a workbook needs all of it"
            )
        file.write(buffer[:count])
