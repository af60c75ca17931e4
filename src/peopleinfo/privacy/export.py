"""Subject access: the export of all data about one person (GDPR, article 15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from peopleinfo.people.service import PeopleService
    from peopleinfo.privacy.audit import AuditLog


async def export_personal_data(people: PeopleService, audit: AuditLog | None, person_id: str) -> bytes:
    """Return all data about a person as JSON: the record and its lines of the audit log. Raises PersonNotFound, AuditUnavailable."""
    record = await people.get(person_id)
    events = await audit.events_for(person_id) if audit else None
    section: dict[str, object] = {
        "availability": "disabled" if audit is None else "external" if events is None else "included"
    }
    if events is not None:
        section |= {"events": [msgspec.Raw(line) for line in events.lines], "omitted": events.omitted}
    return strict_json.encode({"person": msgspec.Raw(record.body), "audit": section})
