"""Errors as problem documents (RFC 9457), with one table from exceptions to problem types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import falcon
import falcon.asgi
import structlog

from peopleinfo import errors
from peopleinfo.auth.principal import Scope
from peopleinfo.errors import InvalidCursor, InvalidInput
from peopleinfo.http import fhir_documents
from peopleinfo.http.falcon_app import Disconnected
from peopleinfo.http.media_types import FHIR, PROBLEM
from peopleinfo.matching import errors as matching_errors
from peopleinfo.people import strict_json
from peopleinfo.people.field_access import is_hidden
from peopleinfo.telemetry import open_files

if TYPE_CHECKING:
    from peopleinfo.auth.principal import Principal

_CHALLENGE: Final = 'Bearer realm="PeopleInfo"'  # RFC 6750; equal for all invalid credentials
_REPRESENTATION_HEADERS: Final = (
    "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Length", "ETag", "Location",
)  # fmt: skip
_BAD_REQUEST: Final = 400
_UNPROCESSABLE: Final = 422
_MAX_ERRORS: Final = 100  # listed in one response
_REPAIR_DELAY: Final = 30  # seconds for Retry-After when an operator must repair the store
_log = structlog.get_logger("peopleinfo.http")


class ProblemType(NamedTuple):
    """A problem type: its status, the last part of its type URI and its title."""

    status: int
    slug: str
    title: str


_UNAVAILABLE: Final = ProblemType(503, "store-unavailable", "Store unavailable")
PROBLEM_TYPES: Final[dict[type[Exception], ProblemType]] = {
    errors.InvalidJson: ProblemType(400, "invalid-json", "Invalid JSON"),
    errors.InvalidPerson: ProblemType(422, "invalid-person", "Invalid person"),
    errors.InvalidSearch: ProblemType(422, "invalid-search", "Invalid search"),
    errors.InvalidBatch: ProblemType(422, "invalid-batch", "Invalid batch"),
    InvalidCursor: ProblemType(422, "invalid-cursor", "Invalid cursor"),
    InvalidInput: ProblemType(422, "invalid-input", "Invalid input"),
    errors.PersonNotFound: ProblemType(404, "person-not-found", "Person not found"),
    errors.PersonMerged: ProblemType(409, "merged", "Merged"),
    errors.MergeNotFound: ProblemType(404, "merge-not-found", "Merge not found"),
    errors.InvalidMerge: ProblemType(422, "invalid-merge", "Invalid merge"),
    errors.MergeCycle: ProblemType(409, "cycle", "Cycle"),
    errors.MergeTooLarge: ProblemType(422, "merge-too-large", "Merge too large"),
    errors.UndoFirst: ProblemType(409, "undo-first", "Undo another merge first"),
    errors.ChangedSinceMerge: ProblemType(409, "changed-since", "Changed since the merge"),
    errors.VersionNotFound: ProblemType(404, "version-not-found", "Version not found"),
    errors.InvalidToken: ProblemType(400, "invalid-token", "Invalid token"),
    errors.ChangesExpired: ProblemType(410, "token-expired", "Token expired"),
    errors.VersionConflict: ProblemType(412, "version-conflict", "Version conflict"),
    errors.IdentifierConflict: ProblemType(409, "identifier-conflict", "Identifier conflict"),
    errors.IdempotencyKeyConflict: ProblemType(422, "idempotency-key-reused", "Idempotency key reused"),
    errors.IdempotentPersonDeleted: ProblemType(409, "person-deleted", "Person deleted"),
    errors.ImportAlreadyRunning: ProblemType(409, "import-already-running", "Import already running"),
    errors.ImportUndone: ProblemType(409, "import-undone", "Import undone"),
    errors.ImportNotFound: ProblemType(404, "import-not-found", "Import not found"),
    errors.NotAuthenticated: ProblemType(401, "not-authenticated", "Authentication required"),
    errors.AccessDenied: ProblemType(403, "access-denied", "Access denied"),
    errors.RateLimitExceeded: ProblemType(429, "rate-limit-exceeded", "Rate limit exceeded"),
    errors.Overloaded: ProblemType(503, "overloaded", "Server overloaded"),
    errors.FieldAccessDenied: ProblemType(403, "field-access-denied", "Field access denied"),
    matching_errors.PairNotFound: ProblemType(404, "pair-not-found", "Pair not found"),
    matching_errors.PossibleDuplicate: ProblemType(409, "possible-duplicate", "Possible duplicate"),
    matching_errors.DuplicatesDisabled: ProblemType(501, "duplicates-disabled", "Duplicate detection disabled"),
    errors.OutcomeUnknown: ProblemType(503, "outcome-unknown", "Outcome unknown"),
    errors.AuditUnavailable: ProblemType(503, "audit-unavailable", "Audit log unavailable"),
    errors.StoreUnavailable: _UNAVAILABLE,
    errors.Unavailable: _UNAVAILABLE,
    errors.StoreConfigurationError: _UNAVAILABLE,
}


def register(app: falcon.asgi.App[Any, Any]) -> None:
    """Register error handlers that respond to every error with a problem document."""
    app.add_error_handler(Exception, _handle_unexpected)
    app.add_error_handler(Disconnected, _handle_disconnect)
    app.add_error_handler(errors.PeopleInfoError, _handle_domain_error)
    app.add_error_handler(falcon.HTTPError, _handle_http_error)


def respond(
    req: falcon.asgi.Request,
    resp: falcon.asgi.Response,
    kind: ProblemType,
    detail: str,
    reasons: tuple[errors.FieldError, ...] = (),
    members: dict[str, Any] | None = None,
) -> None:
    """Make the response a problem document; on `/data` it also has the legacy field `error`. On `/fhir`, it is an OperationOutcome.

    Representation headers that were set earlier, such as Content-Encoding, are deleted.
    """
    for name in _REPRESENTATION_HEADERS:
        resp.delete_header(name)
    resp.stream = None
    if req.path.startswith(fhir_documents.PATH):
        _respond_fhir(resp, kind, detail, reasons)
        return
    problem: dict[str, Any] = {
        "type": f"urn:peopleinfo:problem:{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
    }
    if reasons:
        problem["errors"] = [{"pointer": reason.pointer, "reason": reason.reason} for reason in reasons[:_MAX_ERRORS]]
    problem |= members or {}
    problem["request_id"] = req.scope["request_id"]
    if req.path == "/data":
        problem["error"] = detail
    resp.status = kind.status
    resp.content_type = PROBLEM
    resp.data = strict_json.encode(problem)


def _respond_fhir(
    resp: falcon.asgi.Response, kind: ProblemType, detail: str, reasons: tuple[errors.FieldError, ...]
) -> None:
    status = _BAD_REQUEST if kind.status == _UNPROCESSABLE else kind.status  # the status that FHIR has for a search
    resp.status = status
    resp.content_type = FHIR
    resp.data = strict_json.encode(fhir_documents.outcome(status, kind.slug, detail, reasons[:_MAX_ERRORS]))


async def document(req: falcon.asgi.Request, error: Exception) -> dict[str, Any]:
    """Return the problem document of an error that occurs after the response has started."""
    resp = falcon.asgi.Response()
    if isinstance(error, errors.PeopleInfoError):
        await _handle_domain_error(req, resp, error, {})
    elif isinstance(error, falcon.HTTPError):
        await _handle_http_error(req, resp, error, {})
    elif isinstance(error, Disconnected):
        return {"status": 400}
    else:
        await _handle_unexpected(req, resp, error, {})
    return strict_json.decode(resp.data or b"", dict[str, Any])


async def _handle_domain_error(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: errors.PeopleInfoError, params: dict[str, Any]
) -> None:
    kind = next((PROBLEM_TYPES[known] for known in type(error).__mro__ if known in PROBLEM_TYPES), None)
    if kind is None:  # an error of the command line
        await _handle_unexpected(req, resp, error, params)
        return
    if isinstance(error, errors.Unavailable):
        resp.set_header("Retry-After", str(error.retry_after))
        _log.warning("store_unavailable", reason=_reason(error), request_id=req.scope["request_id"])
    elif isinstance(error, errors.StoreConfigurationError):
        resp.set_header("Retry-After", str(_REPAIR_DELAY))
        _log.error("store_unusable", reason=str(error), request_id=req.scope["request_id"])
    elif isinstance(error, errors.RateLimitExceeded | errors.Overloaded):
        resp.set_header("Retry-After", str(error.retry_after))
    elif isinstance(error, errors.NotAuthenticated):
        resp.set_header("WWW-Authenticate", _CHALLENGE)
    elif isinstance(error, errors.AccessDenied):
        resp.set_header("WWW-Authenticate", f'{_CHALLENGE}, error="insufficient_scope", scope="{error.scope}"')
    reasons = getattr(error, "errors", ())
    count = f"{len(reasons)} validation error{'s' if len(reasons) > 1 else ''}"
    detail = f"{count}; see `errors`" if reasons else _detail(error)
    respond(req, resp, kind, detail, reasons, _members(req, error))


def _members(req: falcon.asgi.Request, error: errors.PeopleInfoError) -> dict[str, Any]:
    """Return the additional members of the problem document."""
    if isinstance(error, matching_errors.PossibleDuplicate):
        return {"candidates": error.candidates}
    if isinstance(error, errors.IdentifierConflict):
        return _conflicting(req, error)
    if isinstance(error, errors.ChangedSinceMerge):
        return {"fields": error.fields}
    return {name: value for name in ("merged_into", "merge_id") if (value := getattr(error, name, None)) is not None}


def _conflicting(req: falcon.asgi.Request, error: errors.IdentifierConflict) -> dict[str, str]:
    """Return the id of the other person if the client may read that person and the field."""
    principal: Principal | None = getattr(req.context, "principal", None)
    may_read = (
        principal is not None
        and principal.has_scope(Scope.READ)
        and not is_hidden(error.field, principal.hidden_fields)
    )
    return {"field": error.field} | ({"person_id": error.person_id} if may_read else {})


def _detail(error: errors.PeopleInfoError) -> str:
    """Return the message for clients, without parts of the input and without names of this machine."""
    if isinstance(error, errors.StoreConfigurationError):
        return "the store is unusable until an operator repairs it; the log has the details for this request_id"
    return error.safe_message if isinstance(error, InvalidInput) else str(error)


def _reason(error: errors.Unavailable) -> str:
    """Return the message for the log, including the StoreConfigurationError that caused it."""
    cause = error.__cause__
    while cause is not None and not isinstance(cause, errors.StoreConfigurationError):
        cause = cause.__cause__
    return f"{error}: {cause}" if cause else str(error)


async def _handle_http_error(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: falcon.HTTPError, _: dict[str, Any]
) -> None:
    status = error.status_code
    title = falcon.code_to_http_status(status).partition(" ")[2]
    for name, value in dict(error.headers or {}).items():
        resp.set_header(name, value)
    respond(
        req,
        resp,
        ProblemType(status, title.lower().replace(" ", "-"), title),
        error.description or _DETAILS.get(status, title),
    )


_DETAILS: Final = {
    404: "no resource has this path; /docs lists all resources",
    405: "the resource does not support this method; the Allow header lists the supported methods",
}


async def _handle_unexpected(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: Exception, _: dict[str, Any]
) -> None:
    if open_files.is_exhausted(error):
        open_files.report()
        resp.set_header("Retry-After", "1")
        respond(req, resp, PROBLEM_TYPES[errors.Overloaded], "the server has too many open files; retry in a second")
        return
    # Log only the location: the message and local variables may hold personal data.
    trace, location = error.__traceback__, "?"
    while trace:
        location = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    request_id = req.scope["request_id"]
    _log.error(
        "unhandled_exception", error=type(error).__name__, place=location, route=req.uri_template, request_id=request_id
    )
    kind = ProblemType(500, "internal-error", "Internal server error")
    respond(req, resp, kind, "the request failed unexpectedly; the log has the details for this request_id")


async def _handle_disconnect(_: falcon.asgi.Request, resp: falcon.asgi.Response, *__: object) -> None:
    resp.status = 400
