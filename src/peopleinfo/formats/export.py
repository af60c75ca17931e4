"""People out: everyone, or those who are meant, as pieces of a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from peopleinfo.formats.csv import CsvWriter, extra_fields

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from peopleinfo.people.search import PersonFilter
    from peopleinfo.people.service import PeopleService


PIECE_SIZE: Final = 256 * 1024  # bytes of people in a piece, of which a slow client makes the server hold one or two
Piece = tuple[int, bytes]  # how many people it holds, and the text
Seen = Callable[[list[bytes]], None]  # is told of those whose piece is yielded next


async def as_ndjson(
    people: PeopleService, where: PersonFilter, *, hidden: frozenset[str] = frozenset(), seen: Seen | None = None
) -> AsyncGenerator[Piece, None]:
    """Yield how many people a piece holds, and the piece: a JSON object a line, without `hidden` members."""
    async for bodies in _iter_people(people, where, hidden, seen):
        yield len(bodies), b"\n".join(bodies) + b"\n"


async def as_csv(
    people: PeopleService, where: PersonFilter, *, hidden: frozenset[str] = frozenset(), seen: Seen | None = None
) -> AsyncGenerator[Piece, None]:
    """Yield how many people a piece holds, and the piece: lines of a table. The people are read twice, first for their columns.

    Raises InvalidInput when somebody with further members is added meanwhile.
    """
    further: dict[str, None] = {}
    async for bodies in _iter_people(people, where, hidden, None):
        further |= extra_fields(bodies)
    writer = CsvWriter(tuple(further))
    yield 0, writer.header()
    async for bodies in _iter_people(people, where, hidden, seen):
        yield len(bodies), writer.rows(bodies)


async def _iter_people(
    people: PeopleService, where: PersonFilter, hidden: frozenset[str], seen: Seen | None
) -> AsyncIterator[list[bytes]]:
    async for page in people.iter_pages(where, hidden=hidden):
        for bodies in groups(page):
            if seen is not None:
                seen(bodies)
            yield bodies


def groups(bodies: list[bytes], size: int = PIECE_SIZE) -> Iterator[list[bytes]]:
    """Divide people into groups that end when they have `size` bytes or more."""
    start = held = 0
    for end, body in enumerate(bodies, start=1):
        held += len(body)
        if held >= size or end == len(bodies):
            yield bodies[start:end]
            start, held = end, 0
