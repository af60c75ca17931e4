"""Random sequences of create, edit, merge, undo, erase and decide, checked against a model after every step.

The model keeps a log for each field of each record. It shares no code with the replay of events. `play` raises AssertionError at the first difference.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo.errors import ChangedSinceMerge, PersonMerged, UndoFirst
from peopleinfo.matching.duplicate_links import Link
from peopleinfo.matching.merge_rules import Keep, Merge, Record, is_same_merge, plan_merge, plan_undo
from peopleinfo.matching.record_events import created, edited
from peopleinfo.matching.reviewer_decisions import are_different, equal_identifiers
from tests.merge_graph import Merges

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from peopleinfo.matching.duplicate_links import LinkState
    from peopleinfo.matching.scoring import Evidence

FIELDS: Final = tuple(f"field{number}" for number in range(6))
KEEP: Final[tuple[Keep, ...]] = ("survivor", "merged", "both")
ABSENT: Final = "absent"


def decide(a: str, b: str, state: LinkState, evidence: Iterable[Evidence] = ()) -> Link:
    """Return the link of two records after a decision, the same for both orders."""
    first, second = sorted((a, b))
    evidence = tuple(evidence)
    identifiers = equal_identifiers(evidence)
    return Link(
        first=first,
        second=second,
        state=state,
        grade="probable",
        score=0.9,
        relatives=0,
        evidence=evidence,
        identifiers=identifiers,
    )


class People:
    """The records and merges of a store in memory, changed by the pure functions under test."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.merges: dict[str, Merge] = {}
        self.undone: set[str] = set()
        self.decisions: list[Link] = []

    @property
    def links(self) -> Merges:
        return Merges(self.merges.values())

    def unmerged(self) -> list[str]:
        return [person for person in self.records if not self.links.of_merged(person)]

    def edit(self, person: str, after: dict[str, Any]) -> None:
        if merge := self.links.of_merged(person):
            raise PersonMerged(self.links.survivor(person), merge.merge_id)
        record = self.records[person]
        self.records[person] = record._replace(version=record.version + 1, events=edited(record.events, after))

    def merge(self, merge_id: str, survivor: str, merged: list[str], take: dict[str, str]) -> None:
        if (known := self.merges.get(merge_id)) and is_same_merge(known, survivor, merged):
            return
        others = [self.records[person] for person in merged]
        plan = plan_merge(merge_id, self.records[survivor], others, self.links, take=take)
        self.records[survivor] = plan.survivor
        self.merges[merge_id] = plan.merge

    def undo(self, merge_id: str, keep: dict[str, Keep]) -> None:
        if merge_id in self.undone:
            return
        merge = self.merges[merge_id]
        merged = [self.records[person] for person in merge.merged]
        plan = plan_undo(merge, self.records[merge.survivor], merged, self.links, keep)
        self.records |= {record.person_id: record for record in (plan.survivor, *plan.merged)}
        self.undone.add(merge_id)
        del self.merges[merge_id]

    def erase(self, person: str) -> frozenset[str]:
        erased = self.links.group(person)
        self.records = {each: record for each, record in self.records.items() if each not in erased}
        self.merges = {each: merge for each, merge in self.merges.items() if merge.survivor not in erased}
        return erased


class Logged(NamedTuple):
    """A value of a field, `ABSENT` for a removal, and the merge that took it; "" for an edit."""

    value: str
    merge_id: str


class Model:
    """The expected contents: for each record and field, the values that it had, in their order."""

    def __init__(self) -> None:
        self.logs: dict[str, dict[str, list[Logged]]] = {}

    def content(self, person: str) -> dict[str, str]:
        last = {field: log[-1].value for field, log in self.logs[person].items() if log}
        return {field: value for field, value in last.items() if value != ABSENT}

    def log(self, person: str, field: str, value: str, merge_id: str = "") -> None:
        self.logs[person][field].append(Logged(value, merge_id))

    def merge(self, merge: Merge, take: dict[str, str]) -> None:
        contents = {person: self.content(person) for person in (merge.survivor, *merge.merged)}
        for field in FIELDS:
            first = next((person for person in contents if field in contents[person]), merge.survivor)
            value = contents[take.get(field, first)].get(field, ABSENT)
            if value != contents[merge.survivor].get(field, ABSENT):
                self.log(merge.survivor, field, value, merge.merge_id)

    def undo(self, merge: Merge, sources: dict[str, str], keep: dict[str, Keep]) -> set[str]:
        """Undo a merge and return the fields that needed a decision."""
        undecided = set()
        for field, log in self.logs[merge.survivor].items():
            later = [entry for entry, origin in _origins(log) if not entry.merge_id and origin == merge.merge_id]
            rest = [entry for entry in log if entry.merge_id != merge.merge_id]
            if later:
                undecided.add(field)
                if keep.get(field) == "merged":
                    rest = [entry for entry in rest if not any(entry is each for each in later)]
                if keep.get(field) in ("merged", "both"):
                    self.log(sources[field], field, later[-1].value)
            self.logs[merge.survivor][field] = rest
        return undecided


def _origins(log: list[Logged]) -> list[tuple[Logged, str]]:
    """Return each entry with the latest merge at or before it."""
    found, origin = [], ""
    for entry in log:
        origin = entry.merge_id or origin
        found.append((entry, origin))
    return found


class Sequence:
    """One random sequence, applied to the people and to the model."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.people, self.model = People(), Model()
        self.done: Counter[str] = Counter()
        self.sources: dict[str, dict[str, str]] = {}
        self._number = 0

    def play(self, steps: int) -> None:
        """Apply random steps, then undo all remaining merges; check after every step."""
        for _ in range(self.chance.randint(2, 5)):
            self.create()
        actions = (
            self.create,
            self.edit,
            self.edit,
            self.edit,
            self.merge,
            self.merge,
            self.undo,
            self.erase,
            self.decide,
        )
        weights = (2, 4, 4, 4, 6, 6, 6, 1, 2)
        for _ in range(steps):
            self.chance.choices(actions, weights)[0]()
            self.check()
        while self.people.merges:
            self.undo()
            self.check()

    def create(self) -> None:
        person = self._next("p")
        fields = {field: self._next(f"{person}.") for field in self.chance.sample(FIELDS, self.chance.randint(1, 5))}
        self.people.records[person] = Record(person, 1, created(fields))
        self.model.logs[person] = defaultdict(list)
        for field, value in fields.items():
            self.model.log(person, field, value)
        self.done["create"] += 1

    def edit(self) -> None:
        if not self.people.records:
            return
        person = self.chance.choice(list(self.people.records))
        after = dict(self.people.records[person].content)
        changed = {}
        for field in self.chance.sample(FIELDS, self.chance.randint(1, 3)):
            changed[field] = ABSENT if field in after and self.chance.random() < 0.2 else self._next("edit")
        after = {field: value for field, value in (after | changed).items() if value != ABSENT}
        try:
            self.people.edit(person, after)
        except PersonMerged:
            self.done["rejected edit"] += 1
            return
        for field, value in changed.items():
            self.model.log(person, field, value)
        self.done["edit"] += 1

    def merge(self) -> None:
        free = self.people.unmerged()
        if len(free) < 2:
            return
        survivor, *merged = self.chance.sample(free, min(len(free), self.chance.randint(2, 3)))
        take = {field: self.chance.choice([survivor, *merged]) for field in FIELDS if self.chance.random() < 0.2}
        merge_id = self._next("m")
        contents = {person: self.model.content(person) for person in (survivor, *merged)}
        for _ in range(2):  # the second request repeats the first one
            self.people.merge(merge_id, survivor, merged, take)
        self.model.merge(self.people.merges[merge_id], take)
        firsts = {field: next((p for p in merged if field in contents[p]), merged[0]) for field in FIELDS}
        chosen = {field: p for field, p in take.items() if p != survivor and field in contents[p]}
        self.sources[merge_id] = firsts | chosen | {f: merged[0] for f, p in take.items() if f not in contents[p]}
        self.done["merge"] += 1

    def undo(self) -> None:
        if not self.people.merges:
            return
        merge = self.chance.choice(list(self.people.merges.values()))
        keep: dict[str, Keep] = {}
        undecided: set[str] = set()
        try:
            self.people.undo(merge.merge_id, keep)
        except UndoFirst as error:
            outermost = self.people.merges[error.merge_id]
            self.done["rejected undo"] += outermost.survivor == self.people.links.survivor(merge.survivor)
            return
        except ChangedSinceMerge as error:
            undecided = set(error.fields)
            keep = {field: self.chance.choice(KEEP) for field in error.fields}
            self.people.undo(merge.merge_id, keep)
        assert self.model.undo(merge, self.sources[merge.merge_id], keep) == undecided
        self.people.undo(merge.merge_id, {})  # a repetition has no effect
        self.done["undo with decision" if keep else "undo"] += 1

    def erase(self) -> None:
        if len(self.people.records) < 3:
            return
        person = self.chance.choice(list(self.people.records))
        erased = self.people.erase(person)
        assert person in erased
        for each in erased:
            del self.model.logs[each]
        stored = repr([record.events for record in self.people.records.values()])
        assert not any(f"'{each}." in stored for each in erased), "a value of an erased record remains"
        self.done["erase"] += 1

    def decide(self) -> None:
        if len(self.people.records) > 1:
            a, b = self.chance.sample(list(self.people.records), 2)
            self.people.decisions.append(decide(a, b, "different"))
            self.done["decide"] += 1

    def check(self) -> None:
        links = self.people.links
        for person, record in self.people.records.items():
            assert record.content == self.model.content(person), person
            assert len(links.chain(person)) <= len(self.people.merges)
        groups = [links.group(person) for person in self.people.unmerged()]
        assert sorted(person for group in groups for person in group) == sorted(self.people.records)
        self._check_decisions(groups)

    def _check_decisions(self, groups: list[frozenset[str]]) -> None:
        links = self.people.links
        decided = {frozenset((each.first, each.second)) for each in self.people.decisions}
        for ours, theirs in combinations(groups, 2):
            expected = any(frozenset((a, b)) in decided for a in ours for b in theirs)
            for a, b in ((min(ours), min(theirs)), (max(theirs), max(ours))):
                assert are_different(links.group(a), links.group(b), self.people.decisions, ()) == expected

    def _next(self, prefix: str) -> str:
        self._number += 1
        return f"{prefix}{self._number}"


def play(chance: Random, steps: int = 14) -> Counter[str]:
    """Play one sequence and return how often each operation was applied."""
    sequence = Sequence(chance)
    sequence.play(steps)
    return sequence.done
