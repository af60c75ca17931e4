"""Random sequences of create, edit, merge, undo and erase on a store match the pure replay, also with repeated requests and kills."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo.errors import ChangedSinceMerge, PersonMerged, PersonNotFound, UndoFirst
from peopleinfo.matching.merge_rules import Record
from peopleinfo.matching.merge_service import MergeRequest, MergeService
from peopleinfo.matching.record_events import created
from peopleinfo.people.idempotency import ClientKey
from peopleinfo.people.person import person_data_from_fields, utc_now
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.merge_sequences import FIELDS, KEEP, People
from tests.store_kinds import CACHED, ENCRYPTED, Clock, scan_all
from tests.stores.test_merges import fields_of

if TYPE_CHECKING:
    from peopleinfo.matching.merge_rules import Keep
    from peopleinfo.people.person import PersonData
    from peopleinfo.stores.service_store import OpenedStore

STORE_KINDS = ["sqlite", ENCRYPTED, CACHED, "ministack", "ministack+encrypted"]
REPOSITORY = Path(__file__).parents[2]
SURNAME = {"person_surname": "Model"}
WEIGHTS = {"create": 2, "edit": 8, "merge": 6, "undo": 5, "erase": 1}


def data_of(fields: dict[str, Any]) -> PersonData:
    return person_data_from_fields(SURNAME | fields)


class StoreSequence:
    """One random sequence on a store, and the same sequence on the pure functions."""

    def __init__(self, chance: Random, store: OpenedStore) -> None:
        self.chance = chance
        self.store = store
        self.merges = MergeService(store.merges, secret=store.secret, now=utc_now)
        self.people = People()
        self.ids: dict[str, str] = {}
        self.merge_ids: dict[str, str] = {}
        self.numbers = 0
        self.prefix = f"{chance.getrandbits(64):x}"

    async def play(self, steps: int) -> None:
        for _ in range(self.chance.randint(2, 4)):
            await self.create()
        for _ in range(steps):
            await self.step()
            await self.check()
        while self.people.merges:
            await self.undo()
        await self.check()

    async def step(self) -> None:
        (action,) = self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
        await getattr(self, action)()

    async def create(self) -> None:
        person = self.next("p")
        fields = {field: self.next("v") for field in self.chance.sample(FIELDS, self.chance.randint(1, 5))}
        self.people.records[person] = Record(person, 1, created(fields))
        self.ids[person] = (await self.store.create(data_of(fields))).person_id

    async def edit(self) -> None:
        if not (free := self.people.unmerged()):
            return
        person = self.chance.choice(free)
        after = dict(self.people.records[person].content)
        for field in self.chance.sample(FIELDS, self.chance.randint(1, 2)):
            if field in after and self.chance.random() < 0.2:
                del after[field]
            else:
                after[field] = self.chance.choice([self.next("e"), "repeated"])
        self.people.edit(person, after)
        current = await self.store.get(self.ids[person])
        await self.store.replace(current.person_id, data_of(after), expected=current.version)

    async def merge(self) -> None:
        free = self.people.unmerged()
        if len(free) < 2:
            return
        survivor, *merged = self.chance.sample(free, min(len(free), self.chance.randint(2, 3)))
        take = {field: self.chance.choice([survivor, *merged]) for field in FIELDS if self.chance.random() < 0.2}
        merge_id = self.next("m")
        ids = [self.ids[person] for person in (survivor, *merged)]
        taken = {field: self.ids[person] for field, person in take.items()}
        request = MergeRequest(ids[0], tuple(ids[1:]), await self.merges.versions(ids), taken)
        self.people.merge(merge_id, survivor, merged, take)
        for _ in range(self.chance.choice([1, 1, 2])):  # a repetition after a lost response
            result, _ = await self.merges.merge(request, key=ClientKey("model", f"{self.prefix} {merge_id}"))
        assert result.merge_id is not None
        self.merge_ids[merge_id] = result.merge_id

    async def undo(self) -> None:
        if not self.people.merges:
            return
        merge = self.chance.choice(list(self.people.merges.values()))
        keep: dict[str, Keep] = {}
        try:
            self.people.undo(merge.merge_id, keep)
        except UndoFirst as expected:
            await self.rejected(merge.merge_id, UndoFirst(self.merge_ids[expected.merge_id]))
            return
        except ChangedSinceMerge as expected:
            await self.rejected(merge.merge_id, expected)
            keep = {field: self.chance.choice(KEEP) for field in expected.fields}
            self.people.undo(merge.merge_id, keep)
        for _ in range(self.chance.choice([1, 1, 2])):
            await self.merges.undo(self.merge_ids[merge.merge_id], keep=keep)

    async def rejected(self, merge_id: str, expected: UndoFirst | ChangedSinceMerge) -> None:
        """Check that the store rejects the undo of a merge with the same error."""
        with pytest.raises(type(expected)) as error:
            await self.merges.undo(self.merge_ids[merge_id], keep={})
        assert vars(error.value) == vars(expected)

    async def erase(self) -> None:
        if len(self.people.records) < 3:
            return
        person = self.chance.choice(list(self.people.records))
        erased = self.people.erase(person)
        await self.store.delete(self.ids[person])
        for each in erased:
            with pytest.raises(PersonNotFound) as error:
                await self.store.get(self.ids[each])
            assert not isinstance(error.value, PersonMerged)

    async def check(self) -> None:
        for person, record in self.people.records.items():
            member = await self.merges.before_merge(self.ids[person])
            assert list(fields_of(member).items()) == list((SURNAME | record.content).items()), person
            merge = self.people.links.of_merged(person)
            if merge is None:
                assert await self.store.get(self.ids[person]) == member
            else:
                with pytest.raises(PersonMerged) as error:
                    await self.store.get(self.ids[person])
                assert error.value.merged_into == self.ids[merge.survivor]

    def next(self, prefix: str) -> str:
        self.numbers += 1
        return f"{prefix}{self.numbers}"


@pytest.mark.parametrize("seed", range(3))
async def test_random_sequences_on_a_store_match_the_replay(store: OpenedStore, clock: Clock, seed: int) -> None:
    await StoreSequence(Random(seed), store).play(12)


async def test_hundred_random_sequences_match_the_replay(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "people.db", now=utc_now) as store:
        for seed in range(100):
            await StoreSequence(Random(seed), store).play(14)


@pytest.mark.parametrize("seed", range(4))
async def test_merges_and_undos_survive_a_kill(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "people.db"
    acknowledged = last_state(path, seed, lines=30 + 7 * seed)
    async with open_sqlite(path, now=utc_now) as store:
        merges = MergeService(store.merges, secret=store.secret, now=utc_now)
        states = {person: await state_of(merges, person) for person in acknowledged}
        changed = [person for person, state in states.items() if state and state != acknowledged[person]]
        assert len(changed) <= 3, "more than the operation in progress was applied"
        assert not (changed and None in states.values()), "an erasure was applied in part"
        members = await store.merges.read_members(list(acknowledged))
        for member in members:  # no record is half merged
            if member and member.merge_id:
                assert (await merges.get(member.merge_id)).undone_at is None
                assert member.merged_into in await store.merge_group(member.record.person_id)
        current = {body[14:46].decode() for body in await scan_all(store)}
        assert {member.record.person_id for member in members if member and not member.merge_id} <= current


def last_state(path: Path, seed: int, lines: int) -> dict[str, Any]:
    """Run this module as a process, kill it after some lines, and return the last state that it printed."""
    command = [sys.executable, "-m", "tests.stores.test_merge_model", str(path), str(seed)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        output = b"".join(process.stdout.readline() for _ in range(lines))
        process.kill()
        output += process.stdout.read()
        assert process.wait() == -signal.SIGKILL
    complete = output[: output.rindex(b"\n")].splitlines()
    state: dict[str, Any] = json.loads(complete[-1])
    return state


async def state_of(merges: MergeService, person_id: str) -> list[Any] | None:
    """Return the fields of a record and the id of its merge, None for an erased one."""
    (member,) = await merges._store.read_members([person_id])
    return [list(map(list, member.fields.items())), member.merge_id] if member else None


async def write_forever(path: Path, seed: int) -> None:
    """Play sequences and print the state after each step; a test kills the process."""
    async with open_sqlite(path, now=utc_now) as store:
        while True:
            sequence = StoreSequence(Random(seed), store)
            await sequence.create()
            await sequence.create()
            for _ in range(200):
                await sequence.step()
                people = {
                    sequence.ids[person]: await state_of(sequence.merges, sequence.ids[person])
                    for person in sequence.people.records
                }
                sys.stdout.write(json.dumps(people) + "\n")
                sys.stdout.flush()
            seed += 1_000


if __name__ == "__main__":
    asyncio.run(write_forever(Path(sys.argv[1]), int(sys.argv[2])))
