"""People out: everyone, or those who are meant, as pieces of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peopleinfo.files.csv import CsvWriter, further_members

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from peopleinfo.people import People
    from peopleinfo.search import Filter


async def as_ndjson(people: People, where: Filter) -> AsyncIterator[tuple[int, bytes]]:
    """Yield how many people a piece holds, and the piece: a JSON object a line."""
    async for bodies in people.everyone(where):
        yield len(bodies), b"\n".join(bodies) + b"\n"


async def as_csv(people: People, where: Filter) -> AsyncIterator[tuple[int, bytes]]:
    """Yield how many people a piece holds, and the piece: lines of a table. The people are read twice, first for their columns.

    Raises InvalidInput when somebody with further members is added meanwhile.
    """
    further: dict[str, None] = {}
    async for bodies in people.everyone(where):
        further |= further_members(bodies)
    writer = CsvWriter(tuple(further))
    yield 0, writer.header()
    async for bodies in people.everyone(where):
        yield len(bodies), writer.rows(bodies)
