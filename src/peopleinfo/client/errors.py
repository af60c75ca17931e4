"""What a call can come to, as classes: one for each kind of problem that the service tells of (RFC 9457)."""

from __future__ import annotations

from typing import Final

import msgspec

from peopleinfo.errors import FieldError

_TYPE: Final = "urn:peopleinfo:problem:"


class ClientError(Exception):
    """Everything that a call may end with, other than an answer."""


class Unreachable(ClientError):
    """No answer came within the call's time, and nothing was changed."""


class OutcomeUnknown(ClientError):
    """No answer came to a change, or only to a repetition of it: it may have been made or not. Read the person before you try again."""


class BrokenOff(ClientError):
    """A stream ended in the middle; the message says how to go on."""


class ProblemError(ClientError):
    """The service refused. Its kinds are subclasses; this class itself is a problem that has none."""

    def __init__(self, status: int, detail: str, errors: tuple[FieldError, ...] = (), request_id: str = "") -> None:
        reasons = "; ".join(f"{error.pointer or 'document'}: {error.reason}" for error in errors)
        super().__init__(reasons or detail)
        self.status = status
        """The status of the answer."""
        self.detail = detail
        """What was wrong, in a sentence."""
        self.errors = errors
        """What is wrong with single members, if that is known."""
        self.request_id = request_id
        """Under which the service's log speaks of it."""


class InvalidJson(ProblemError):
    """What was sent is not JSON that everybody reads alike."""


class InvalidPerson(ProblemError):
    """What was sent is not a person; `errors` has every reason."""


class InvalidSearch(ProblemError):
    """The search cannot be answered; `errors` has every reason."""


class InvalidCursor(ProblemError):
    """The cursor belongs to another search or another deployment."""


class InvalidInput(ProblemError):
    """The rows of an import cannot be read."""


class PersonNotFound(ProblemError):
    """There is no such person, or it was erased."""


class VersionConflict(ProblemError):
    """The person has changed since it was read; nothing was done."""


class KeyReused(ProblemError):
    """The idempotency key came with other content before."""


class CreationErased(ProblemError):
    """The person that was created under this idempotency key has been erased."""


class ImportOverlap(ProblemError):
    """The same import is running already."""


class NotAuthenticated(ProblemError):
    """There is no key, or the service does not know it."""


class AccessDenied(ProblemError):
    """The key does not allow this."""


class MembersHidden(ProblemError):
    """The key may not see some members, and the call would show them, find by them or change them."""


class RateExceeded(ProblemError):
    """The service asked for patience, for longer than the call had time."""


class StoreUnavailable(ProblemError):
    """The service could not answer within the call's time; nothing was changed."""


class Overloaded(ProblemError):
    """The service had no memory left for the request within the call's time; nothing was changed."""


class AuditUnavailable(ProblemError):
    """The service could not write its audit within the call's time; nothing was changed."""


class AuditUnreadable(ProblemError):
    """The service cannot read its audit, and so cannot tell all that is held about somebody; whoever runs it has to mend that."""


KINDS: Final[dict[str, type[ProblemError]]] = {
    "invalid-json": InvalidJson,
    "invalid-person": InvalidPerson,
    "invalid-search": InvalidSearch,
    "invalid-cursor": InvalidCursor,
    "invalid-input": InvalidInput,
    "person-not-found": PersonNotFound,
    "version-conflict": VersionConflict,
    "idempotency-key-reused": KeyReused,
    "creation-erased": CreationErased,
    "import-overlap": ImportOverlap,
    "not-authenticated": NotAuthenticated,
    "access-denied": AccessDenied,
    "members-hidden": MembersHidden,
    "rate-exceeded": RateExceeded,
    "store-unavailable": StoreUnavailable,
    "overloaded": Overloaded,
    "audit-unavailable": AuditUnavailable,
    "audit-unreadable": AuditUnreadable,
}
"""The end of a problem's `type` → its class."""

UNKNOWN_OUTCOME: Final = "outcome-unknown"  # the one kind that says that a change may have been made


class _Reason(msgspec.Struct):
    pointer: str = ""
    reason: str = ""


class _Problem(msgspec.Struct):
    type: str = ""
    detail: str = ""
    errors: list[_Reason] = []
    request_id: str = ""


def kind_of(body: bytes) -> str:
    """Return the end of the type of a problem document, "" when the body is none."""
    return _read(body).type.removeprefix(_TYPE)


def problem(status: int, body: bytes) -> ProblemError:
    """Return the error that an answer tells of, which need not be a problem document: a proxy may have written it."""
    told = _read(body)
    kind = KINDS.get(told.type.removeprefix(_TYPE), ProblemError)
    errors = tuple(FieldError(reason.pointer, reason.reason) for reason in told.errors)
    return kind(status, told.detail or f"the answer has status {status}", errors, told.request_id)


def _read(body: bytes) -> _Problem:
    try:
        return msgspec.json.decode(body, type=_Problem)
    except msgspec.DecodeError:
        return _Problem()
