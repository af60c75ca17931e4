"""History, trash and feed against a model: random sequences of operations, some of which are killed at a random step.

HISTORY_SEQUENCES sets the number of sequences of a longer run, and HISTORY_SEED the first seed.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from peopleinfo.crypto.person_ids import BLOCK_SIZE
from peopleinfo.errors import PersonNotFound
from peopleinfo.people.history import Operation, Origin
from peopleinfo.people.history_service import HistoryService
from peopleinfo.people.service import always_allow
from peopleinfo.stores.dynamodb import factory
from peopleinfo.stores.dynamodb.items import PARTITION, bytes_attr
from peopleinfo.stores.dynamodb.search_entries import data_of
from tests.failing_sqlite import make_writer_fail
from tests.store_kinds import (
    CACHED,
    ENCRYPTED,
    ENCRYPTED_TABLE,
    Clock,
    all_items,
    open_store,
    person_data,
    table_location,
)
from tests.stores.test_changes import changes_since, current_position
from tests.stores.test_dynamodb_faults import FaultyTransport
from tests.stores.test_history import all_versions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from aiodynamo.http.types import HttpImplementation, Request, Response

    from peopleinfo.people.person import PersonData
    from peopleinfo.stores.service_store import OpenedStore

STORE_KINDS = ["sqlite", ENCRYPTED, CACHED, "ministack", ENCRYPTED_TABLE]
SQLITE = ("sqlite", ENCRYPTED)
SEQUENCES = {"sqlite": 40, ENCRYPTED: 30, CACHED: 20, "ministack": 6, ENCRYPTED_TABLE: 3}
OPERATIONS = ("change", "change", "delete", "delete", "restore", "restore", "erase", "erase_trash", "restore_version")
STEPS = 10  # operations of a sequence
KILLED = 0.25  # part of the operations that are killed
MAX_STEP = 12  # statement or request at which an operation is killed
EXPIRY = timedelta(days=30)


class Version(NamedTuple):
    """A version of the model's history."""

    number: int
    operation: Operation
    data: PersonData


@dataclass(frozen=True)
class State:
    """The state of a person: `place` is stored, trash or gone."""

    place: str
    versions: tuple[Version, ...] = ()

    @property
    def version(self) -> int:
        return self.versions[-1].number if self.versions else 0

    def then(self, place: str, operation: Operation, data: PersonData | None = None) -> State:
        if place == "gone" or not self.versions:
            return State("gone")
        following = Version(self.version + 1, operation, data or self.versions[-1].data)
        return State(place, (*self.versions, following))


class Killed(BaseException):
    """The process ends."""


@dataclass
class Runner:
    """Runs operations on a store; a kill of SQLite continues with a copy of the files at that moment."""

    kind: str
    folder: Path
    clock: Clock
    transport: FaultyTransport
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    copies: int = 0

    async def open(self) -> OpenedStore:
        self.store = await self.stack.enter_async_context(open_store(self.kind, self.folder, self.clock))
        if self.kind in SQLITE:
            for file in ("main", "people_file") if self.kind == ENCRYPTED else ("main",):
                self.store._writer._db.execute(f"PRAGMA {file}.synchronous = OFF")  # type: ignore[attr-defined] # no power failures here
        return self.store

    async def killed(self, step: int, action: Callable[[], Awaitable[Any]], *, is_sent: bool) -> None:
        """Run an action and kill its process at a step, if the action has so many."""
        if self.kind in SQLITE:
            await self._killed_file(step, action)
        elif self.kind != CACHED:
            await self._killed_table(step, action, is_sent=is_sent)
        else:
            with suppress(PersonNotFound):
                await action()

    async def _killed_file(self, step: int, action: Callable[[], Awaitable[Any]]) -> None:
        connection = make_writer_fail(self.store)  # type: ignore[arg-type] # a SqliteStore
        passed, copy = 0, self.folder.with_name(f"copy{self.copies}")
        self.copies += 1

        def count(_: str) -> None:
            nonlocal passed
            passed += 1
            if passed == step:
                shutil.copytree(self.folder, copy, ignore=shutil.ignore_patterns("*-shm"))

        connection.before = count
        await action()
        await self.stack.aclose()
        if copy.exists():
            shutil.rmtree(self.folder)
            self.folder = copy
        await self.open()

    async def _killed_table(self, step: int, action: Callable[[], Awaitable[Any]], *, is_sent: bool) -> None:
        passed = 0

        async def fault(_: str, request: Request, send: HttpImplementation) -> Response:
            nonlocal passed
            passed += 1
            if passed == step and not is_sent:
                raise Killed
            response = await send(request)
            if passed == step:
                raise Killed
            return response

        self.transport.fault = fault
        with suppress(Killed):
            await action()
        self.transport.fault = None


def operation_of(
    runner: Runner, person_id: str, state: State, name: str, rng: random.Random
) -> tuple[State, Callable[[], Awaitable[Any]]]:
    """Return the state after an operation, and the operation."""
    clock, version = runner.clock, state.version

    async def restore_version(number: int) -> None:
        history = HistoryService(runner.store)
        await history.restore(person_id, number, precondition=always_allow, principal=None)

    if name == "delete":
        after = state.then("trash", Operation.DELETED)
        return after, lambda: runner.store.trash.add(person_id, expires_at=clock.now() + EXPIRY)
    if name == "restore":
        after = state.then("stored", Operation.RESTORED)
        return after, lambda: runner.store.trash.restore(person_id, expected=version)
    if name == "erase":
        return State("gone"), lambda: runner.store.delete(person_id)
    if name == "erase_trash":
        return State("gone"), lambda: runner.store.trash.erase(person_id)
    if name == "restore_version" and state.versions:
        chosen = rng.choice(state.versions)
        after = state.then("stored", Operation.RESTORED, chosen.data)
        return after, lambda: restore_version(chosen.number)
    data = person_data(rng.choice(["Model", "Other"]), rng.choice("abc"), email=f"{rng.randrange(99)}@example.org")
    after = state.then("stored", Operation.UPDATED, data)
    return after, lambda: runner.store.replace(person_id, data, expected=version, origin=Origin(Operation.UPDATED))


async def observed(store: OpenedStore, person_id: str) -> tuple[str, int]:
    """Return the place and the version of a person, which must be in one place at most."""
    found = []
    with suppress(PersonNotFound):
        found.append(("stored", (await store.get(person_id)).version))
    with suppress(PersonNotFound):
        found.append(("trash", (await store.trash.get(person_id)).version))
    assert len(found) <= 1, "a person is both stored and in the trash"
    return found[0] if found else ("gone", 0)


async def check_person(store: OpenedStore, person_id: str, state: State) -> None:
    """Compare the history of a person with the model's."""
    assert await observed(store, person_id) == (state.place, state.version)
    if state.place != "stored":
        with pytest.raises(PersonNotFound):
            await store.read_versions(person_id, after=0, limit=1)
        return
    versions = await all_versions(store, person_id)
    found = [Version(one.version, one.origin.operation, data_of(one.body)) for one in versions]
    assert found == list(state.versions)


async def run_sequence(runner: Runner, seed: int) -> None:
    """Run a random sequence on two people, then compare the histories, the trash and the feed with the model."""
    rng = random.Random(seed)
    tokens = [await current_position(runner.store, runner.clock)]
    people: dict[str, State] = {}
    for number in range(2):
        data = person_data("Model", str(number))
        created = await runner.store.create(data)
        people[created.person_id] = State("stored", (Version(1, Operation.CREATED, data),))
    for _ in range(STEPS):
        person_id = rng.choice(list(people))
        before = people[person_id]
        name = rng.choice(OPERATIONS)
        after, action = operation_of(runner, person_id, before, name, rng)
        needed = "trash" if name in ("restore", "erase_trash") else "stored"
        runner.clock.advance(milliseconds=rng.randrange(2_000))
        if before.place != needed:
            with pytest.raises(PersonNotFound):
                await action()
        elif rng.random() < KILLED:
            await runner.killed(rng.randint(1, MAX_STEP), action, is_sent=rng.random() < 0.5)
            place, version = await observed(runner.store, person_id)
            assert (place, version) in [(one.place, one.version) for one in (before, after)], name
            people[person_id] = after if (place, version) == (after.place, after.version) else before
        else:
            await action()
            people[person_id] = after
        if rng.random() < 0.2:
            tokens.append(await current_position(runner.store, runner.clock))
    for person_id, state in people.items():
        await check_person(runner.store, person_id, state)
    await check_feed(runner, rng.choice(tokens), tokens[0], people)


async def check_feed(runner: Runner, token: bytes, start: bytes, people: dict[str, State]) -> None:
    """Replay the feed from the start, and again from a token, and compare the result with the people."""
    known: dict[str, tuple[int, bool]] = {}
    for since in (start, token):
        for change in await changes_since(runner.store, runner.clock, since):
            version, _ = known.get(change.person_id, (0, False))
            if change.person_id in people and change.version >= version:
                known[change.person_id] = (change.version, change.operation is not Operation.DELETED)
    for person_id, state in people.items():
        version, is_present = known[person_id]
        assert is_present == (state.place == "stored"), (person_id, state, known)
        if is_present:
            assert version == state.version


async def check_rest(runner: Runner) -> None:
    """Check that no version and no search entry of an erased person remains."""
    runner.clock.advance(seconds=600)
    await runner.store.expire_history()
    if runner.kind in SQLITE:
        rest = (
            "SELECT count(*) FROM history WHERE seq NOT IN (SELECT seq FROM people UNION SELECT seq FROM trash)",
            "SELECT count(*) FROM search_entries WHERE seq NOT IN (SELECT seq FROM people)",
            "SELECT count(*) FROM unused_keys",
        )
        counts = [runner.store._reader.execute(query).fetchone()[0] for query in rest]  # type: ignore[attr-defined]
        assert counts == [0, 0, 0]
        return
    if runner.kind == CACHED:
        return
    location = table_location(runner.kind.removesuffix("+encrypted"), runner.folder)
    keys = {(bytes_attr(item, "pk"), bytes_attr(item, "sk")) for item in await all_items(location, location.table)}
    kept = {pk + sk for pk, sk in keys if len(pk) == PARTITION}
    kept |= {pk[1:] for pk, _ in keys if len(pk) == 1 + BLOCK_SIZE and pk[:1] == b"t"}
    versions = {pk[1:] for pk, _ in keys if len(pk) == 1 + BLOCK_SIZE and pk[:1] == b"h"}
    assert versions <= kept


async def test_random_sequences_behave_like_the_model(
    store_kind: str, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = FaultyTransport()
    monkeypatch.setattr(factory, "open_http", transport.open)
    (folder := tmp_path / "store").mkdir()
    runner = Runner(store_kind, folder, clock, transport)
    first = int(os.environ.get("HISTORY_SEED", "0"))
    sequences = int(os.environ.get("HISTORY_SEQUENCES", SEQUENCES[store_kind]))
    await runner.open()
    try:
        for seed in range(first, first + sequences):
            try:
                await run_sequence(runner, seed)
            except Exception as error:
                error.add_note(f"HISTORY_SEED={seed} HISTORY_SEQUENCES=1")
                raise
        await check_rest(runner)
    finally:
        await asyncio.shield(runner.stack.aclose())
