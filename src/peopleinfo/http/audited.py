"""What is written down of a request in the audit."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.access import Scope
from peopleinfo.audit import Event, ids_of, touched
from peopleinfo.http.addresses import client_address
from peopleinfo.http.contract import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from falcon.asgi import Request, Response

    from peopleinfo.audit import Audit
    from peopleinfo.http.contract import Operation

_ACTIONS: Final[dict[tuple[str | None, str], Operation]] = {
    (operation.path, operation.method.upper()): operation
    for operation in OPERATIONS
    if operation.scope in (Scope.READ, Scope.WRITE, Scope.ADMIN)
}
_ACTIONS.update({(path, "HEAD"): action for (path, method), action in tuple(_ACTIONS.items()) if method == "GET"})
_ID: Final = re.compile("[0-9a-f]{32}", re.ASCII)


class Audited:
    """Notes whoever read or changed a person, or tried to; while the audit cannot be written, nothing is done."""

    def __init__(self, audit: Audit, *, proxies: int) -> None:
        self._audit = audit
        self._proxies = proxies

    async def process_resource(self, req: Request, _: Response, __: object, params: dict[str, Any]) -> None:
        """Raise StoreUnavailable while events cannot be kept."""
        operation = _ACTIONS.get((req.uri_template, req.method))
        if operation is not None:
            # What stands in the path may be anything, somebody's name too.
            person_id = params.get("person_id", "")
            who = (person_id,) if _ID.fullmatch(person_id) else ()
            req.context.trail = Trail(self._audit, req, operation, client_address(req, self._proxies), who)
            self._audit.require()

    async def process_response(self, req: Request, resp: Response, _: object, __: bool) -> None:
        """Note what became of the request."""
        trail = trail_of(req)
        if trail is not None:
            trail.end(resp.status_code)


class Trail:
    """What a request leaves in the audit: one event, or several when it reads or stores many people."""

    def __init__(self, audit: Audit, req: Request, operation: Operation, client: str, people: tuple[str, ...]) -> None:
        self._audit = audit
        self._req = req
        self._operation = operation
        self._client = client
        self._people = people
        self._fields: tuple[str, ...] = ()

    def answers(self, people: Sequence[bytes]) -> None:
        """Note whose JSON is answered."""
        self._people = ids_of(people)

    def changes(self, data: Any) -> None:
        """Note which members a document names."""
        self._fields = touched(data)

    def streams(self, people: tuple[str, ...]) -> None:
        """Note at once some of the many people who are read or stored."""
        self._note(200, people)

    def end(self, status: int) -> None:
        """Note the whole."""
        self._note(status, self._people)

    def _note(self, status: int, people: tuple[str, ...]) -> None:
        principal = getattr(self._req.context, "principal", None)
        name = principal.name if principal else None
        request_id = self._req.scope["request_id"]
        event = Event(time.time(), name, self._operation.name, status, people, self._fields, request_id, self._client)
        self._audit.note(event, at_once=self._operation.scope is not Scope.READ)


def trail_of(req: Request) -> Trail | None:
    """Return what a request leaves in the audit, None when there is no audit."""
    trail: Trail | None = getattr(req.context, "trail", None)
    return trail
