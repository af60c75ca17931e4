"""Subject access: the export of all data about one person (GDPR, article 15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from peopleinfo.people.history_service import HistoryService
    from peopleinfo.privacy.audit import AuditLog


async def export_personal_data(history: HistoryService, audit: AuditLog | None, person_id: str) -> bytes:
    """Return all data about a person as JSON: the record, its earlier versions and its lines of the audit log.

    Raises PersonNotFound, AuditUnavailable.
    """
    *earlier, current = [version async for version in history.versions(person_id)]
    versions = [
        {"version": version, "by": origin.principal, "operation": origin.operation, "person": msgspec.Raw(body)}
        for version, origin, body in earlier
    ]
    events = await audit.events_for(person_id) if audit else None
    section: dict[str, object] = {
        "availability": "disabled" if audit is None else "external" if events is None else "included"
    }
    if events is not None:
        section |= {"events": [msgspec.Raw(line) for line in events.lines], "omitted": events.omitted}
    return strict_json.encode({"person": msgspec.Raw(current.body), "history": versions, "audit": section})
