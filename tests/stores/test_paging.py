"""Pages return no record twice and skip no record that exists throughout."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from peopleinfo.people.store import MAX_ROWS_SCANNED, PAGE_SIZE
from tests.store_kinds import find_all, person_data, person_filter, scan_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.store import Page, Store

SEARCHES = {
    "surname": {"surname": "Walker"},
    "surname and name": {"surname": "Walker", "name": "stays"},
    "exact": {"surname": "Walker", "match": "exact"},
    "prefix": {"surname_prefix": "Walk"},
    "prefix and name": {"surname_prefix": "Walk", "name": "stays"},
    "name": {"name": "stays"},
    "everyone": {},
}
by_every_search = pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES.keys())


async def next_page(store: Store, search: dict[str, Any], after: bytes | None, limit: int) -> Page:
    if "surname" in search or "surname_prefix" in search:
        return await store.find(person_filter(**search), after=after, limit=limit)
    return await store.scan(after=after, limit=limit, person_filter=person_filter(**search) if search else None)


def ids(bodies: list[bytes]) -> list[str]:
    return [msgspec.json.decode(body)["person_id"] for body in bodies]


@pytest.mark.needs("prefixes are fresh")
@by_every_search
@pytest.mark.parametrize("limit", [1, 2, 3, 9, 10, 11, 1_000])
async def test_pages_together_return_each_record_once(store: Store, search: dict[str, Any], limit: int) -> None:
    people = await store.create_many([person_data("Walker", "Stays") for _ in range(10)])
    found: list[str] = []
    after: bytes | None = None
    while True:
        page = await next_page(store, search, after, limit)
        found += ids(page.people)
        assert len(page.people) <= limit
        if (after := page.next) is None:
            break
    assert sorted(found) == sorted(people)


@pytest.mark.needs("prefixes are fresh")
@by_every_search
async def test_page_ends_at_its_maximum_size_and_its_cursor_continues(store: Store, search: dict[str, Any]) -> None:
    people = await store.create_many([person_data("Walker", "Stays", pad="x" * 60_000) for _ in range(75)])
    found: list[str] = []
    after: bytes | None = None
    pages = 0
    while True:
        page = await next_page(store, search, after, 1_000)
        sizes = list(map(len, page.people))
        assert sum(sizes[:-1]) < PAGE_SIZE
        found += ids(page.people)
        pages += 1
        if (after := page.next) is None:
            break
    assert sorted(found) == sorted(people)
    assert pages >= 75 * 60_000 // PAGE_SIZE


@pytest.mark.needs("prefixes are fresh")
@pytest.mark.parametrize("search", [{"surname": "Walker"}, {"surname_prefix": "Walk"}, {"name": "stays"}, {}])
async def test_memory_of_a_page_does_not_grow_with_remaining_records(store: Store, search: dict[str, Any]) -> None:
    await store.create_many([person_data("Walker", "Stays", pad="x" * 60_000) for _ in range(400)])
    tracemalloc.start()
    try:
        await next_page(store, search, None, 1_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000  # 400 records have 24 MB, more as table items


@pytest.mark.parametrize("count", [0, 1, 4, 5])
async def test_last_page_of_a_surname_has_no_cursor(store: Store, count: int) -> None:
    await store.create_many([person_data("Walker") for _ in range(count)])
    page = await store.find(person_filter(surname="Walker"), after=None, limit=5)
    assert (len(page.people), page.next) == (count, None)


async def test_full_page_before_the_last_has_a_cursor(store: Store) -> None:
    await store.create_many([person_data("Walker") for _ in range(6)])
    page = await store.find(person_filter(surname="Walker"), after=None, limit=5)
    assert page.next is not None
    rest = await store.find(person_filter(surname="Walker"), after=page.next, limit=5)
    assert (len(rest.people), rest.next) == (1, None)


@pytest.mark.needs("prefixes are fresh")
@by_every_search
@pytest.mark.parametrize("limit", [1, 3, 8])
async def test_unchanged_records_are_returned_once_while_others_are_created_and_deleted(
    store: Store, search: dict[str, Any], limit: int
) -> None:
    unchanged = await store.create_many([person_data("Walker", "Stays") for _ in range(12)])
    to_delete = await store.create_many([person_data("Walker", "Stays", note="deleted") for _ in range(12)])
    unchanged += await store.create_many([person_data("Walker", "Stays") for _ in range(12)])
    deleted: set[str] = set()
    found: list[str] = []
    after: bytes | None = None
    while True:
        page = await next_page(store, search, after, limit)
        assert deleted.isdisjoint(ids(page.people))
        found += ids(page.people)
        if (after := page.next) is None:
            break
        if to_delete:  # one that may have been returned and one that may not
            for person_id in {to_delete[0], to_delete[-1]}:
                await store.delete(person_id)
                deleted.add(person_id)
            to_delete = to_delete[1:-1]
        stayed = await store.get(unchanged[len(found) % len(unchanged)])
        await store.replace(stayed.person_id, person_data("Walker", "Stays", seen="yes"), expected=stayed.version)
        if len(found) < 30:  # otherwise the pages would never end
            await store.create_many(
                [person_data("Abel", "Stays"), person_data("Walkera", "Stays"), person_data("Walker", "Stays")]
            )
    assert len(found) == len(set(found)), "a record was returned twice"
    assert set(unchanged) <= set(found), "an unchanged record was skipped"


@pytest.mark.parametrize("limit", [1, 2])
async def test_record_that_gets_the_surname_between_pages_is_returned_at_most_once(store: Store, limit: int) -> None:
    await store.create_many([person_data("Walker") for _ in range(4)])
    joins = [await store.create(person_data("Other")) for _ in range(4)]
    found: list[str] = []
    after: bytes | None = None
    while True:
        page = await store.find(person_filter(surname="Walker"), after=after, limit=limit)
        found += ids(page.people)
        if (after := page.next) is None:
            break
        if joins:
            created = joins.pop()
            await store.replace(created.person_id, person_data("Walker"), expected=1)
    assert len(found) == len(set(found))


async def test_record_keeps_its_position_when_its_surname_is_changed_back(store: Store) -> None:
    created = [await store.create(person_data("Walker", str(number))) for number in range(3)]
    away = await store.replace(created[1].person_id, person_data("Away"), expected=1)
    back = await store.replace(away.person_id, person_data("Walker", "1"), expected=2)
    assert await find_all(store, person_filter(surname="walker")) == [created[0].body, back.body, created[2].body]


@pytest.mark.needs("prefixes are fresh")
async def test_prefix_page_can_end_within_a_surname(store: Store) -> None:
    surnames = ["Ab", "Abc", "Abc", "Abc", "Abe", "Abe"]
    created = [(await store.create(person_data(surname))).body for surname in surnames]
    for limit in range(1, 8):
        assert await find_all(store, person_filter(surname_prefix="ab"), limit=limit) == created


@pytest.mark.parametrize("segments", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("limit", [1, 5, 100])
async def test_segments_together_return_each_record_once(store: Store, segments: int, limit: int) -> None:
    people = await store.create_many([person_data(f"Name{number % 4}") for number in range(23)])
    found = ids(await scan_all(store, limit=limit, segments=segments))
    assert sorted(found) == sorted(people)


async def test_segment_contains_the_same_records_at_any_limit(store: Store) -> None:
    await store.create_many([person_data("Name") for _ in range(20)])
    large, small = [[(await segment_ids(store, segment, limit)) for segment in range(3)] for limit in (100, 1)]
    assert large == small


async def segment_ids(store: Store, segment: int, limit: int) -> list[str]:
    found: list[str] = []
    after: bytes | None = None
    while True:
        page = await store.scan(after=after, limit=limit, segment=segment, segments=3)
        found += ids(page.people)
        if (after := page.next) is None:
            return sorted(found)


@pytest.fixture
async def many_records(store: Store) -> list[str]:
    """Create more records than a page reads; only the last one has the name Needle."""
    people = [person_data("Hay", "Straw") for _ in range(MAX_ROWS_SCANNED + 1)]
    return await store.create_many([*people, person_data("Hay", "Needle")])


async def _assert_reads_are_limited(pages: Callable[[bytes | None], Any]) -> None:
    first = await pages(None)
    assert first.people == []
    assert first.next is not None, "an empty page must have a cursor if records remain"
    second = await pages(first.next)
    assert [msgspec.json.decode(body)["person_name"] for body in second.people] == ["Needle"]
    assert second.next is None


async def test_surname_page_reads_at_most_the_maximum_rows(store: Store, many_records: list[str]) -> None:
    query = person_filter(surname="hay", name="needle")
    await _assert_reads_are_limited(lambda after: store.find(query, after=after, limit=10))


@pytest.mark.needs("prefixes are fresh")
async def test_prefix_page_reads_at_most_the_maximum_rows(store: Store, many_records: list[str]) -> None:
    query = person_filter(surname_prefix="ha", name="needle")
    await _assert_reads_are_limited(lambda after: store.find(query, after=after, limit=10))


async def test_scan_page_reads_at_most_the_maximum_rows(store: Store, many_records: list[str]) -> None:
    query = person_filter(name="needle")
    pages = [await store.scan(after=None, limit=10, person_filter=query)]
    while pages[-1].next is not None:  # a table also contains the entries of its search index
        pages.append(await store.scan(after=pages[-1].next, limit=10, person_filter=query))
    assert len(pages) > 1, "the page read more than the maximum rows"
    (found,) = [body for page in pages for body in page.people]
    assert msgspec.json.decode(found)["person_name"] == "Needle"


async def test_cursor_stays_valid_after_its_record_is_deleted(store: Store) -> None:
    created: list[StoredPerson] = [await store.create(person_data("Walker", str(number))) for number in range(3)]
    page = await store.find(person_filter(surname="walker"), after=None, limit=1)
    await store.delete(created[0].person_id)
    rest = await store.find(person_filter(surname="walker"), after=page.next, limit=10)
    assert rest.people == [record.body for record in created[1:]]
