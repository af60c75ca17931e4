"""The ends of pages and export chunks do not depend on hidden fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from peopleinfo.formats.export import Export
from peopleinfo.people.person import MAX_STORED_SIZE, PersonData
from peopleinfo.people.store import PAGE_SIZE
from tests.store_kinds import person_filter

if TYPE_CHECKING:
    from peopleinfo.people.person_filter import PersonFilter
    from peopleinfo.people.service import PeopleService
    from peopleinfo.people.store import Store

PEOPLE = 60
HIDDEN = frozenset({"note"})


async def stored(store: Store, surname: str, note: int, pad: int) -> PersonFilter:
    details = PersonData(person_name="A", person_surname=surname, extra={"note": "n" * note, "pad": "p" * pad})
    for _ in range(PEOPLE // 10):
        await store.create_many([details] * 10)
    return person_filter(surname=surname)


async def pages(people: PeopleService, query: PersonFilter, limit: int) -> list[int]:
    """Return the number of records on each page."""
    counts, after = [], None
    while True:
        page = await people.find(query, after=after, limit=limit, hidden=HIDDEN)
        assert not [body for body in page.people if b"note" in body]
        counts.append(len(page.people))
        if (after := page.next) is None:
            return counts


@pytest.mark.parametrize("limit", [5, 7, 1_000])
async def test_pages_end_at_the_same_records(people: PeopleService, store: Store, limit: int) -> None:
    small = await stored(store, "Small", 1, 10)
    large = await stored(store, "Large", MAX_STORED_SIZE - 1_000, 10)
    assert await pages(people, small, limit) == await pages(people, large, limit)
    assert sum(await pages(people, large, limit)) == PEOPLE


async def test_visible_fields_determine_page_size(people: PeopleService, store: Store) -> None:
    query = await stored(store, "Seen", 1, 60_000)
    counts = await pages(people, query, 1_000)
    assert sum(counts) == PEOPLE
    assert max(counts) * 60_000 < PAGE_SIZE * 1.3
    assert len(counts) > 1


async def test_export_chunks_end_at_the_same_records(people: PeopleService, store: Store) -> None:
    small = await stored(store, "Small", 1, 10_000)
    large = await stored(store, "Large", MAX_STORED_SIZE - 20_000, 10_000)
    chunks = [
        [count async for count, _ in Export(people, one, hidden=HIDDEN).chunks("ndjson")] for one in (small, large)
    ]
    assert chunks[0] == chunks[1]
    assert sum(chunks[0]) == PEOPLE
