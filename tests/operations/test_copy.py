"""A copy holds the same people as its source once the writes have stopped, whatever the kinds of the stores, and however often it was killed."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from peopleinfo.bulk.copy import StoreCopy, TargetNotEmpty
from peopleinfo.cli.progress import resumable
from peopleinfo.errors import OutcomeUnknown, StoreUnavailable
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.cli.commands import run, said
from tests.http.serving import serving
from tests.operations.conftest import bodies, digest_in, each_is_read_by_its_id, fill, killed_at_random, stats
from tests.operations.storm import storm
from tests.store_kinds import Clock, person_data, scan_all, store_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from peopleinfo.people.store import Page, Store


@pytest.fixture
async def target(store: Store, tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    async with open_sqlite(tmp_path / "target.db", now=clock.now) as target:
        yield target


def ignored(_: int) -> None:
    pass


async def copied(copy: StoreCopy, pages: int = 10**6) -> int:
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
async def test_every_store_is_copied_into_another_and_back(store: Store, target: Store) -> None:
    await store.create_many([person_data("Copy", str(number)) for number in range(1_200)])
    there = StoreCopy(store, target)
    assert await copied(there, pages=1) == 500
    assert await there.copied_so_far() == 500
    assert await copied(there) == 700
    assert await copied(there) == 0
    assert (await there.compare(ignored)).is_equal
    assert sorted(await scan_all(target)) == sorted(await scan_all(store))


async def test_every_store_takes_a_copy(store: Store, target: Store) -> None:
    ids = await target.create_many([person_data("Copy", str(number)) for number in range(30)])
    assert await copied(StoreCopy(target, store)) == 30
    assert [await store.get(one) for one in ids] == [await target.get(one) for one in ids]


class Hiccups:
    """A store that is away every third time that it is asked for people or given some, and every third time when it has taken them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def scan(self, **asked: Any) -> Page:
        self._away()
        return await self._store.scan(**asked)

    async def upsert_many(self, people: Sequence[bytes], **step: Any) -> int:
        self._away()
        taken = await self._store.upsert_many(people, **step)
        if self._asked % 3 == 1:
            raise OutcomeUnknown("It does not answer")
        return taken

    def _away(self) -> None:
        self._asked += 1
        if self._asked % 3 == 0:
            raise StoreUnavailable("It is away")


@pytest.mark.usefixtures("pages_of_500")
async def test_a_store_that_is_away_for_a_moment_is_waited_for(store: Store, target: Store) -> None:
    await store.create_many([person_data("Copy", str(number)) for number in range(1_200)])
    copy = StoreCopy(cast("Store", Hiccups(store)), cast("Store", Hiccups(target)))
    assert await copied(copy) == 1_200
    assert (await copy.compare(ignored)).is_equal
    assert sorted(await scan_all(target)) == sorted(await scan_all(store))


async def test_what_has_changed_since_is_found_and_mended(store: Store, target: Store) -> None:
    ids = await store.create_many([person_data("Mend", str(number)) for number in range(50)])
    copy = StoreCopy(store, target)
    await copied(copy)
    await store.replace(ids[0], person_data("Changed"), expected=1)
    await store.delete(ids[1])
    await store.create(person_data("New"))
    comparison = await copy.compare(ignored)
    assert not comparison.is_equal
    assert (comparison.source.people, comparison.target.people) == (50, 50)
    assert await copy.repair(comparison, ignored, erase=False) == (2, 0, 1)
    assert await copy.repair(comparison, ignored, erase=True) == (0, 1, 0)
    assert (await copy.compare(ignored)).is_equal


async def test_nobody_is_copied_among_others(store: Store, target: Store) -> None:
    await target.create(person_data("Native"))
    with pytest.raises(TargetNotEmpty):
        await StoreCopy(store, target).copied_so_far()


@pytest.mark.parametrize("between", ["ministack"])
def test_a_copy_during_a_storm_is_the_same_once_it_is_over_and_so_is_the_way_back(tmp_path: Path, between: str) -> None:
    source = f"sqlite:///{tmp_path / 'people.db'}"
    back = f"sqlite:///{tmp_path / 'back.db'}"
    table = store_url(between, tmp_path)
    fill(source, 200)
    with serving(tmp_path, store_url=source) as server, storm(server.url, bodies(source), seed=3) as raging:
        while raging.writes < 20:
            time.sleep(0.02)
        first = run(tmp_path, "copy", source, table)
        assert first.returncode in (0, 4), first.stderr
    there = run(tmp_path, "copy", source, table, "--mirror")
    assert there.returncode == 0, there.stderr
    again = run(tmp_path, "copy", table, back)
    assert again.returncode == 0, again.stderr
    digests = {digest_in(said(there)), digest_in(said(again))} | {
        stats(tmp_path, url)["digest"] for url in (source, back)
    }
    assert len(digests) == 1
    people = bodies(source)
    assert bodies(back) == people
    assert each_is_read_by_its_id(back, people)
    assert each_is_read_by_its_id(table, dict(list(people.items())[:200]))


def test_a_copy_that_is_killed_again_and_again_is_whole_in_the_end(tmp_path: Path) -> None:
    source, target = (f"sqlite:///{tmp_path / name}.db" for name in ("people", "copy"))
    fill(source, 20_000)
    _, told = killed_at_random(tmp_path, 3, random.Random(4), "copy", source, target)
    assert digest_in(told) == stats(tmp_path, source)["digest"] == stats(tmp_path, target)["digest"]
    assert said(run(tmp_path, "reindex", "--store-url", target)) == "20,000 people looked at, 0 have new keys\n"


def test_stats_say_what_the_people_are_like(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'people.db'}"
    assert run(tmp_path, "store", "create", "--store-url", url).returncode == 0
    empty: dict[str, Any] = stats(tmp_path, url)
    assert (empty["people"], empty["digest"], empty["first_created"]) == (0, "0" * 64, None)
    fill(url, 10)
    told = stats(tmp_path, url)
    assert (told["people"], told["changed"]) == (10, 0)
    assert told["bytes_a_person"] == told["bytes"] // 10
    table = run(tmp_path, "stats", "--store-url", url)
    assert f"digest           {told['digest']}" in table.stdout.decode()


@pytest.mark.parametrize("failure", [StoreUnavailable("It does not answer"), OutcomeUnknown("It does not answer")])
def test_whoever_is_left_by_a_store_is_told_how_to_go_on(failure: StoreUnavailable) -> None:
    with pytest.raises(StoreUnavailable) as told, resumable():
        raise failure
    assert str(told.value) == "It does not answer; nothing is lost: the same command continues where this one stopped"
