"""What is written down of a request in the audit."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.auth.principal import Scope
from peopleinfo.errors import AuditUnavailable, OutcomeUnknown
from peopleinfo.http import problems
from peopleinfo.http.client_address import client_address
from peopleinfo.http.operations import OPERATIONS
from peopleinfo.privacy.audit import AuditEvent, field_names, person_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from falcon.asgi import Request, Response

    from peopleinfo.http.operations import Operation
    from peopleinfo.privacy.audit import AuditLog

_ACTIONS: Final[dict[tuple[str | None, str], Operation]] = {
    (operation.path, operation.method.upper()): operation
    for operation in OPERATIONS
    if operation.scope in (Scope.READ, Scope.WRITE, Scope.ADMIN)
}
_ACTIONS.update({(path, "HEAD"): action for (path, method), action in tuple(_ACTIONS.items()) if method == "GET"})
_REFUSED: Final = 400  # the least status of a response that returns nothing and changes nothing
_ID: Final = re.compile("[0-9a-f]{32}", re.ASCII)


class AuditMiddleware:
    """Writes down every read and change of a person, and every attempt. While an event cannot be kept, its request is refused."""

    def __init__(self, audit: AuditLog, *, proxies: int) -> None:
        self._audit = audit
        self._proxies = proxies

    async def process_resource(self, req: Request, _: Response, __: object, params: dict[str, Any]) -> None:
        """Raise AuditUnavailable while events cannot be kept."""
        operation = _ACTIONS.get((req.uri_template, req.method))
        if operation is not None:
            # What stands in the path may be anything, somebody's name too.
            person_id = params.get("person_id", "")
            who = (person_id,) if _ID.fullmatch(person_id) else ()
            req.context.trail = trail = RequestAudit(
                self._audit, req, operation, client_address(req, self._proxies), who
            )
            trail.require()

    async def process_response(self, req: Request, resp: Response, _: object, __: bool) -> None:
        """Note the outcome of the request. A response whose event cannot be kept, or written after a change, is not sent."""
        trail = audit_of(req)
        if trail is None:
            return
        try:
            trail.end(resp.status_code)
        except AuditUnavailable as error:
            if resp.status_code < _REFUSED:
                unsent = OutcomeUnknown("the audit log is unavailable") if trail.is_change else error
                resp.set_header("Retry-After", str(error.retry_after))
                problems.respond(req, resp, problems.PROBLEM_TYPES[type(unsent)], str(unsent))


class RequestAudit:
    """What a request leaves in the audit: one event, or several when it reads or stores many people; before a change an intent."""

    def __init__(
        self, audit: AuditLog, req: Request, operation: Operation, client: str, people: tuple[str, ...]
    ) -> None:
        self._audit = audit
        self._req = req
        self._operation = operation
        self._client = client
        self._people = people
        self._fields: tuple[str, ...] = ()
        self.is_change = operation.scope is Scope.WRITE

    def require(self) -> None:
        """Raise AuditUnavailable while events cannot be kept, or before a change cannot be written."""
        self._audit.check_writable(change=self.is_change)

    def answers(self, people: Sequence[bytes]) -> None:
        """Note whose JSON is returned."""
        self._people = person_ids(people)

    def announce(self, data: Any = None) -> None:
        """Write that a change is about to be made, and which members its document names. Raises AuditUnavailable: do not make it then."""
        self._fields = field_names(data)
        self._audit.write(self._event(0, self._people, intent=True))

    def streams(self, people: tuple[str, ...]) -> None:
        """Note at once some of the many people who are read or stored. Raises AuditUnavailable."""
        self._note(200, people)

    def end(self, status: int) -> None:
        """Note the outcome. Raises AuditUnavailable."""
        self._note(status, self._people)

    def _note(self, status: int, people: tuple[str, ...]) -> None:
        event = self._event(status, people)
        if self._operation.scope is Scope.READ:
            self._audit.record(event)
        else:
            self._audit.write(event)

    def _event(self, status: int, people: tuple[str, ...], *, intent: bool = False) -> AuditEvent:
        principal = getattr(self._req.context, "principal", None)
        name = principal.name if principal else None
        request_id = self._req.scope["request_id"]
        return AuditEvent(
            time.time(), name, self._operation.name, status, people, self._fields, request_id, self._client, intent
        )


def audit_of(req: Request) -> RequestAudit | None:
    """Return what a request leaves in the audit, None when there is no audit."""
    trail: RequestAudit | None = getattr(req.context, "trail", None)
    return trail
