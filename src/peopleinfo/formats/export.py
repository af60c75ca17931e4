"""Export all or filtered records in chunks, as NDJSON or CSV."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from peopleinfo.formats.csv import CsvWriter, extra_fields

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from peopleinfo.people.search import PersonFilter
    from peopleinfo.people.service import PeopleService


CHUNK_SIZE: Final = 256 * 1024  # bytes; the server holds one or two chunks per slow client
Chunk = tuple[int, bytes]  # number of records, and their text
OnChunk = Callable[[list[bytes]], None]  # called with the records of a chunk before it is yielded


async def as_ndjson(
    people: PeopleService,
    criteria: PersonFilter,
    *,
    hidden: frozenset[str] = frozenset(),
    on_chunk: OnChunk | None = None,
) -> AsyncGenerator[Chunk, None]:
    """Yield chunks of NDJSON without the `hidden` fields."""
    async for bodies in _iter_people(people, criteria, hidden, on_chunk):
        yield len(bodies), b"\n".join(bodies) + b"\n"


async def as_csv(
    people: PeopleService,
    criteria: PersonFilter,
    *,
    hidden: frozenset[str] = frozenset(),
    on_chunk: OnChunk | None = None,
) -> AsyncGenerator[Chunk, None]:
    """Yield chunks of CSV without the `hidden` fields. Reads all records twice, first to collect the columns.

    Raises InvalidInput when a record with a new custom field is added in between.
    """
    custom_fields: dict[str, None] = {}
    async for bodies in _iter_people(people, criteria, hidden, None):
        custom_fields |= extra_fields(bodies)
    writer = CsvWriter(tuple(custom_fields))
    yield 0, writer.header()
    async for bodies in _iter_people(people, criteria, hidden, on_chunk):
        yield len(bodies), writer.rows(bodies)


async def _iter_people(
    people: PeopleService, criteria: PersonFilter, hidden: frozenset[str], on_chunk: OnChunk | None
) -> AsyncIterator[list[bytes]]:
    async for page in people.iter_pages(criteria, hidden=hidden):
        for bodies in groups(page):
            if on_chunk is not None:
                on_chunk(bodies)
            yield bodies


def groups(bodies: list[bytes], size: int = CHUNK_SIZE) -> Iterator[list[bytes]]:
    """Divide records into groups of at least `size` bytes."""
    start = total = 0
    for end, body in enumerate(bodies, start=1):
        total += len(body)
        if total >= size or end == len(bodies):
            yield bodies[start:end]
            start, total = end, 0
