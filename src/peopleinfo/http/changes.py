"""/v1/changes: the feed of changes, with long polling."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.http.bodies import wait_for_disconnect
from peopleinfo.http.memory_budget import RESPONSES
from peopleinfo.http.middleware.audit import audit_of
from peopleinfo.http.people import set_private
from peopleinfo.http.search_params import MAX_WAIT, parse_limit, parse_number
from peopleinfo.people import strict_json
from peopleinfo.people.field_access import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcon.asgi import Request, Response

    from peopleinfo.http.cursors import ChangeTokens
    from peopleinfo.http.shutdown import GracefulShutdown
    from peopleinfo.people.history import ChangePage
    from peopleinfo.people.history_service import HistoryService

_POLL_INTERVAL: Final = 0.5  # seconds between two reads of the feed while a request waits


class ChangesRequest(NamedTuple):
    """The parameters of a request."""

    since: str | None
    limit: int
    wait: int
    includes_person: bool


class ChangesResource:
    """/v1/changes: changes after a token."""

    def __init__(self, history: HistoryService, tokens: ChangeTokens, shutdown: GracefulShutdown) -> None:
        self._history = history
        self._tokens = tokens
        self._shutdown = shutdown

    async def on_get(self, req: Request, resp: Response) -> None:
        """Return the changes after a token; without a token, no changes and the current token."""
        request = parse_changes(req.params)
        RESPONSES.require_room()
        position = self._tokens.decode(request.since) if request.since is not None else None
        page = await self._wait(req, position, request)
        people = await self._people(page, req) if request.includes_person else {}
        if trail := audit_of(req):
            trail.set_ids(tuple(change.person_id for change in page.changes))
        changes = [change.to_dict() | people.get(change.person_id, {}) for change in page.changes]
        body = {"changes": changes, "next": self._tokens.encode(page.next), "more": page.more}
        resp.data = strict_json.encode(body)
        set_private(resp)

    on_head = on_get

    async def _wait(self, req: Request, position: bytes | None, request: ChangesRequest) -> ChangePage:
        """Return the next page; wait for a change until the time limit, a disconnect or the shutdown of the server."""
        page = await self._history.changes(position, limit=request.limit)
        if page.changes or position is None or not request.wait:
            return page
        deadline = monotonic() + request.wait
        disconnect = asyncio.ensure_future(wait_for_disconnect(req))
        try:
            while not (page.changes or self._shutdown.is_on or disconnect.done()) and monotonic() < deadline:
                await asyncio.wait([disconnect], timeout=min(_POLL_INTERVAL, deadline - monotonic()))
                page = await self._history.changes(page.next, limit=request.limit)
        finally:
            disconnect.cancel()
        return page

    async def _people(self, page: ChangePage, req: Request) -> dict[str, dict[str, Any]]:
        """Return the field `person` of each change by id: the current record; people that are deleted are absent."""
        hidden = req.context.principal.hidden_fields
        people = await self._history.people(change.person_id for change in page.changes)
        return {
            person_id: {"person": msgspec.Raw(redact(record.body, hidden) if hidden else record.body)}
            for person_id, record in people.items()
        }


def parse_changes(params: Mapping[str, Any]) -> ChangesRequest:
    """Parse the query parameters. Raises InvalidSearch with all errors."""
    errors: list[FieldError] = []
    limit = parse_limit(params.get("limit"), errors)
    wait = parse_number("wait", params.get("wait", "0"), 0, MAX_WAIT, errors)
    if params.get("include", "person") != "person":
        errors.append(FieldError("include", "must be person"))
    if errors:
        raise InvalidSearch(errors)
    return ChangesRequest(params.get("since"), limit, wait, "include" in params)
