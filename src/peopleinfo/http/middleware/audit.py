"""Audit events of requests."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.auth.principal import Scope
from peopleinfo.errors import AuditUnavailable, OutcomeUnknown
from peopleinfo.http import problems
from peopleinfo.http.client_address import client_address
from peopleinfo.http.openapi.operations import OPERATIONS
from peopleinfo.privacy.audit import AuditEvent, field_names, person_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from falcon.asgi import Request, Response

    from peopleinfo.http.openapi.operation_types import Operation
    from peopleinfo.privacy.audit import AuditLog

_AUDITED_OPERATIONS: Final[dict[tuple[str | None, str], Operation]] = {
    (operation.path, operation.method.upper()): operation
    for operation in OPERATIONS
    if operation.scope in (Scope.READ, Scope.WRITE, Scope.MERGE, Scope.ADMIN)
}
_AUDITED_OPERATIONS.update(
    {(path, "HEAD"): action for (path, method), action in tuple(_AUDITED_OPERATIONS.items()) if method == "GET"}
)
_ERROR_STATUS: Final = 400  # responses from this status on neither return nor change records
_ID: Final = re.compile("[0-9a-f]{32}", re.ASCII)


class AuditMiddleware:
    """Audits every read and change of a record, and every attempt. It rejects requests while the audit log is unavailable."""

    def __init__(self, audit: AuditLog, *, proxies: int) -> None:
        self._audit = audit
        self._proxies = proxies

    async def process_resource(self, req: Request, _: Response, __: object, params: dict[str, Any]) -> None:
        """Raise AuditUnavailable if the audit log cannot accept events."""
        operation = _AUDITED_OPERATIONS.get((req.uri_template, req.method))
        if operation is not None:
            # The path may hold any text, including a name; audit only valid ids.
            person_id = params.get("person_id", "")
            people = (person_id,) if _ID.fullmatch(person_id) else ()
            req.context.trail = trail = RequestAudit(
                self._audit, req, operation, client_address(req, self._proxies), people
            )
            trail.check_writable()

    async def process_response(self, req: Request, resp: Response, _: object, __: bool) -> None:
        """Record the outcome of the request. If that fails, replace the response with an error."""
        trail = audit_of(req)
        if trail is None:
            return
        try:
            trail.end(resp.status_code)
        except AuditUnavailable as error:
            if resp.status_code < _ERROR_STATUS:
                failure = OutcomeUnknown("the audit log is unavailable") if trail.is_change else error
                resp.set_header("Retry-After", str(error.retry_after))
                problems.respond(req, resp, problems.PROBLEM_TYPES[type(failure)], str(failure))


class RequestAudit:
    """The audit events of one request: an intent before a change, one event per batch of records, and the outcome."""

    def __init__(
        self, audit: AuditLog, req: Request, operation: Operation, client: str, people: tuple[str, ...]
    ) -> None:
        self._audit = audit
        self._req = req
        self._operation = operation
        self._client = client
        self._people = people
        self._fields: tuple[str, ...] = ()
        self._action = operation.name
        self.is_change = operation.scope is not Scope.READ and operation.method != "get"

    def check_writable(self) -> None:
        """Raise AuditUnavailable if the audit log cannot accept events."""
        self._audit.check_writable(change=self.is_change)

    def set_people(self, people: Sequence[bytes]) -> None:
        """Set the people in the response, given as JSON."""
        self._people = person_ids(people)

    def set_ids(self, people: tuple[str, ...]) -> None:
        """Set the people in the response, given as ids."""
        self._people = people

    def set_action(self, action: str) -> None:
        """Replace the name of the operation, for one with several actions. Call this before `record_intent`."""
        self._action = action

    def record_intent(self, data: Any = None) -> None:
        """Write the intent of a change, with the names of its fields. After AuditUnavailable, do not make the change."""
        self._fields = field_names(data)
        self._audit.write(self._event(0, self._people, intent=True))

    def record_people(self, people: tuple[str, ...], *, outcome: int = 200) -> None:
        """Record a batch of people that a bulk operation reads or stores. Raises AuditUnavailable."""
        self._write(outcome, people)

    def of_item(self, operation: Operation, person_id: str) -> RequestAudit:
        """Return the audit of one item of this request, which performs another operation."""
        people = (person_id,) if _ID.fullmatch(person_id) else ()
        return RequestAudit(self._audit, self._req, operation, self._client, people)

    def end(self, status: int) -> None:
        """Record the outcome. Raises AuditUnavailable."""
        self._write(status, self._people)

    def _write(self, status: int, people: tuple[str, ...]) -> None:
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
            time.time(), name, self._action, status, people, self._fields, request_id, self._client, intent
        )


def audit_of(req: Request) -> RequestAudit | None:
    """Return the audit of a request, or None if auditing is off."""
    trail: RequestAudit | None = getattr(req.context, "trail", None)
    return trail
