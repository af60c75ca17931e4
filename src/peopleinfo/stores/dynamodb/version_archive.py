"""Reads and stores the histories of many people in the table."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from peopleinfo.errors import PersonNotFound
from peopleinfo.people.history import PersonVersion, VersionReader
from peopleinfo.people.store import PersonReader
from peopleinfo.people.version_archive import PersonHistory, replaced_versions
from peopleinfo.stores.dynamodb.client import ConditionFailed
from peopleinfo.stores.dynamodb.concurrency import gather_limited
from peopleinfo.stores.dynamodb.history import ItemPerson, origin_attributes, origin_of
from peopleinfo.stores.dynamodb.items import number
from peopleinfo.stores.dynamodb.record_writes import AT_VERSION

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from peopleinfo.people.history import HistoryLimits, Origin, VersionPage
    from peopleinfo.stores.dynamodb.client import TableClient
    from peopleinfo.stores.dynamodb.history import VersionItems
    from peopleinfo.stores.dynamodb.items import ItemKey
    from peopleinfo.stores.dynamodb.record_writes import Located

_PAGE: Final = 1_000  # versions
_SET_ORIGIN: Final = "SET made_by = :made_by, made_as = :made_as, made_in = :made_in"


class VersionedPeople(PersonReader, VersionReader, Protocol):
    """Reads people and their versions."""


class DynamoDBVersionArchive:
    """Implements `peopleinfo.people.version_archive.VersionArchive` on one table."""

    def __init__(
        self,
        table: TableClient,
        people: VersionedPeople,
        versions: VersionItems,
        locate: Callable[[ItemKey, str], Awaitable[Located | None]],
        limits: HistoryLimits,
        now: Callable[[], datetime],
        *last_versions: Callable[[str], Awaitable[tuple[ItemKey, list[PersonVersion]]]],
    ) -> None:
        """`locate` reads the current item of the record with a home key.

        Each of `last_versions` returns the versions of a record that is not current, which are not in its history.
        """
        self._table = table
        self._people = people
        self._versions = versions
        self._locate = locate
        self._last_versions = last_versions
        self._limits = limits
        self._now = now

    async def read_histories(self, person_ids: Sequence[str]) -> list[PersonHistory]:
        people = dict(zip(person_ids, await self._people.get_many(person_ids), strict=True))
        histories = await gather_limited(
            self._read(person) if isinstance(person, ItemPerson) else self._read_other(person_id)
            for person_id, person in people.items()
        )
        return [history for history in histories if history.versions]

    async def store_histories(self, histories: Sequence[PersonHistory]) -> None:
        people = await self._people.get_many([history.person_id for history in histories])
        await gather_limited(
            self._store(person, history)
            for person, history in zip(people, histories, strict=True)
            if isinstance(person, ItemPerson)
        )

    async def _read(self, person: ItemPerson) -> PersonHistory:
        if person.version == 1:
            current = PersonVersion(1, origin_of(person.item, 1), person.body)
            return PersonHistory(person.person_id, [current])
        with suppress(PersonNotFound):  # deleted since
            versions = await _read_all(partial(self._people.read_versions, person.person_id))
            return PersonHistory(person.person_id, versions)
        return PersonHistory(person.person_id, [])

    async def _read_other(self, person_id: str) -> PersonHistory:
        """Return the history of a person that is not current, without versions if it is unknown."""
        for last_versions in self._last_versions:
            with suppress(PersonNotFound):
                home, last = await last_versions(person_id)
                return PersonHistory(person_id, await _read_all(partial(self._versions.read, home, last)))
        return PersonHistory(person_id, [])

    async def _store(self, person: ItemPerson, history: PersonHistory) -> None:
        replaced = replaced_versions(history, person.version, self._limits, self._now())
        items = [await self._versions.item(person.home, *version) for version in replaced]
        await self._table.write_many(items, [])
        last = history.versions[-1]
        if last.version == person.version and last.origin != origin_of(person.item, person.version):
            await self._set_origin(person, last.origin)

    async def _set_origin(self, person: ItemPerson, origin: Origin) -> None:
        values = {f":{name}": value for name, value in origin_attributes(origin, 0).items() if name != "made_at"}
        values[":expected"] = number(person.version)
        if found := await self._locate(person.home, "version, moved_to"):
            with suppress(ConditionFailed):  # the record has changed since
                await self._table.update(found.item_key.key, _SET_ORIGIN, AT_VERSION, values)


async def _read_all(read: Callable[..., Awaitable[VersionPage]]) -> list[PersonVersion]:
    """Return the versions of all pages; `read` returns a page."""
    versions: list[PersonVersion] = []
    more = True
    while more:
        page, more = await read(after=versions[-1].version if versions else 0, limit=_PAGE)
        versions += page
    return versions
