"""The trash: deleted people, which can be restored until they expire. A person is either stored or in the trash."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from peopleinfo.errors import IdentifierConflict, VersionConflict
from peopleinfo.people.field_access import visible_fields
from peopleinfo.people.fields import FIELDS
from peopleinfo.people.history import update_time
from peopleinfo.people.person import NAME_FIELDS, StoredPerson, decode_fields, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from peopleinfo.people.preconditions import Precondition

_REMEDY: Final = "correct or delete that person, then restore again"


class TrashedPerson(NamedTuple):
    """A person in the trash. The deletion created `version`; its time is the time of the update in `body`, the JSON of the record."""

    person_id: str
    version: int
    body: bytes
    deleted_by: str | None
    expires_at: datetime

    @property
    def record(self) -> StoredPerson:
        """The record at the version of the deletion."""
        return StoredPerson(self.person_id, self.version, self.body)


class TrashPage(NamedTuple):
    """People in the trash, the last deleted one first, and the position of the next page; None after the last page."""

    people: list[TrashedPerson]
    next: bytes | None


class TrashStore(Protocol):
    """The trash of a store. Each change is one transaction, so that a person is never stored in both places or in none.

    The reads and `restore` ignore expired people.
    """

    async def add(
        self,
        person_id: str,
        *,
        expected: int | None = None,
        expires_at: datetime,
        principal: str | None = None,
        deleted_at: datetime | None = None,
    ) -> None:
        """Move a person to the trash, out of every search. The deletion is a new version; the earlier ones remain in the history.

        `deleted_at` is the time of a deletion in another store, None for a new deletion.
        Raises PersonNotFound, VersionConflict unless at version `expected` (None: any version).
        """

    async def get(self, person_id: str) -> TrashedPerson:
        """Return a person in the trash. Raises PersonNotFound."""

    async def page(self, *, after: bytes | None, limit: int) -> TrashPage:
        """Return a page; it ends early with the person that brings it to `PAGE_SIZE` bytes."""

    async def restore(self, person_id: str, *, expected: int, principal: str | None = None) -> StoredPerson:
        """Move a person back from the trash, as a new version with the fields of the deleted one.

        Raises PersonNotFound, VersionConflict unless the version of the deletion is `expected`, and IdentifierConflict if another
        person has one of the unique identifiers.
        """

    async def erase(self, person_id: str, *, expected: int | None = None) -> None:
        """Erase a person in the trash, its history and every other copy of the record in the store.

        The feed reports `deleted` again, at the next version. Raises PersonNotFound, VersionConflict unless the version of the
        deletion is `expected` (None: any version).
        """

    async def expired(self, *, limit: int) -> list[tuple[str, int]]:
        """Return the id and the version of up to `limit` expired people."""


class Trash:
    """The operations on the trash."""

    def __init__(self, store: TrashStore, *, age: timedelta | None, now: Callable[[], datetime]) -> None:
        """`age` is the time after which deleted people expire; None: deletions erase, but earlier deletions can be undone."""
        self._store = store
        self._age = age
        self._now = now
        self.page = store.page

    @property
    def is_on(self) -> bool:
        """Whether deletions move people to the trash."""
        return self._age is not None

    async def add(self, person_id: str, *, expected: int | None, principal: str | None = None) -> None:
        """Move a person to the trash; see `TrashStore.add`. Requires that the trash is on."""
        expires_at = self._now() + (self._age or timedelta())
        await self._store.add(person_id, expected=expected, expires_at=expires_at, principal=principal)

    async def restore(self, person_id: str, *, principal: str | None = None) -> StoredPerson:
        """Move a person back from the trash. Raises PersonNotFound, IdentifierConflict."""
        while True:
            version = (await self._store.get(person_id)).version
            try:
                return await self._store.restore(person_id, expected=version, principal=principal)
            except VersionConflict:  # restored and deleted again meanwhile
                continue
            except IdentifierConflict as conflict:
                raise IdentifierConflict(conflict.field, conflict.person_id, remedy=_REMEDY) from conflict

    async def erase(self, person_id: str, *, precondition: Precondition | None = None) -> None:
        """Erase a person in the trash if `precondition` accepts it. Raises PersonNotFound and the errors of `precondition`."""
        while True:
            expected = None
            if precondition is not None:
                record = (await self._store.get(person_id)).record
                precondition(record)
                expected = record.version
            with suppress(VersionConflict):  # restored and deleted again meanwhile
                await self._store.erase(person_id, expected=expected)
                return


def summary(person: TrashedPerson, hidden: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the entry of a person in a list of the trash, with its names unless they are `hidden`."""
    fields = visible_fields(decode_fields(person.body), hidden)
    return {
        "person_id": person.person_id,
        **{name: fields[name] for name in FIELDS if name in NAME_FIELDS and name in fields},
        "version": person.version,
        "deleted_at": update_time(person.body),
        "deleted_by": person.deleted_by,
        "erased_after": timestamp(person.expires_at),
    }
