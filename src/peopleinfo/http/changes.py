"""/v1/changes: the feed of changes, with long polling."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from peopleinfo.auth.principal import Scope
from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.http.falcon_app import wait_for_disconnect
from peopleinfo.http.memory_budget import RESPONSES
from peopleinfo.http.middleware.audit import audit_of
from peopleinfo.http.middleware.auth import credential_of
from peopleinfo.http.responses import set_private
from peopleinfo.http.search_params import parse_limit, parse_number
from peopleinfo.people import strict_json
from peopleinfo.people.change_watch import MAX_WAIT, ChangeWatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcon.asgi import Request, Response

    from peopleinfo.http.cursors import ChangeTokens
    from peopleinfo.http.services import Services
    from peopleinfo.people.history import ChangePage

    _Found = tuple[ChangePage, dict[str, bytes]]

_MAX_PAGES: Final = 8  # pages under construction; others wait


class ChangesRequest(NamedTuple):
    """The parameters of a request."""

    since: str | None
    limit: int
    wait: int
    includes_person: bool


class ChangesResource:
    """/v1/changes: changes after a token."""

    def __init__(self, services: Services, tokens: ChangeTokens) -> None:
        self._history = services.history
        self._shutdown = services.shutdown
        self._watch = ChangeWatch(services.history, lambda: services.shutdown.is_on)
        self._authenticator = services.authenticator
        self._sessions = services.sessions
        self._tokens = tokens
        self._pages = asyncio.Semaphore(_MAX_PAGES)

    async def on_get(self, req: Request, resp: Response) -> None:
        """Return the changes after a token; without a token, no changes and the current token."""
        request = parse_changes(req.params)
        position = self._tokens.decode(request.since) if request.since is not None else None
        page, people = await self._wait(req, position, request)
        if trail := audit_of(req):
            trail.set_ids(tuple(change.person_id for change in page.changes))
        changes = [
            change.to_dict() | ({"person": msgspec.Raw(people[change.person_id])} if change.person_id in people else {})
            for change in page.changes
        ]
        body = {"changes": changes, "next": self._tokens.encode(page.next), "more": page.more}
        resp.data = strict_json.encode(body)
        set_private(resp)

    on_head = on_get

    async def _wait(self, req: Request, position: bytes | None, request: ChangesRequest) -> _Found:
        """Return the next page; wait for a change until the time limit, a disconnect or the shutdown of the server."""
        signal = self._watch.signal
        page, people = await self._read(req, position, request)
        if page.changes or position is None or not request.wait:
            return page, people
        deadline = monotonic() + request.wait
        disconnect = asyncio.ensure_future(wait_for_disconnect(req))
        try:
            while not (page.changes or self._shutdown.is_on or disconnect.done()) and monotonic() < deadline:
                await self._watch.wait(signal, page.next, cancel=disconnect, seconds=deadline - monotonic())
                await self._check_access(req)
                signal = self._watch.signal
                page, people = await self._read(req, page.next, request)
        finally:
            disconnect.cancel()
        return page, people

    async def _check_access(self, req: Request) -> None:
        """Raise NotAuthenticated or AccessDenied if the credential or the session has ended during the wait."""
        principal = await self._authenticator.authenticate(await credential_of(req, self._sessions))
        principal.require_scope(Scope.READ)
        req.context.principal = principal

    async def _read(self, req: Request, position: bytes | None, request: ChangesRequest) -> _Found:
        """Return a page and the records of its people by id, if the request includes them."""
        async with self._pages:
            RESPONSES.require_room()
            if position is None or not request.includes_person:
                return await self._history.changes(position, limit=request.limit), {}
            hidden = req.context.principal.hidden_fields
            return await self._history.changes_with_people(position, limit=request.limit, hidden=hidden)


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
