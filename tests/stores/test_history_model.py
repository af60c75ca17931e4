"""History, trash, merges, imports and feed against a model: random sequences of operations, some of which are killed at a random step.

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
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from peopleinfo.crypto.person_ids import BLOCK_SIZE
from peopleinfo.errors import ImportNotFound, PersonNotFound
from peopleinfo.matching.merge_service import MergeRequest, MergeService
from peopleinfo.people.history import Operation, Origin
from peopleinfo.people.history_service import HistoryService
from peopleinfo.people.idempotency import ClientKey
from peopleinfo.people.preconditions import always_allow
from peopleinfo.stores.dynamodb import factory
from peopleinfo.stores.dynamodb.items import PARTITION, bytes_attr
from peopleinfo.stores.dynamodb.search_entries import data_of
from tests.failing_sqlite import make_writer_fail
from tests.faulty_transport import FaultyTransport
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
from tests.stores.test_history import all_versions
from tests.stores.test_import_undo import import_history, importer
from tests.stores.test_repeated_import import object_rows

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from aiodynamo.http.types import HttpImplementation, Request, Response

    from peopleinfo.people.person import PersonData
    from peopleinfo.stores.service_store import OpenedStore

STORE_KINDS = ["sqlite", ENCRYPTED, CACHED, "ministack", ENCRYPTED_TABLE]
SQLITE = ("sqlite", ENCRYPTED)
SEQUENCES = {"sqlite": 40, ENCRYPTED: 30, CACHED: 20, "ministack": 6, ENCRYPTED_TABLE: 3}
OPERATIONS = (
    *("change", "change", "delete", "delete", "restore", "restore", "erase", "erase_trash", "restore_version"),
    *("merge", "merge", "unmerge", "unmerge", "import", "undo_import"),
)
NEEDED = {"restore": "trash", "erase_trash": "trash", "unmerge": "merged"}  # place of the person before the operation
STEPS = 10  # operations of a sequence
KILLED = 0.25  # part of the operations that are killed
MAX_STEP = 12  # statement or request at which an operation is killed
EXPIRY = timedelta(days=30)
NEW_IMPORT = b"new"  # replaced by the id of the import
KEPT = "SELECT seq FROM people UNION SELECT seq FROM trash UNION SELECT seq FROM merged_people"


class Version(NamedTuple):
    """A version of the model's history."""

    number: int
    operation: Operation
    data: PersonData
    import_id: bytes | None = None


@dataclass(frozen=True)
class State:
    """The state of a person: `place` is stored, trash, merged or gone."""

    place: str
    versions: tuple[Version, ...] = ()

    @property
    def version(self) -> int:
        return self.versions[-1].number if self.versions else 0

    def then(
        self, place: str, operation: Operation, data: PersonData | None = None, import_id: bytes | None = None
    ) -> State:
        if place == "gone" or not self.versions:
            return State("gone")
        following = Version(self.version + 1, operation, data or self.versions[-1].data, import_id)
        return State(place, (*self.versions, following))

    def with_import(self, import_id: bytes | None) -> State:
        """Return the state with the id of the import that stored the current version."""
        versions = [one._replace(import_id=import_id) if one.import_id == NEW_IMPORT else one for one in self.versions]
        return State(self.place, tuple(versions))

    def after_undo(self, import_id: bytes) -> State:
        """Return the state after the undo of an import that may have updated the person."""
        imported = [one for one in self.versions if (one.operation, one.import_id) == (Operation.UPDATED, import_id)]
        if self.place != "stored" or not imported or self.versions[-1].data != imported[-1].data:
            return self
        if self.versions[-1][1:4:2] == (Operation.RESTORED, import_id):
            return self
        earlier = self.versions[imported[-1].number - 2]
        return self.then("stored", Operation.RESTORED, earlier.data, import_id)


States = dict[str, State]


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
    keys: int = 0  # of merges
    imports: list[bytes] = field(default_factory=list)  # ids of the imports that are not undone
    undone: list[bytes] = field(default_factory=list)

    async def open(self) -> OpenedStore:
        self.store = await self.stack.enter_async_context(open_store(self.kind, self.folder, self.clock))
        if self.kind in SQLITE:
            for file in ("main", "people_file") if self.kind == ENCRYPTED else ("main",):
                self.store._writer._db.execute(f"PRAGMA {file}.synchronous = OFF")  # type: ignore[attr-defined] # no power failures here
        return self.store

    @property
    def merges(self) -> MergeService:
        return MergeService(self.store.merges, secret=self.store.secret, now=self.clock.now)

    async def run_import(self, person_id: str, data: PersonData) -> None:
        """Import new fields of a person."""
        importing = importer(self.store, self.clock)
        await importing.import_rows(object_rows([{"person_id": person_id, **data.to_dict()}]))
        await importing.finish(forget=True)

    async def new_import(self) -> bytes:
        """Return the id of the newest import, which is not undone."""
        entries = await self.store.imports.list_imports(before=None, limit=1)
        found = entries[0].import_id if entries else b""
        self.imports += [found] if found not in (b"", *self.imports, *self.undone) else []
        return found

    async def undo_import(self, import_id: bytes) -> None:
        with suppress(ImportNotFound):  # it was killed before its first write
            async for _ in import_history(self.store, self.clock).undo(import_id, principal=None):
                pass

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
        others = asyncio.all_tasks()

        async def fault(_: str, request: Request, send: HttpImplementation) -> Response:
            nonlocal passed
            passed += 1
            number = passed
            if number > step or (number == step and not is_sent):
                raise Killed
            response = await send(request)
            if number == step:
                raise Killed
            return response

        self.transport.fault = fault
        with suppress(Killed):
            await action()
        tasks = asyncio.all_tasks() - others  # of the killed process
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.transport.fault = None


def operation_of(
    runner: Runner, person_id: str, people: States, name: str, rng: random.Random
) -> tuple[States, Callable[[], Awaitable[Any]]]:
    """Return the states of the people after an operation, and the operation."""
    store, state = runner.store, people[person_id]
    version = state.version
    if name in ("erase", "erase_trash"):
        erase = store.delete if name == "erase" else store.trash.erase
        group = [person_id, *merged_with(person_id, people)]
        return dict.fromkeys(group, State("gone")), partial(erase, person_id)
    if name in ("merge", "unmerge"):
        return (merge_of if name == "merge" else unmerge_of)(runner, person_id, people)
    data = random_data(rng)
    action: Callable[[], Awaitable[Any]]
    if name == "delete":
        after = state.then("trash", Operation.DELETED)
        action = partial(store.trash.add, person_id, expires_at=runner.clock.now() + EXPIRY)
    elif name == "restore":
        after = state.then("stored", Operation.RESTORED)
        action = partial(store.trash.restore, person_id, expected=version)
    elif name == "restore_version" and state.versions:
        chosen = rng.choice(state.versions)
        after = state.then("stored", Operation.RESTORED, chosen.data)
        restore = HistoryService(store).restore
        action = partial(restore, person_id, chosen.number, precondition=always_allow, principal=None)
    elif name == "import":
        data = person_data(
            f"{data.person_surname} {version}", data.person_name, **data.extra
        )  # an equal row is not stored
        after = state.then("stored", Operation.UPDATED, data, NEW_IMPORT)
        action = partial(runner.run_import, person_id, data)
    else:
        after = state.then("stored", Operation.UPDATED, data)
        action = partial(store.replace, person_id, data, expected=version, origin=Origin(Operation.UPDATED))
    return {person_id: after}, action


def merged_with(person_id: str, people: States) -> list[str]:
    """Return the other person if the two are merged."""
    if "merged" not in [state.place for state in people.values()]:
        return []
    return [one for one in people if one != person_id]


def random_data(rng: random.Random) -> PersonData:
    """Return data with the same fields for each person, so that a merge takes no value."""
    return person_data(rng.choice(["Model", "Other"]), rng.choice("abc"), email=f"{rng.randrange(99)}@example.org")


def merge_of(runner: Runner, person_id: str, people: States) -> tuple[States, Callable[[], Awaitable[Any]]]:
    """Return the merge of the other person into this one."""
    (other,) = set(people) - {person_id}
    versions = {one: people[one].version for one in (person_id, other)}
    runner.keys += 1
    key = ClientKey("model", f"{runner.keys} {person_id}")
    after = {
        person_id: people[person_id].then("stored", Operation.MERGED),
        other: people[other].then("merged", Operation.MERGED),
    }
    request = MergeRequest(person_id, (other,), versions, {})
    return after, lambda: runner.merges.merge(request, key=key)


def unmerge_of(runner: Runner, person_id: str, people: States) -> tuple[States, Callable[[], Awaitable[Any]]]:
    """Return the undo of the merge of a person into the other one."""
    (other,) = set(people) - {person_id}

    async def undo() -> None:
        newest = (await runner.store.merges.merges_of(person_id))[0]
        await runner.merges.undo(newest.merge_id, keep={})

    after = {
        person_id: people[person_id].then("stored", Operation.UNMERGED),
        other: people[other].then("stored", Operation.UNMERGED),
    }
    return after, undo


async def observed(store: OpenedStore, person_id: str) -> tuple[str, int]:
    """Return the place and the version of a person, which must be in one place at most."""
    found = []
    with suppress(PersonNotFound):
        found.append(("stored", (await store.get(person_id)).version))
    with suppress(PersonNotFound):
        found.append(("trash", (await store.trash.get(person_id)).version))
    (member,) = await store.merges.read_members([person_id])
    if member and member.merge_id:
        found.append(("merged", member.version))
    assert len(found) <= 1, "a person is in two places"
    return found[0] if found else ("gone", 0)


async def all_observed(store: OpenedStore, people: States) -> dict[str, tuple[str, int]]:
    return {one: await observed(store, one) for one in people}


async def check_person(store: OpenedStore, person_id: str, state: State) -> None:
    """Compare the history of a person with the model's."""
    assert await observed(store, person_id) == (state.place, state.version)
    if state.place not in ("stored", "merged"):
        with pytest.raises(PersonNotFound):
            await store.read_versions(person_id, after=0, limit=1)
        return
    versions = await all_versions(store, person_id)
    found = [Version(one.version, one.origin.operation, data_of(one.body), one.origin.import_id) for one in versions]
    assert found == list(state.versions)


def is_possible(name: str, person_id: str, people: States) -> bool:
    """Return whether an operation on a person succeeds."""
    others = [state.place for one, state in people.items() if one != person_id]
    if people[person_id].place != NEEDED.get(name, "stored"):
        return False
    return others == ["stored"] if name in ("merge", "unmerge") else True


async def run_sequence(runner: Runner, seed: int) -> None:
    """Run a random sequence on two people, then compare the histories, the trash and the feed with the model."""
    rng = random.Random(seed)
    tokens = [await current_position(runner.store, runner.clock)]
    people: States = {}
    for _ in range(2):
        data = random_data(rng)
        created = await runner.store.create(data)
        people[created.person_id] = State("stored", (Version(1, Operation.CREATED, data),))
    for _ in range(STEPS):
        await run_step(runner, people, rng)
        if rng.random() < 0.2:
            tokens.append(await current_position(runner.store, runner.clock))
    for person_id, state in people.items():
        await check_person(runner.store, person_id, state)
    await check_feed(runner, rng.choice(tokens), tokens[0], people)


async def run_step(runner: Runner, people: States, rng: random.Random) -> None:
    """Run a random operation, which may be killed, on the store and on the model."""
    person_id, name = rng.choice(list(people)), rng.choice(OPERATIONS)
    runner.clock.advance(milliseconds=rng.randrange(1, 2_000))
    if name == "undo_import":
        await run_undo(runner, people, rng)
        return
    if not is_possible(name, person_id, people):
        # An erasure of a merged person erases both.
        if name not in ("merge", "unmerge", "import") and not ("erase" in name and people[person_id].place == "merged"):
            # An erasure may complete an earlier one that was killed.
            is_complete = "erase" not in name or people[person_id].place != "gone"
            with pytest.raises(PersonNotFound) if is_complete else suppress(PersonNotFound):
                await operation_of(runner, person_id, people, name, rng)[1]()
        return
    after, action = operation_of(runner, person_id, people, name, rng)
    if rng.random() >= KILLED:
        await action()
    elif not await was_applied(runner, after, people, action, rng, name):
        await runner.new_import()
        return
    import_id = await runner.new_import() if name == "import" else None
    people |= {one: state.with_import(import_id) for one, state in after.items()}


async def was_applied(
    runner: Runner, after: States, people: States, action: Callable[[], Awaitable[Any]], rng: random.Random, name: str
) -> bool:
    """Kill an operation, and return whether it was applied: to all of its people or to none."""
    await runner.killed(rng.randint(1, MAX_STEP), action, is_sent=rng.random() < 0.5)
    found = await all_observed(runner.store, after)
    named = next(iter(after))
    places = {place for place, _ in found.values()}
    if name in ("erase", "erase_trash") and "gone" in places and len(places) > 1:
        # DynamoDB erases merged records one by one. The caller repeats an interrupted erasure.
        await (runner.store.trash.erase if name == "erase_trash" else runner.store.delete)(named)
        found = await all_observed(runner.store, after)
    expected = [{one: (states[one].place, states[one].version) for one in after} for states in (people, people | after)]
    assert found in expected, name
    return found == expected[1]


async def run_undo(runner: Runner, people: States, rng: random.Random) -> None:
    """Undo an import, which may be killed and then repeated."""
    if not runner.imports:
        return
    import_id = runner.imports.pop()
    runner.undone.append(import_id)
    if rng.random() < KILLED:
        await runner.killed(
            rng.randint(1, MAX_STEP), partial(runner.undo_import, import_id), is_sent=rng.random() < 0.5
        )
    await runner.undo_import(import_id)
    people |= {one: state.after_undo(import_id) for one, state in people.items()}


async def check_feed(runner: Runner, token: bytes, start: bytes, people: dict[str, State]) -> None:
    """Replay the feed from the start, and again from a token, and compare the result with the people."""
    known: dict[str, tuple[int, bool]] = {}
    for since in (start, token):
        for change in await changes_since(runner.store, runner.clock, since):
            version, _ = known.get(change.person_id, (0, False))
            if change.person_id in people and change.version >= version:
                gone = change.operation in (Operation.DELETED, Operation.MERGED)
                known[change.person_id] = (change.version, not gone)
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
            f"SELECT count(*) FROM history WHERE seq NOT IN ({KEPT})",
            f"SELECT count(*) FROM merge_logs WHERE seq NOT IN ({KEPT})",
            f"SELECT count(*) FROM merge_members WHERE seq NOT IN ({KEPT})",
            "SELECT count(*) FROM merges WHERE merge_id NOT IN (SELECT merge_id FROM merge_members)",
            "SELECT count(*) FROM search_entries WHERE seq NOT IN (SELECT seq FROM people)",
            "SELECT count(*) FROM unused_keys",
        )
        counts = [runner.store._reader.execute(query).fetchone()[0] for query in rest]  # type: ignore[attr-defined]
        assert counts == [0] * len(rest)
        return
    if runner.kind == CACHED:
        return
    location = table_location(runner.kind.removesuffix("+encrypted"), runner.folder)
    keys = {(bytes_attr(item, "pk"), bytes_attr(item, "sk")) for item in await all_items(location, location.table)}
    kept = {pk + sk for pk, sk in keys if len(pk) == PARTITION}
    kept |= {pk[1:] for pk, _ in keys if len(pk) == 1 + BLOCK_SIZE and pk[:1] == b"t"}
    kept |= {pk[1:] for pk, sk in keys if len(pk) == 1 + BLOCK_SIZE and pk[:1] == b"g" and sk == b"r"}
    logs = {pk[1:] for pk, sk in keys if len(pk) == 1 + BLOCK_SIZE and pk[:1] == b"g" and sk[:1] in (b"l", b"m")}
    assert logs <= kept
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
