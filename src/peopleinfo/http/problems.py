"""Errors as the contract has them: RFC 9457 problem documents. One table from our exceptions to what HTTP calls them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import falcon
import falcon.asgi
import structlog

from peopleinfo import errors
from peopleinfo.formats.column_mapping import InvalidInput
from peopleinfo.http.bodies import Disconnected
from peopleinfo.http.cursors import InvalidCursor
from peopleinfo.people import strict_json
from peopleinfo.telemetry import open_files

MEDIA_TYPE: Final = "application/problem+json"
_CHALLENGE: Final = 'Bearer realm="PeopleInfo"'  # RFC 6750; the same whatever was wrong with a credential
_OF_REPRESENTATION: Final = (
    "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Length", "ETag", "Location",
)  # fmt: skip
_REASONS: Final = 100  # are listed at most: an answer is not to be many times as long as its request
_REPAIR_DELAY: Final = 30  # seconds after which a client may retry when an operator has to act first
_log = structlog.get_logger("peopleinfo.http")


class Kind(NamedTuple):
    """What a kind of error is called: its status, the end of its type URI, its title."""

    status: int
    slug: str
    title: str


_UNAVAILABLE: Final = Kind(503, "store-unavailable", "Store unavailable")
KINDS: Final[dict[type[Exception], Kind]] = {
    errors.InvalidJson: Kind(400, "invalid-json", "Invalid JSON"),
    errors.InvalidPerson: Kind(422, "invalid-person", "Invalid person"),
    errors.InvalidSearch: Kind(422, "invalid-search", "Invalid search"),
    InvalidCursor: Kind(422, "invalid-cursor", "Invalid cursor"),
    InvalidInput: Kind(422, "invalid-input", "Invalid input"),
    errors.PersonNotFound: Kind(404, "person-not-found", "Person not found"),
    errors.VersionConflict: Kind(412, "version-conflict", "Version conflict"),
    errors.KeyReused: Kind(422, "idempotency-key-reused", "Idempotency key reused"),
    errors.CreationErased: Kind(409, "person-deleted", "Person deleted"),
    errors.ImportOverlap: Kind(409, "import-already-running", "Import already running"),
    errors.NotAuthenticated: Kind(401, "not-authenticated", "Authentication required"),
    errors.AccessDenied: Kind(403, "access-denied", "Access denied"),
    errors.RateExceeded: Kind(429, "rate-limit-exceeded", "Rate limit exceeded"),
    errors.Overloaded: Kind(503, "overloaded", "Server overloaded"),
    errors.MembersHidden: Kind(403, "field-access-denied", "Field access denied"),
    errors.OutcomeUnknown: Kind(503, "outcome-unknown", "Outcome unknown"),
    errors.AuditUnavailable: Kind(503, "audit-unavailable", "Audit log unavailable"),
    errors.StoreUnavailable: _UNAVAILABLE,
    errors.StoreUnusable: _UNAVAILABLE,
}


def install(app: falcon.asgi.App[Any, Any]) -> None:
    """Make the app answer every error with a problem document."""
    app.add_error_handler(Exception, _crash)
    app.add_error_handler(Disconnected, _nobody_left)
    app.add_error_handler(errors.PeopleInfoError, _ours)
    app.add_error_handler(falcon.HTTPError, _falcons)


def write(
    req: falcon.asgi.Request,
    resp: falcon.asgi.Response,
    kind: Kind,
    detail: str,
    reasons: tuple[errors.FieldError, ...] = (),
) -> None:
    """Make the response a problem document; for the seed's `/data` also with its member `error`.

    Headers of a representation that was prepared before, such as its coding, do not stay.
    """
    for name in _OF_REPRESENTATION:
        resp.delete_header(name)
    problem: dict[str, Any] = {
        "type": f"urn:peopleinfo:problem:{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
    }
    if reasons:
        problem["errors"] = [{"pointer": reason.pointer, "reason": reason.reason} for reason in reasons[:_REASONS]]
    problem["request_id"] = req.scope["request_id"]
    if req.path == "/data":
        problem["error"] = detail
    resp.status = kind.status
    resp.content_type = MEDIA_TYPE
    resp.data = strict_json.encode(problem)
    resp.stream = None


async def _ours(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: errors.PeopleInfoError, params: dict[str, Any]
) -> None:
    kind = next((KINDS[known] for known in type(error).__mro__ if known in KINDS), None)
    if kind is None:  # an error of the commands, which no route raises
        await _crash(req, resp, error, params)
        return
    if isinstance(error, errors.StoreUnavailable):
        resp.set_header("Retry-After", str(error.retry_after))
        _log.warning("store_unavailable", reason=_reason(error), request_id=req.scope["request_id"])
    elif isinstance(error, errors.StoreUnusable):
        resp.set_header("Retry-After", str(_REPAIR_DELAY))
        _log.error("store_unusable", reason=str(error), request_id=req.scope["request_id"])
    elif isinstance(error, errors.RateExceeded | errors.Overloaded):
        resp.set_header("Retry-After", str(error.retry_after))
    elif isinstance(error, errors.NotAuthenticated):
        resp.set_header("WWW-Authenticate", _CHALLENGE)
    elif isinstance(error, errors.AccessDenied):
        resp.set_header("WWW-Authenticate", f'{_CHALLENGE}, error="insufficient_scope", scope="{error.scope}"')
    reasons = getattr(error, "errors", ())
    detail = (
        _detail(error) if not reasons else f"{len(reasons)} thing{'s' if len(reasons) > 1 else ''} to mend, see errors"
    )
    write(req, resp, kind, detail, reasons)


def _detail(error: errors.PeopleInfoError) -> str:
    """Return what a client may read of an error: no part of an input, and no name of this machine."""
    if isinstance(error, errors.StoreUnusable):
        return "the store cannot be used until an operator repairs it: the log says more under this request_id"
    return error.unquoted if isinstance(error, InvalidInput) else str(error)


def _reason(error: errors.StoreUnavailable) -> str:
    """Return the message for the log, with that of the StoreUnusable behind it, which clients do not see."""
    cause = error.__cause__
    while cause is not None and not isinstance(cause, errors.StoreUnusable):
        cause = cause.__cause__
    return f"{error}: {cause}" if cause else str(error)


async def _falcons(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: falcon.HTTPError, _: dict[str, Any]
) -> None:
    status = error.status_code
    title = falcon.code_to_http_status(status).partition(" ")[2]
    for name, value in dict(error.headers or {}).items():
        resp.set_header(name, value)
    write(
        req,
        resp,
        Kind(status, title.lower().replace(" ", "-"), title),
        error.description or _DETAILS.get(status, title),
    )


_DETAILS: Final = {
    404: "nothing is at this path: /docs lists what there is",
    405: "this method is not for this path: the Allow header lists those that are",
}


async def _crash(req: falcon.asgi.Request, resp: falcon.asgi.Response, error: Exception, _: dict[str, Any]) -> None:
    if open_files.is_exhausted(error):
        open_files.report()
        resp.set_header("Retry-After", "1")
        write(req, resp, KINDS[errors.Overloaded], "the server can open no more files: retry in a second")
        return
    # Only where it happened: a message or a local variable may hold somebody's data.
    trace, place = error.__traceback__, "?"
    while trace:
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    request_id = req.scope["request_id"]
    _log.error(
        "unhandled_exception", error=type(error).__name__, place=place, route=req.uri_template, request_id=request_id
    )
    kind = Kind(500, "internal-error", "Internal server error")
    write(req, resp, kind, "the request could not be answered; the log says more under this request_id")


async def _nobody_left(_: falcon.asgi.Request, resp: falcon.asgi.Response, *__: object) -> None:
    resp.status = 400
