"""Model-based test: after any sequence of operations, each store returns what a dictionary would."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from peopleinfo.errors import (
    IdempotencyKeyConflict,
    IdempotentPersonDeleted,
    ImportAlreadyRunning,
    PersonNotFound,
    VersionConflict,
)
from peopleinfo.people import strict_json
from peopleinfo.people.idempotency import IDEMPOTENCY_TTL, IdempotencyKey
from peopleinfo.people.person import PersonData, StoredPerson, decode_fields, split_record, timestamp
from peopleinfo.people.store import Checkpoint
from peopleinfo.people.text_query import parse
from peopleinfo.people.text_ranking import Comparison, rank
from peopleinfo.people.text_search import PeopleSearch
from tests import dynamodb_servers
from tests.conftest import leaked_resources
from tests.store_kinds import CACHED, Clock, find_all, open_store, person_data, person_filter, scan_all

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from peopleinfo.people.store import Store
    from peopleinfo.stores.sqlite.store import SqliteStore

T = TypeVar("T")

# Spelling → surname key, listed instead of computed: prefixes of each other, equal keys, and distant scripts.
SURNAMES = {
    "Li": "li", "LI": "li", "Lî": "li", "Lin": "lin", "L'In": "lin", "Lind": "lind", "Líndt": "lindt",
    "Müller": "muller", "MULLER": "muller", "de la Cruz": "delacruz", "De-la  Cruz": "delacruz", "Ольга": "ольга",
    "林": "林", "\U0002000b田": "\U0002000b田",
}  # fmt: skip
NAMES = {"Ana": "ana", "ANA": "ana", "Aña": "ana", "Bo": "bo", "Li": "li"}
PREFIXES = {"L": "l", "lI": "li", "lin": "lin", "M": "m", "dé": "de", "о": "о", "林": "林", "\U0002000b": "\U0002000b"}
# Birthdate → the first and last day that it covers.
BORN = {
    "1990-02-11": ("1990-02-11", "1990-02-11"),
    "1990-02": ("1990-02-01", "1990-02-28"),
    "1990": ("1990-01-01", "1990-12-31"),
    "1991-01-01": ("1991-01-01", "1991-01-01"),
    "--02-11": None,
    "about 1990": None,  # POST /data accepts any text
}
DAYS = ["1989-12-31", "1990-01-01", "1990-02-11", "1990-02-12", "1990-03-01", "1990-12-31", "1991-01-01"]

surnames, names = st.sampled_from(sorted(SURNAMES)), st.sampled_from(sorted(NAMES))
born = st.none() | st.sampled_from(sorted(BORN))
details = st.builds(person_data, surnames, st.none() | names, born) | st.builds(person_data, st.none(), names, born)
limits = st.integers(1, 7)


class Refinement(NamedTuple):
    """The filters of a search besides the surname."""

    name: str | None
    born_from: str | None
    born_to: str | None
    match: str


refinements = st.builds(
    Refinement,
    st.none() | names,
    st.none() | st.sampled_from(DAYS),
    st.none() | st.sampled_from(DAYS),
    st.sampled_from(["folded", "exact"]),
)


@dataclass
class Expected:
    """The expected state of a record."""

    record: StoredPerson
    details: PersonData
    created_at: str
    updated_at: str
    imported: bool = False

    @property
    def surname(self) -> str:
        return self.details.person_surname or self.details.person_name or ""

    @property
    def key(self) -> str:
        return SURNAMES.get(self.surname) or NAMES[self.surname]

    def matches(self, filters: Refinement, surname: str | None = None, prefix: str | None = None) -> bool:
        name = self.details.person_name
        if filters.match == "exact":
            if surname is not None and self.surname != surname:
                return False
            if prefix is not None and not self.surname.startswith(prefix):
                return False
        if filters.name is not None and filters.match == "exact" and name != filters.name:
            return False
        if filters.name is not None and (name is None or NAMES[name] != NAMES[filters.name]):
            return False
        if filters.born_from is None and filters.born_to is None:
            return True
        days = BORN.get(self.details.person_birthdate or "")
        return days is not None and days[1] >= (filters.born_from or "") and days[0] <= (filters.born_to or "9999")


class SavedResponse(NamedTuple):
    """The response stored under an idempotency key."""

    content: bytes
    record: StoredPerson
    until: datetime


class Model(RuleBasedStateMachine):
    """Runs each operation on the store and on a dictionary. `self.people` is in the order of creation."""

    kind: str
    ids: Bundle[str] = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.people: dict[str, Expected] = {}
        self.responses: dict[int, SavedResponse] = {}
        self.progress = Checkpoint(b"i" * 32)
        self.runner = asyncio.Runner()
        self.opened = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()

    def teardown(self) -> None:
        self.run(self.opened.aclose())
        assert leaked_resources(Path(self.folder.name)) == []
        self.runner.close()
        self.folder.cleanup()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize()
    def open(self) -> None:
        opening = open_store(self.kind, Path(self.folder.name), self.clock)
        self.store: Store = self.run(self.opened.enter_async_context(opening))

    @rule()
    def reopen(self) -> None:
        self.run(self.opened.aclose())
        self.open()

    @rule(hours=st.sampled_from([1, 11, 25]))
    def advance_time(self, hours: int) -> None:
        self.clock.advance(hours=hours, milliseconds=1)

    @rule(target=ids, new=details)
    def create(self, new: PersonData) -> str:
        return self.add(self.run(self.store.create(new)), new)

    @rule(target=ids, key=st.integers(1, 2), new=st.sampled_from([person_data("Li", "Bo"), person_data("Lin", "Bo")]))
    def create_once(self, key: int, new: PersonData) -> Any:
        content = hashlib.sha256(strict_json.encode(new.to_dict())).digest()
        creation = self.store.create(new, idempotency_key=IdempotencyKey(bytes([key]) * 32, content))
        before = self.responses.get(key)
        if before is None or before.until <= self.clock.now():
            record = self.run(creation)
            self.responses[key] = SavedResponse(content, record, self.clock.now() + timedelta(seconds=IDEMPOTENCY_TTL))
            return self.add(record, new)
        if before.content != content:
            with pytest.raises(IdempotencyKeyConflict):
                self.run(creation)
        elif before.record.person_id not in self.people:
            with pytest.raises(IdempotentPersonDeleted):
                self.run(creation)
        else:
            assert self.run(creation) == before.record
        return multiple()

    @rule(target=ids, new=st.lists(details, max_size=5))
    def bulk_create(self, new: list[PersonData]) -> Any:
        created = self.run(self.store.create_many(new))
        return multiple(*(self.add_bulk_created(person_id, one) for person_id, one in zip(created, new, strict=True)))

    @rule(target=ids, new=st.lists(details, max_size=3), rejected=st.integers(0, 3), is_expected=st.booleans())
    def bulk_create_with_checkpoint(self, new: list[PersonData], rejected: int, *, is_expected: bool) -> Any:
        rows = max(1, len(new) + rejected)  # each person is in its own row, and a store may derive its key from the row
        reached = Checkpoint(
            self.progress.operation_id, self.progress.rows + rows, self.progress.stored + len(new), bytes([rows])
        )
        if not is_expected:
            with pytest.raises(ImportAlreadyRunning):
                self.run(self.store.create_many(new, checkpoint=(reached, reached)))
            return multiple()
        created = self.run(self.store.create_many(new, checkpoint=(self.progress, reached)))
        self.progress = reached
        for person_id, one in zip(created, new, strict=True):
            self.add_bulk_created(person_id, one)
            self.people[person_id].imported = True
        return multiple(*created)

    @rule(person_id=ids, new=details, behind=st.sampled_from([0, 0, 0, 1, -1]))
    def replace(self, person_id: str, new: PersonData, behind: int) -> None:
        expected = self.people.get(person_id)
        if expected is None:
            with pytest.raises(PersonNotFound):
                self.run(self.store.replace(person_id, new, expected=1))
        elif behind:
            with pytest.raises(VersionConflict) as conflict:
                self.run(self.store.replace(person_id, new, expected=expected.record.version - behind))
            assert conflict.value.actual == expected.record.version
        else:
            record = self.run(self.store.replace(person_id, new, expected=expected.record.version))
            assert record.version == expected.record.version + 1
            self.people[person_id] = Expected(
                record, new, expected.created_at, timestamp(self.clock.now()), expected.imported
            )

    @rule(person_id=consumes(ids), version=st.sampled_from(["any", "current"]))
    def delete(self, person_id: str, version: str) -> None:
        expected = self.people.pop(person_id, None)
        if expected is None:
            with pytest.raises(PersonNotFound):
                self.run(self.store.delete(person_id))
        else:
            self.run(self.store.delete(person_id, expected=expected.record.version if version == "current" else None))
        with pytest.raises(PersonNotFound):
            self.run(self.store.get(person_id))

    @rule(person_id=ids)
    def delete_another_version(self, person_id: str) -> None:
        if expected := self.people.get(person_id):
            with pytest.raises(VersionConflict):
                self.run(self.store.delete(person_id, expected=expected.record.version + 1))

    @rule(person_id=ids)
    def get(self, person_id: str) -> None:
        if (expected := self.people.get(person_id)) is None:
            with pytest.raises(PersonNotFound):
                self.run(self.store.get(person_id))
            return
        record = self.run(self.store.get(person_id))
        assert record == expected.record
        times = {"created_at": expected.created_at, "updated_at": expected.updated_at}
        data, server_fields = split_record(record)
        assert data == expected.details
        assert server_fields == {"person_id": person_id, "version": strict_json.parse(b"%d" % record.version), **times}

    @rule(surname=surnames, limit=limits)
    def find_by_surname(self, surname: str, limit: int) -> None:
        found = self.run(find_all(self.store, person_filter(surname=surname), limit=limit))
        self.assert_order(
            found,
            [expected for expected in self.people.values() if expected.key == SURNAMES[surname]],
        )

    @rule(surname=surnames, filters=refinements, limit=limits)
    def find_by_surname_and_filters(self, surname: str, filters: Refinement, limit: int) -> None:
        found = self.run(find_all(self.store, person_filter(surname=surname, **filters._asdict()), limit=limit))
        matching = [
            expected
            for expected in self.people.values()
            if expected.key == SURNAMES[surname] and expected.matches(filters, surname=surname)
        ]
        self.assert_order(found, matching)

    @rule(prefix=st.sampled_from(sorted(PREFIXES)), filters=refinements, limit=limits)
    def find_by_prefix(self, prefix: str, filters: Refinement, limit: int) -> None:
        found = self.run(find_all(self.store, person_filter(surname_prefix=prefix, **filters._asdict()), limit=limit))
        matching = [
            expected
            for expected in self.people.values()
            if expected.key.startswith(PREFIXES[prefix]) and expected.matches(filters, prefix=prefix)
        ]
        self.assert_order(found, sorted(matching, key=lambda expected: expected.key.encode()))

    @precondition(lambda self: self.kind != CACHED)  # a cache has no part in this search
    @rule(text=surnames | names)
    def search_by_text(self, text: str) -> None:
        index = cast("SqliteStore", self.store).search
        found = self.run(PeopleSearch(index).find(parse(text), limit=1_000, forgiving=False))
        comparison = Comparison(parse(text), (), forgiving=False)
        compared = [comparison.match(decode_fields(expected.record.body)) for expected in self.people.values()]
        ranked = rank(match for match in compared if match is not None)
        assert [person.fields["person_id"] for person in found.people] == [match.person_id for match in ranked]

    @rule(filters=refinements, limit=limits, segments=st.integers(1, 4))
    def scan(self, filters: Refinement, limit: int, segments: int) -> None:
        filtered = person_filter(**filters._asdict())
        found = self.run(scan_all(self.store, filtered, limit=limit, segments=segments))
        matching = [expected.record.body for expected in self.people.values() if expected.matches(filters)]
        assert sorted(found) == sorted(matching)

    @rule(
        new=details,
        prefix=st.none() | st.sampled_from(["L", "M"]),
        limit=st.integers(1, 3),
        deletions=st.lists(st.integers(0, 99), max_size=5),
    )
    def page_during_changes(self, new: PersonData, prefix: str | None, limit: int, deletions: list[int]) -> None:
        initial = {
            person_id
            for person_id, expected in self.people.items()
            if prefix is None or expected.key.startswith(PREFIXES[prefix])
        }
        found: list[str] = []
        after: bytes | None = None
        for changes in range(1_000):
            if prefix is None:
                page = self.run(self.store.scan(after=after, limit=limit))
            else:
                page = self.run(self.store.find(person_filter(surname_prefix=prefix), after=after, limit=limit))
            found += [str(strict_json.parse(body)["person_id"]) for body in page.people]
            if (after := page.next) is None:
                break
            if self.people and changes < len(deletions):
                deleted = list(self.people.values())[deletions[changes] % len(self.people)]
                self.run(self.store.delete(deleted.record.person_id))
                del self.people[deleted.record.person_id]
                self.add(self.run(self.store.create(new)), new)
        assert after is None, "the pages did not end"
        assert len(found) == len(set(found)), "a record was returned twice"
        assert initial & self.people.keys() <= set(found), "an unchanged record was skipped"

    @precondition(lambda self: hasattr(self, "store"))
    @invariant()
    def checkpoint_is_unchanged(self) -> None:
        assert self.run(self.store.read_checkpoint(self.progress.operation_id)) == self.progress

    def add(self, record: StoredPerson, new: PersonData) -> str:
        now = timestamp(self.clock.now())
        assert record.version == 1
        assert record.person_id not in self.people
        self.people[record.person_id] = Expected(record, new, now, now)
        return record.person_id

    def assert_order(self, found: list[bytes], matching: list[Expected]) -> None:
        """Check the search result. Imported records may precede records created after the import started."""
        by_body = {expected.record.body: expected for expected in matching}
        assert sorted(found) == sorted(by_body)
        keys = [by_body[body].key.encode() for body in found]
        assert keys == sorted(keys)
        for imported in (False, True):
            assert [body for body in found if by_body[body].imported is imported] == [
                expected.record.body for expected in matching if expected.imported is imported
            ]

    def add_bulk_created(self, person_id: str, new: PersonData) -> str:
        return self.add(self.run(self.store.get(person_id)), new)


@pytest.mark.needs("prefixes are fresh")
def test_store_behaves_like_a_dictionary(store_kind: str) -> None:
    machine = type("Model", (Model,), {"kind": store_kind})
    # Both emulators run the code of one store, and so do three kinds the code of the other: together each gets at least `max_examples`.
    fewer = settings(max_examples=settings().max_examples // (2 if store_kind in dynamodb_servers.KINDS else 1))
    run_state_machine_as_test(machine, settings=fewer)


@pytest.mark.parametrize("spellings", [SURNAMES, NAMES, PREFIXES])
def test_surname_keys_of_the_model_match_folding(spellings: dict[str, str]) -> None:
    assert {spelling: person_filter(surname=spelling).surname_key for spelling in spellings} == spellings
