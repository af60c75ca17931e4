"""Deletion of people, with or without a trash, and erasure."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from peopleinfo.errors import PersonNotFound, VersionConflict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from peopleinfo.people.preconditions import Precondition
    from peopleinfo.people.store import PersonStore
    from peopleinfo.people.trash import Trash


class Deletion:
    """Deletes and erases the people of a store. `trash` takes the deleted people if it is on."""

    def __init__(self, store: PersonStore, trash: Trash | None) -> None:
        self._store = store
        self._trash = trash
        self.has_trash = trash is not None and trash.is_on

    async def delete(
        self, person_id: str, *, precondition: Precondition | None = None, principal: str | None = None
    ) -> None:
        """Delete a person if `precondition` accepts the current record: move it to the trash, or erase it if the trash is off.

        Raises PersonNotFound and the errors of `precondition`.
        """
        if self._trash is not None and self._trash.is_on:
            await self._remove(person_id, precondition, partial(self._trash.add, principal=principal))
        else:
            await self._remove(person_id, precondition, self._store.delete)

    async def erase(self, person_id: str, *, precondition: Precondition | None = None) -> None:
        """Erase a person if `precondition` accepts the current record, also from the trash.

        Raises PersonNotFound and the errors of `precondition`.
        """
        for is_last in (False, True):  # the person may be restored meanwhile
            try:
                await self._remove(person_id, precondition, self._store.delete)
            except PersonNotFound:
                if self._trash is None or is_last:
                    raise
                with suppress(PersonNotFound):
                    await self._trash.erase(person_id, precondition=precondition)
                    return
            else:
                return

    async def _remove(
        self, person_id: str, precondition: Precondition | None, remove: Callable[..., Awaitable[None]]
    ) -> None:
        while True:
            expected = None
            if precondition is not None:
                record = await self._store.get(person_id)
                precondition(record)
                expected = record.version
            with suppress(VersionConflict):  # after a concurrent change, evaluate the precondition again
                await remove(person_id, expected=expected)
                return
