"""Subject access: the export of all data about one person (GDPR, article 15)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from peopleinfo.errors import PersonNotFound
from peopleinfo.people import strict_json
from peopleinfo.people.history import update_time
from peopleinfo.people.person import timestamp

if TYPE_CHECKING:
    from peopleinfo.people.store import PersonReader
    from peopleinfo.people.trash import TrashStore
    from peopleinfo.people.version_archive import PersonHistory, VersionArchive
    from peopleinfo.privacy.audit import AuditLog


class PersonalDataExport:
    """Exports the data of a person that is current or in the trash, with all records that are merged into it."""

    def __init__(
        self, people: PersonReader, archive: VersionArchive, trash: TrashStore, audit: AuditLog | None
    ) -> None:
        self._people = people
        self._archive = archive
        self._trash = trash
        self._audit = audit

    async def document(self, person_id: str) -> bytes:
        """Return all data about a person as JSON: the record, its earlier versions and its lines of the audit log.

        Raises PersonNotFound, PersonMerged for a record that is merged into another one, AuditUnavailable.
        """
        survivor, *merged = await self._people.merge_group(person_id)
        histories = {one.person_id: one for one in await self._archive.read_histories([survivor, *merged])}
        if survivor != person_id or survivor not in histories:
            await self._people.get(person_id)  # raises PersonMerged for a merged record
            raise PersonNotFound(person_id)
        document = await self._record(histories[survivor]) | await self._deletion(survivor)
        records = [await self._record(histories[each]) for each in merged if each in histories]
        return strict_json.encode(document | ({"merged": records} if records else {}))

    async def _record(self, history: PersonHistory) -> dict[str, object]:
        *earlier, last = history.versions
        versions = [
            {"version": version, "by": origin.principal, "operation": origin.operation, "person": msgspec.Raw(body)}
            for version, origin, body in earlier
        ]
        return {
            "person": msgspec.Raw(last.body),
            "history": versions,
            "audit": await self._audit_section(history.person_id),
        }

    async def _deletion(self, person_id: str) -> dict[str, object]:
        """Return the deletion of a person in the trash as a section of the document; none for any other person."""
        with suppress(PersonNotFound):
            deleted = await self._trash.get(person_id)
            expiry = timestamp(deleted.expires_at)
            return {"deleted": {"at": update_time(deleted.body), "by": deleted.deleted_by, "erased_after": expiry}}
        return {}

    async def _audit_section(self, person_id: str) -> dict[str, object]:
        if self._audit is None:
            return {"availability": "disabled"}
        events = await self._audit.events_for(person_id)
        if events is None:
            return {"availability": "external"}
        lines = [msgspec.Raw(line) for line in events.lines]
        return {"availability": "included", "events": lines, "omitted": events.omitted}
