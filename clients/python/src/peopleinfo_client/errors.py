"""Errors of the client: a class for each problem type (RFC 9457) of the server, and three for a missing response."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from peopleinfo_client._json import decode

_STANDARD_MEMBERS: Final = ("type", "title", "status", "detail", "errors", "request_id")
_TYPE_PREFIX: Final = "urn:peopleinfo:problem:"


class FieldError(NamedTuple):
    """An invalid field of a request: `pointer` is its JSON Pointer (RFC 6901), empty for the whole document."""

    pointer: str
    reason: str


class ClientError(Exception):
    """Base class of all errors of the client."""


class ConnectionFailed(ClientError):
    """No response arrived within the timeout, and the server changed nothing."""


class OutcomeUnknown(ClientError):
    """The response to a change was lost, and the server may have made the change. Read the record before you retry."""


class StreamInterrupted(ClientError):
    """An import or export ended before its last line; the message describes how to resume."""


class ProblemError(ClientError):
    """The server rejected the request. A subclass names the problem type; this class covers all other responses."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: tuple[FieldError, ...] = (),
        request_id: str = "",
        members: dict[str, Any] | None = None,
    ) -> None:
        reasons = "; ".join(f"{error.pointer or 'document'}: {error.reason}" for error in errors)
        super().__init__(reasons or detail)
        self.status = status
        """HTTP status of the response."""
        self.detail = detail
        """Description of the problem, in one sentence."""
        self.errors = errors
        """Invalid fields of the request, if any."""
        self.request_id = request_id
        """Identifier of the request in the log of the server."""
        self.members = members or {}
        """Other members of the problem document, for example `merged_into`."""


class InvalidJson(ProblemError):
    """The body is not valid JSON, or has a construct that parsers interpret differently."""


class InvalidPerson(ProblemError):
    """The data is not a valid person record; `errors` lists every invalid field."""


class InvalidSearch(ProblemError):
    """The search parameters are invalid; `errors` lists every one."""


class InvalidCursor(ProblemError):
    """The cursor belongs to another search or to another deployment."""


class InvalidBatch(ProblemError):
    """The batch, or one of its items, has an invalid form; `errors` lists every error."""


class InvalidInput(ProblemError):
    """The rows of an import cannot be parsed."""


class PersonNotFound(ProblemError):
    """The server has no such person, or the person was deleted."""


class VersionNotFound(ProblemError):
    """The person has no such version, or the version has expired."""


class InvalidToken(ProblemError):
    """The token was not issued by the feed of changes of this deployment."""


class ChangesExpired(ProblemError):
    """Changes after the token have expired: export all people, and continue with a current token."""


class VersionConflict(ProblemError):
    """The person changed after the client read it; the server changed nothing."""


class IdentifierConflict(ProblemError):
    """Another person has the same value of a unique identifier."""


class IdempotencyKeyConflict(ProblemError):
    """The idempotency key was used before with different data."""


class PersonMerged(ProblemError):
    """The record is merged into another one; `members` has `merged_into` and `merge_id`."""


class MergeNotFound(ProblemError):
    """No merge has this id, or its people were erased."""


class InvalidMerge(ProblemError):
    """The parameters of a merge or an undo are invalid; `errors` lists every one."""


class MergeCycle(ProblemError):
    """The merge names a record twice."""


class MergeTooLarge(ProblemError):
    """The merge has too many records, or too long a chain."""


class UndoFirst(ProblemError):
    """The survivor is itself merged; `members` has the `merge_id` to undo first."""


class ChangedSinceMerge(ProblemError):
    """The undo needs a decision about the `fields` in `members`."""


class IdempotentPersonDeleted(ProblemError):
    """The person that was created with this idempotency key has been deleted."""


class ImportAlreadyRunning(ProblemError):
    """An import with this idempotency key is already running."""


class ImportNotFound(ProblemError):
    """There is no import with this id, or its entry has expired."""


class ImportUndone(ProblemError):
    """The import was undone and cannot continue: send the rows with a new idempotency key."""


class NotAuthenticated(ProblemError):
    """The API key is missing, unknown or expired."""


class AccessDenied(ProblemError):
    """The API key lacks the scope for this operation."""


class FieldAccessDenied(ProblemError):
    """The operation would return, search or change a field that is hidden from the API key."""


class PairNotFound(ProblemError):
    """The two people are not in the review queue, or one of them was deleted."""


class PossibleDuplicate(ProblemError):
    """The person may be stored already, and `duplicates="refuse"` was requested; the server stored nothing."""


class DuplicatesDisabled(ProblemError):
    """The server has no index for the detection of duplicates."""


class RateLimitExceeded(ProblemError):
    """The rate limit is exceeded, and the required delay is longer than the timeout."""


class StoreUnavailable(ProblemError):
    """The store of the server was unavailable during the whole timeout; the server changed nothing."""


class Overloaded(ProblemError):
    """The server had no free memory for the request during the whole timeout; it changed nothing."""


class AuditUnavailable(ProblemError):
    """The server could not write or read its audit log during the whole timeout; it changed nothing."""


PROBLEM_TYPES: Final[dict[str, type[ProblemError]]] = {
    "invalid-json": InvalidJson,
    "invalid-person": InvalidPerson,
    "invalid-search": InvalidSearch,
    "invalid-batch": InvalidBatch,
    "invalid-cursor": InvalidCursor,
    "invalid-input": InvalidInput,
    "person-not-found": PersonNotFound,
    "merged": PersonMerged,
    "merge-not-found": MergeNotFound,
    "invalid-merge": InvalidMerge,
    "cycle": MergeCycle,
    "merge-too-large": MergeTooLarge,
    "undo-first": UndoFirst,
    "changed-since": ChangedSinceMerge,
    "version-not-found": VersionNotFound,
    "invalid-token": InvalidToken,
    "token-expired": ChangesExpired,
    "version-conflict": VersionConflict,
    "identifier-conflict": IdentifierConflict,
    "idempotency-key-reused": IdempotencyKeyConflict,
    "person-deleted": IdempotentPersonDeleted,
    "import-already-running": ImportAlreadyRunning,
    "import-not-found": ImportNotFound,
    "import-undone": ImportUndone,
    "not-authenticated": NotAuthenticated,
    "access-denied": AccessDenied,
    "field-access-denied": FieldAccessDenied,
    "pair-not-found": PairNotFound,
    "possible-duplicate": PossibleDuplicate,
    "duplicates-disabled": DuplicatesDisabled,
    "rate-limit-exceeded": RateLimitExceeded,
    "store-unavailable": StoreUnavailable,
    "overloaded": Overloaded,
    "audit-unavailable": AuditUnavailable,
}
"""Problem type, without its prefix, to the class of its error."""

OUTCOME_UNKNOWN: Final = "outcome-unknown"
"""The problem type of a change that the server may have made."""


def problem_type(body: bytes) -> str:
    """Return the problem type in a response body without its prefix, or "" when the body is no problem document."""
    return _type_of(_fields(body))


def problem(status: int, body: bytes) -> ProblemError:
    """Return the error for a response. Its body may have any content, because a proxy may have generated it."""
    return problem_of(status, _fields(body))


def problem_of(status: int, fields: dict[str, Any]) -> ProblemError:
    """Return the error for a problem document."""
    error = PROBLEM_TYPES.get(_type_of(fields), ProblemError)
    detail = _text(fields, "detail") or f"the response has status {status}"
    members = {name: value for name, value in fields.items() if name not in _STANDARD_MEMBERS}
    return error(status, detail, _field_errors(fields), _text(fields, "request_id"), members)


def failed_import(line: bytes) -> ProblemError | None:
    """Return the error in the last line of an import, or None for any other line."""
    if not line.startswith(b'{"result":"failed"'):
        return None
    status = _fields(line).get("status")
    return problem(status if isinstance(status, int) else 0, line)


def _type_of(fields: dict[str, Any]) -> str:
    return _text(fields, "type").removeprefix(_TYPE_PREFIX)


def _field_errors(fields: dict[str, Any]) -> tuple[FieldError, ...]:
    errors = fields.get("errors")
    entries = errors if isinstance(errors, list) else []
    return tuple(FieldError(_text(one, "pointer"), _text(one, "reason")) for one in entries if isinstance(one, dict))


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _fields(body: bytes) -> dict[str, Any]:
    try:
        document = decode(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
