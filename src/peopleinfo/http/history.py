"""/v1/people/{person_id}/history and /v1/people/{person_id}/restore: the versions of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from peopleinfo.errors import FieldError, InvalidSearch, VersionNotFound
from peopleinfo.http import etags
from peopleinfo.http.bodies import read_json
from peopleinfo.http.etags import EvaluatesConditions
from peopleinfo.http.memory_budget import RESPONSES
from peopleinfo.http.middleware.audit import audit_of
from peopleinfo.http.responses import set_person, set_private
from peopleinfo.http.search_params import MAX_VERSION, parse_number, parse_page
from peopleinfo.people import strict_json
from peopleinfo.people.field_access import redact

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.http.cursors import Cursors
    from peopleinfo.people.history_service import HistoryService

_VERSION_SIZE: Final = 8  # bytes of a version in a cursor


class HistoryResource:
    """/v1/people/{person_id}/history: the versions of a person, oldest first."""

    def __init__(self, history: HistoryService, cursors: Cursors) -> None:
        self._history = history
        self._cursors = cursors

    async def on_get(self, req: Request, resp: Response, person_id: str) -> None:
        """Return a page of versions with the names of the changed fields."""
        principal = req.context.principal
        limit, cursor = parse_page(req.params)
        context = b"history " + person_id.encode()
        after = int.from_bytes(self._cursors.decode(cursor, context, principal.name)) if cursor else 0
        RESPONSES.require_room()
        versions, end = await self._history.summaries(
            person_id, after=after, limit=limit, hidden=principal.hidden_fields
        )
        next_cursor = self._cursors.encode(end.to_bytes(_VERSION_SIZE), context, principal.name) if end else None
        resp.data = strict_json.encode(
            {"versions": [version._asdict() for version in versions], "next_cursor": next_cursor}
        )
        set_private(resp)

    on_head = on_get


class VersionResource:
    """/v1/people/{person_id}/history/{version}: a person at a version."""

    def __init__(self, history: HistoryService) -> None:
        self._history = history

    async def on_get(self, req: Request, resp: Response, person_id: str, version: str) -> None:
        """Return the person at the version."""
        errors: list[FieldError] = []
        number = parse_number("version", version, 1, MAX_VERSION, errors)
        if errors:
            raise VersionNotFound(person_id)
        record = await self._history.version(person_id, number)
        hidden = req.context.principal.hidden_fields
        resp.data = redact(record.body, hidden) if hidden else record.body
        set_private(resp)

    on_head = on_get


class RestoreResource(EvaluatesConditions):
    """/v1/people/{person_id}/restore: store an earlier version again."""

    def __init__(self, history: HistoryService, *, body_timeout: float) -> None:
        self._history = history
        self._body_timeout = body_timeout

    async def on_post(self, req: Request, resp: Response, person_id: str) -> None:
        """Store the fields of an earlier version as a new version."""
        precondition = etags.read_of_change(req).require_record
        version = _parse_version(await read_json(req, seconds=self._body_timeout))
        if trail := audit_of(req):
            trail.record_intent()
        principal = req.context.principal.name
        record = await self._history.restore(person_id, version, precondition=precondition, principal=principal)
        set_person(resp, record)


def _parse_version(body: Any) -> int:
    """Return the version in the body of a restore. Raises InvalidSearch."""
    fields = body if isinstance(body, dict) else {}
    errors = [FieldError(f"/{name}", "is unknown; the only field is version") for name in fields if name != "version"]
    version = parse_number("/version", fields.get("version"), 1, MAX_VERSION, errors)
    if isinstance(fields.get("version"), str) or errors:
        raise InvalidSearch(errors or [FieldError("/version", "must be a number, not a string")])
    return version
