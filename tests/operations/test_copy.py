"""Copies between stores of every kind: under load, after kills and while a store is unavailable."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from peopleinfo.bulk.copy import StoreCopy
from peopleinfo.cli.progress import resumable
from peopleinfo.errors import OutcomeUnknown, StoreUnavailable, TargetNotEmpty
from peopleinfo.people.history import Operation, Origin
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.cli.commands import run, stderr_of
from tests.http.serving import serving
from tests.operations.conftest import bodies, can_read_each_by_id, digest_in, fill, run_with_kills, stats
from tests.operations.write_load import write_load
from tests.store_kinds import Clock, person_data, scan_all, store_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from peopleinfo.people.store import Page
    from peopleinfo.people.version_archive import PersonHistory
    from peopleinfo.stores.service_store import OpenedStore


@pytest.fixture
async def target(store: OpenedStore, tmp_path: Path, clock: Clock) -> AsyncIterator[OpenedStore]:
    async with open_sqlite(tmp_path / "target.db", now=clock.now) as target:
        yield target


def ignored(_: int) -> None:
    pass


async def run_copy(copy: StoreCopy, pages: int = 10**6) -> int:
    count = 0
    async for people in copy.run():
        count += people
        pages -= 1
        if not pages:
            break
    return count


@pytest.fixture
def pages_of_500(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peopleinfo.bulk.copy.PAGE_SIZE", 500)


@pytest.mark.usefixtures("pages_of_500")
async def test_every_store_can_be_copied_to_another(store: OpenedStore, target: OpenedStore) -> None:
    await store.create_many([person_data("Copy", str(number)) for number in range(1_200)])
    copy = StoreCopy(store, target, (store, target))
    first_page = await run_copy(copy, pages=1)  # shorter than 500 if the table contains other items, such as changes
    assert 0 < first_page <= 500
    assert await copy.copied_so_far() == first_page
    assert await run_copy(copy) == 1_200 - first_page
    assert await run_copy(copy) == 0
    assert (await copy.compare(ignored)).is_equal
    assert sorted(await scan_all(target)) == sorted(await scan_all(store))


async def test_copy_resumes_after_records_without_their_versions(
    store: OpenedStore, target: OpenedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(_: object) -> None:
        raise KeyboardInterrupt

    await target.create_many([person_data("Copy", str(number)) for number in range(30)], principal="desk")
    copy = StoreCopy(target, store, (target, store))
    with monkeypatch.context() as patch:
        patch.setattr(store.archive, "store_histories", crash)
        with pytest.raises(KeyboardInterrupt):
            await run_copy(copy)
    assert len(await scan_all(store)) == 30
    assert await copy.copied_so_far() == 0
    assert await run_copy(copy) == 30
    assert (await copy.compare(ignored)).is_equal


async def test_every_store_accepts_a_copy(store: OpenedStore, target: OpenedStore) -> None:
    ids = await target.create_many([person_data("Copy", str(number)) for number in range(30)])
    assert await run_copy(StoreCopy(target, store, (target, store))) == 30
    assert [await store.get(one) for one in ids] == [await target.get(one) for one in ids]


class UnreliableStore:
    """A store of which every third call fails, before or after its effect."""

    def __init__(self, store: OpenedStore) -> None:
        self._store = store
        self._calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def scan(self, **options: Any) -> Page:
        self._fail_sometimes()
        return await self._store.scan(**options)

    async def upsert_many(self, people: Sequence[bytes], **options: Any) -> int:
        self._fail_sometimes()
        count = await self._store.upsert_many(people, **options)
        if self._calls % 3 == 1:
            raise OutcomeUnknown("It does not answer")
        return count

    def _fail_sometimes(self) -> None:
        self._calls += 1
        if self._calls % 3 == 0:
            raise StoreUnavailable("It is unavailable")


@pytest.mark.usefixtures("pages_of_500")
async def test_copy_retries_while_a_store_is_unavailable(store: OpenedStore, target: OpenedStore) -> None:
    await store.create_many([person_data("Copy", str(number)) for number in range(1_200)])
    copy = StoreCopy(
        cast("OpenedStore", UnreliableStore(store)),
        cast("OpenedStore", UnreliableStore(target)),
        (store, target),
    )
    assert await run_copy(copy) == 1_200
    assert (await copy.compare(ignored)).is_equal
    assert sorted(await scan_all(target)) == sorted(await scan_all(store))


async def test_repair_copies_changes_since_the_copy(store: OpenedStore, target: OpenedStore) -> None:
    ids = await store.create_many([person_data("Repair", str(number)) for number in range(50)])
    copy = StoreCopy(store, target, (store, target))
    await run_copy(copy)
    await store.replace(ids[0], person_data("Changed"), expected=1)
    await store.delete(ids[1])
    await store.create(person_data("New"))
    comparison = await copy.compare(ignored)
    assert not comparison.is_equal
    assert (comparison.source.people, comparison.target.people) == (50, 50)
    assert await copy.repair(comparison, ignored, delete=False) == (2, 0, 1)
    assert await copy.repair(comparison, ignored, delete=True) == (0, 1, 0)
    assert (await copy.compare(ignored)).is_equal
    assert await all_histories(target) == await all_histories(store)


async def all_histories(store: OpenedStore) -> list[PersonHistory]:
    """Return all versions of all people."""
    ids = [msgspec.json.decode(body)["person_id"] for body in await scan_all(store)]
    return sorted(await store.archive.read_histories(ids))


async def test_copy_has_the_versions_of_its_source(store: OpenedStore, target: OpenedStore, clock: Clock) -> None:
    first = await store.create(person_data("Zero"), principal="clerk")
    for number in range(3):
        clock.advance(seconds=1)
        origin = Origin(Operation.UPDATED, "desk", bytes([number]) * 16)
        # Another surname moves an item of DynamoDB.
        await store.replace(first.person_id, person_data(f"Surname{number}"), expected=number + 1, origin=origin)
    copy = StoreCopy(store, target, (store, target))
    assert await run_copy(copy) == 1
    (history,) = await all_histories(target)
    assert [version.version for version in history.versions] == [1, 2, 3, 4]
    assert [history] == await all_histories(store)
    await target.archive.store_histories([history])  # repeatable
    page = await target.read_versions(first.person_id, after=0, limit=10)
    assert page.versions == history.versions
    assert len((await target.read_changes(since=bytes(16), limit=10)).changes) <= 1  # the copy of the person only


async def test_copy_into_a_non_empty_store_is_rejected(store: OpenedStore, target: OpenedStore) -> None:
    await target.create(person_data("Native"))
    with pytest.raises(TargetNotEmpty):
        await StoreCopy(store, target, (store, target)).copied_so_far()


@pytest.mark.parametrize("between", ["ministack"])
def test_copy_under_load_equals_its_source_after_a_final_run(tmp_path: Path, between: str) -> None:
    source = f"sqlite:///{tmp_path / 'people.db'}"
    back = f"sqlite:///{tmp_path / 'back.db'}"
    table = store_url(between, tmp_path)
    fill(source, 200)
    with serving(tmp_path, store_url=source) as server, write_load(server.url, bodies(source), seed=3) as load:
        while load.writes < 20:
            time.sleep(0.02)
        first = run(tmp_path, "copy", source, table)
        assert first.returncode in (0, 4), first.stderr
    final = run(tmp_path, "copy", source, table, "--mirror")
    assert final.returncode == 0, final.stderr
    again = run(tmp_path, "copy", table, back)
    assert again.returncode == 0, again.stderr
    digests = {digest_in(stderr_of(final)), digest_in(stderr_of(again))} | {
        stats(tmp_path, url)["digest"] for url in (source, back)
    }
    assert len(digests) == 1
    people = bodies(source)
    assert bodies(back) == people
    assert can_read_each_by_id(back, people)
    assert can_read_each_by_id(table, dict(list(people.items())[:200]))


def test_copy_is_complete_after_repeated_kills(tmp_path: Path) -> None:
    source, target = (f"sqlite:///{tmp_path / name}.db" for name in ("people", "copy"))
    fill(source, 20_000)
    _, copied = run_with_kills(tmp_path, 3, random.Random(4), "copy", source, target)
    assert digest_in(copied) == stats(tmp_path, source)["digest"] == stats(tmp_path, target)["digest"]
    assert stderr_of(run(tmp_path, "reindex", "--store-url", target)) == "20,000 records checked, 0 reindexed\n"


def test_stats_describe_the_records_of_a_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'people.db'}"
    assert run(tmp_path, "store", "create", "--store-url", url).returncode == 0
    empty: dict[str, Any] = stats(tmp_path, url)
    assert (empty["people"], empty["digest"], empty["first_created"]) == (0, "0" * 64, None)
    fill(url, 10)
    filled = stats(tmp_path, url)
    assert (filled["people"], filled["changed"]) == (10, 0)
    assert filled["bytes_a_person"] == filled["bytes"] // 10
    table = run(tmp_path, "stats", "--store-url", url)
    assert f"digest           {filled['digest']}" in table.stdout.decode()


@pytest.mark.parametrize("failure", [StoreUnavailable("It does not answer"), OutcomeUnknown("It does not answer")])
def test_error_of_the_store_contains_how_to_resume(failure: StoreUnavailable) -> None:
    with pytest.raises(StoreUnavailable) as raised, resumable():
        raise failure
    assert str(raised.value) == "It does not answer; run the same command again to resume"
