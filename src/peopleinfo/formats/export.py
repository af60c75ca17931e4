"""Export all or filtered records in chunks, in any of the formats of `export_formats`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import temporary_folder_full
from peopleinfo.formats.csv_writer import CsvWriter
from peopleinfo.formats.export_columns import custom_field_names
from peopleinfo.formats.fhir_writer import write_patient
from peopleinfo.formats.vcard_writer import write_vcard

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence

    from peopleinfo.formats.export_formats import ExportFormat
    from peopleinfo.people.person_filter import PersonFilter
    from peopleinfo.people.service import PeopleService


CHUNK_SIZE: Final = 256 * 1024  # bytes; the server holds one or two chunks per slow client
Chunk = tuple[int, bytes]  # number of records, and their text
OnChunk = Callable[[list[bytes]], None]  # called with the records of a chunk before it is yielded


class Export:
    """The records that an export contains, without the `hidden` fields: the matches of a filter, or those with `person_ids`."""

    def __init__(
        self,
        people: PeopleService,
        criteria: PersonFilter,
        *,
        person_ids: Sequence[str] | None = None,
        hidden: frozenset[str] = frozenset(),
        on_chunk: OnChunk | None = None,
    ) -> None:
        self._people = people
        self._person_ids = person_ids
        self._criteria = criteria
        self._hidden = hidden
        self._on_chunk = on_chunk

    def chunks(self, form: ExportFormat, *, for_excel: bool = False) -> AsyncGenerator[Chunk, None]:
        """Yield the chunks of a file. Raises InvalidInput if the format cannot hold the records."""
        if form == "csv":
            return self._csv(for_excel=for_excel)
        if form == "xlsx":
            return self._xlsx()
        if form == "fhir-bundle":
            return self._bundle()
        return self._lines(_record_writer(form))

    async def _lines(self, write: Callable[[list[bytes]], bytes]) -> AsyncGenerator[Chunk, None]:
        async for bodies in self._groups():
            yield len(bodies), write(bodies)

    async def _bundle(self) -> AsyncGenerator[Chunk, None]:
        start = b'{"resourceType":"Bundle","type":"collection","entry":['
        async for bodies in self._groups():
            entries = b",\n".join(b'{"resource":%b}' % write_patient(body) for body in bodies)
            yield len(bodies), start + b"\n" + entries
            start = b","
        yield 0, (b"" if start == b"," else start) + b"\n]}\n"

    async def _csv(self, *, for_excel: bool) -> AsyncGenerator[Chunk, None]:
        """Yield chunks of CSV. Reads all records twice, first to collect the columns."""
        custom_fields, _ = await self._columns()
        writer = CsvWriter(custom_fields, for_excel=for_excel)
        yield 0, writer.header()
        async for bodies in self._groups():
            yield len(bodies), writer.rows(bodies)

    async def _xlsx(self) -> AsyncGenerator[Chunk, None]:
        """Yield chunks of a workbook after all records are written to a temporary file; until then, empty chunks."""
        from peopleinfo.formats.xlsx_writer import XlsxWriter, check_count  # noqa: PLC0415 - loads the library of workbooks

        custom_fields, count = await self._columns()
        check_count(count)
        with XlsxWriter(custom_fields) as writer:
            try:
                async for bodies in self._groups():
                    await asyncio.to_thread(writer.write, bodies)
                    yield len(bodies), b""
                file = await asyncio.to_thread(writer.finish)
            except OSError as error:
                raise temporary_folder_full("workbook", error) from error
            while chunk := file.read(CHUNK_SIZE):
                yield 0, chunk

    async def _columns(self) -> tuple[tuple[str, ...], int]:
        """Return the names of the custom fields and the number of records."""
        custom_fields: dict[str, None] = {}
        count = 0
        async for bodies in self._groups(is_reported=False):
            custom_fields |= custom_field_names(bodies)
            count += len(bodies)
        return tuple(custom_fields), count

    def _pages(self) -> AsyncIterator[list[bytes]]:
        if self._person_ids is None:
            return self._people.iter_pages(self._criteria, hidden=self._hidden)
        return self._people.iter_selected(self._person_ids, hidden=self._hidden)

    async def _groups(self, *, is_reported: bool = True) -> AsyncIterator[list[bytes]]:
        async for page in self._pages():
            for bodies in groups(page):
                if self._on_chunk is not None and is_reported:
                    self._on_chunk(bodies)
                yield bodies


def _record_writer(form: ExportFormat) -> Callable[[list[bytes]], bytes]:
    """Return the function that writes records of a format in which each record is independent of the others."""
    if form == "ndjson":
        return lambda bodies: b"\n".join(bodies) + b"\n"
    if form == "fhir":
        return lambda bodies: b"".join(write_patient(body) + b"\n" for body in bodies)
    write = partial(write_vcard, version="3.0" if form == "vcard3" else "4.0")
    return lambda bodies: b"".join(map(write, bodies))


def groups(bodies: list[bytes], size: int = CHUNK_SIZE) -> Iterator[list[bytes]]:
    """Divide records into groups of at least `size` bytes."""
    start = total = 0
    for end, body in enumerate(bodies, start=1):
        total += len(body)
        if total >= size or end == len(bodies):
            yield bodies[start:end]
            start, total = end, 0
