"""Operations on the history of a record and on the feed of changes, independent of the store and of the protocol."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from peopleinfo.errors import VersionConflict, VersionNotFound
from peopleinfo.people.field_access import redact
from peopleinfo.people.history import ChangeReader, Operation, Origin, VersionReader, summaries
from peopleinfo.people.person import StoredPerson, split_record
from peopleinfo.people.store import MAX_HIDDEN_PAGE, PAGE_SIZE, PersonStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from peopleinfo.people.history import ChangePage, PersonVersion, VersionSummary
    from peopleinfo.people.preconditions import Precondition


_PAGE_LIMIT: Final = 100
_PEOPLE_LIMIT: Final = 25  # records read at a time for a page of the feed


class HistoryStore(PersonStore, VersionReader, ChangeReader, Protocol):
    """The interfaces of a store with a history."""


class HistoryService:
    """The versions and the changes of the records in a store."""

    def __init__(self, store: HistoryStore) -> None:
        self._store = store

    async def summaries(
        self, person_id: str, *, after: int, limit: int, hidden: frozenset[str] = frozenset()
    ) -> tuple[list[VersionSummary], int | None]:
        """Return up to `limit` versions above `after`, and the version after which the next page starts.

        The fields of a summary do not include `hidden` fields, whose sizes do not affect the page. Raises PersonNotFound.
        """
        if hidden:
            limit = min(limit, MAX_HIDDEN_PAGE - 1)
        # Starts one version earlier, from which the first version of the page differs.
        page = await self._store.read_versions(person_id, after=max(0, after - 1), limit=limit + 1)
        first = page.versions[0] if page.versions else None
        previous = first if first is not None and first.version == after else None
        found = page.versions[1:] if previous else page.versions
        more = page.more or len(found) > limit
        return summaries(found[:limit], previous, hidden), found[:limit][-1].version if more else None

    async def versions(self, person_id: str, *, after: int = 0) -> AsyncIterator[PersonVersion]:
        """Yield all stored versions above `after`, oldest first; the last one is the current version. Raises PersonNotFound."""
        more = True
        while more:
            versions, more = await self._store.read_versions(person_id, after=after, limit=_PAGE_LIMIT)
            for version in versions:
                yield version
                after = version.version

    async def version(self, person_id: str, version: int) -> StoredPerson:
        """Return the record at a version. Raises PersonNotFound, VersionNotFound."""
        page = await self._store.read_versions(person_id, after=version - 1, limit=1)
        if not page.versions or page.versions[0].version != version:
            raise VersionNotFound(person_id)
        return StoredPerson(person_id, version, page.versions[0].body)

    async def restore(
        self,
        person_id: str,
        version: int,
        *,
        precondition: Precondition,
        principal: str | None,
        import_id: bytes | None = None,
    ) -> StoredPerson:
        """Store the fields of an earlier version as a new version, if `precondition` accepts the current record.

        `import_id` is the import that the restore undoes. Raises PersonNotFound, VersionNotFound and the errors of `precondition`.
        """
        while True:
            current = await self._store.get(person_id)
            precondition(current)
            data, _ = split_record(await self.version(person_id, version))
            origin = Origin(Operation.RESTORED, principal, import_id)
            with suppress(VersionConflict):  # after a concurrent change, evaluate the precondition again
                return await self._store.replace(
                    person_id, data, expected=current.version, current=current, origin=origin
                )

    async def changes(self, since: bytes | None, *, limit: int) -> ChangePage:
        """Return a page of the feed; see `ChangeReader.read_changes`. Raises ChangesExpired."""
        return await self._store.read_changes(since=since, limit=limit)

    async def changes_with_people(
        self, since: bytes, *, limit: int, hidden: frozenset[str] = frozenset()
    ) -> tuple[ChangePage, dict[str, bytes]]:
        """Return a page of the feed, and the current records of its people without `hidden` fields; deleted people are absent.

        The page ends early at `PAGE_SIZE` bytes of records. A record counts for each of its changes. Raises ChangesExpired.
        """
        while True:
            page = await self.changes(since, limit=limit)
            ids = [change.person_id for change in page.changes]
            people: dict[str, bytes] = {}
            size = 0
            for start in range(0, len(ids), _PEOPLE_LIMIT):
                group = ids[start : start + _PEOPLE_LIMIT]
                people |= await self._people(set(group) - people.keys(), hidden)
                size += sum(len(people.get(person_id, b"")) for person_id in group)
                if size >= PAGE_SIZE and start + _PEOPLE_LIMIT < len(ids):
                    limit = start + _PEOPLE_LIMIT  # the position after these changes is known only to the store
                    break
            else:
                return page, people

    async def _people(self, person_ids: Iterable[str], hidden: frozenset[str]) -> dict[str, bytes]:
        found = await self._store.get_many(sorted(person_ids))
        return {
            person.person_id: redact(person.body, hidden) if hidden else person.body
            for person in found
            if person is not None
        }
