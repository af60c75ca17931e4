"""Preconditions on the version during concurrent changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from peopleinfo.errors import PersonNotFound, VersionConflict
from tests.store_kinds import ALL_STORES, person_data

if TYPE_CHECKING:
    from collections.abc import Callable

    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.service import PeopleService

STORE_KINDS = ALL_STORES  # includes the encrypted table, which manages record keys itself


def require_one_of(*versions: int) -> Callable[[StoredPerson], None]:
    """Return a precondition that rejects other versions."""

    def require(record: StoredPerson) -> None:
        if record.version not in versions:
            raise VersionConflict(record.person_id, actual=record.version)

    return require


async def change_after_read(people: PeopleService, record: StoredPerson, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change the person just after it was read."""
    read = people._store.get

    async def get(person_id: str) -> StoredPerson:
        monkeypatch.undo()
        found = await read(person_id)
        await people._store.replace(person_id, person_data("Other"), expected=1)
        return found

    monkeypatch.setattr(people._store, "get", get)


async def test_change_is_applied_if_the_concurrent_version_is_listed_too(
    people: PeopleService, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = await people._store.create(person_data("Raced"))
    await change_after_read(people, created, monkeypatch)
    assert (await people.patch(created.person_id, {"note": "late"}, precondition=require_one_of(1, 2))).version == 3


async def test_change_is_rejected_if_the_version_is_outdated(
    people: PeopleService, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = await people._store.create(person_data("Raced"))
    await change_after_read(people, created, monkeypatch)
    with pytest.raises(VersionConflict):
        await people.patch(created.person_id, {"note": "late"}, precondition=require_one_of(1))


async def test_deletion_is_applied_if_the_concurrent_version_is_listed_too(
    people: PeopleService, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = await people._store.create(person_data("Raced"))
    await change_after_read(people, created, monkeypatch)
    await people.delete(created.person_id, precondition=require_one_of(1, 2))
    with pytest.raises(PersonNotFound):
        await people.get(created.person_id)


async def test_deletion_is_rejected_if_the_version_is_outdated(
    people: PeopleService, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = await people._store.create(person_data("Raced"))
    await change_after_read(people, created, monkeypatch)
    with pytest.raises(VersionConflict):
        await people.delete(created.person_id, precondition=require_one_of(1))
