"""What can go wrong, in the words of the domain.

    PeopleInfoError
    ├── InvalidJson            not JSON that everybody reads alike
    ├── InvalidPerson          JSON, but not a person; names every reason
    ├── InvalidSearch          a search that cannot be answered; names every reason
    ├── PersonNotFound
    ├── VersionConflict        the person has changed since it was read
    ├── KeyReused              an idempotency key came back with other content
    ├── CreationErased         the person made under that idempotency key has been erased
    ├── ImportOverlap          the same import is running somewhere else
    ├── NotAuthenticated       nobody knows who is asking
    ├── AccessDenied           who is asking may not do this
    ├── RateExceeded           who is asking has asked for too much lately
    ├── Overloaded             the requests in progress hold as much memory as they may
    ├── MembersHidden          who is asking may not see what this would show or change
    ├── StoreUnavailable       for now; nothing was stored
    │   ├── OutcomeUnknown     … or perhaps it was
    │   └── StoreDamaged       a file or a record of it; a backup has to be restored
    └── StoreUnusable          until somebody mends it (permissions, schema, not a database)
        └── StoreMissing       there is no store, and the operation does not create one

An exception takes data and writes its own message; no message holds a value of a person's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class FieldError(NamedTuple):
    """One reason why a document was refused.

    `pointer` is the JSON Pointer (RFC 6901) of the member, "" for the document itself, or the bare name
    of a query parameter; `reason` says what is wrong and how to mend it, never what the value was.
    """

    pointer: str
    reason: str


class PeopleInfoError(Exception):
    """Everything that this service refuses or fails to do."""


class _Refused(PeopleInfoError):
    """A document was refused for the listed reasons."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{e.pointer or 'document'}: {e.reason}" for e in self.errors))


class InvalidJson(PeopleInfoError):
    """The text is not JSON, or is JSON that two readers may understand differently."""


class InvalidPerson(_Refused):
    """The document is JSON but not a person."""


class InvalidSearch(_Refused):
    """Invalid search."""


class PersonNotFound(PeopleInfoError):
    """There is no such person, or it was erased."""

    def __init__(self, person_id: str) -> None:
        self.person_id = person_id
        super().__init__("there is no person with this id")


class VersionConflict(PeopleInfoError):
    """The person is at another version than the caller has seen."""

    def __init__(self, person_id: str, *, actual: int) -> None:
        self.person_id = person_id
        self.actual = actual
        super().__init__(f"the person is at version {actual} now: read it again, then repeat the change")


class IdempotencyKeyConflict(PeopleInfoError):
    """An idempotency key came back with other content than the first time."""

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used with other content: take a new key for a new request")


class IdempotentPersonDeleted(PeopleInfoError):
    """The person that was created under this idempotency key has been erased; it is not created again."""

    def __init__(self) -> None:
        super().__init__("the person created with this Idempotency-Key has been erased since: take a new key")


class ImportAlreadyRunning(PeopleInfoError):
    """The same import is running somewhere else, or was continued there."""

    def __init__(self) -> None:
        super().__init__("the same import is running somewhere else: nobody was stored twice, wait for that one")


class NotAuthenticated(PeopleInfoError):
    """Who is asking has not shown who they are, or not in a way that is believed. Why not is told to nobody."""

    def __init__(self) -> None:
        super().__init__("send a key or a token that is valid now, as Authorization: Bearer")


class AccessDenied(PeopleInfoError):
    """Who is asking is known, and may not do what needs `scope`."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__(f"this needs the scope {scope}")


class RateLimitExceeded(PeopleInfoError):
    """Who is asking has asked for too much lately, and may ask again in `retry_after` seconds."""

    def __init__(self, *, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"too much was asked for lately: wait {retry_after} seconds")


class Overloaded(PeopleInfoError):
    """The requests in progress hold as much memory as they may; the request was not processed and may be sent again."""

    retry_after = 1

    def __init__(self) -> None:
        super().__init__(
            "the requests in progress use all the memory that this process has for them: retry in a second"
        )


class FieldAccessDenied(PeopleInfoError):
    """Who is asking may not see some members, and asks for what would show them, find by them or change them."""

    def __init__(self, members: Sequence[str]) -> None:
        self.members = tuple(members)
        super().__init__(f"the key may not see {', '.join(self.members)}, so it cannot ask for this either")


class StoreUnavailable(PeopleInfoError):
    """The store cannot answer now; nothing was stored, and trying again later may help."""

    def __init__(self, what: str, *, retry_after: int = 1) -> None:
        self.retry_after = retry_after
        super().__init__(what)


class OutcomeUnknown(StoreUnavailable):
    """The store did not say in time whether it has done what it was asked."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; it may have been stored or not: read it before you try again")


class StoreDamaged(StoreUnavailable):
    """A file of the store, or a record in it, cannot be read any more."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: restore a backup (docs/operations.md, Damaged files)", retry_after=60)


class AuditUnavailable(StoreUnavailable):
    """The audit log cannot be read or written; the operation was not carried out."""

    def __init__(
        self, why: str, *, remedy: str = "free disk space or restore the file, then retry", retry_after: int = 5
    ) -> None:
        super().__init__(f"the audit log is unavailable ({why}); nothing was done: {remedy}", retry_after=retry_after)


class StoreConfigurationError(PeopleInfoError):
    """The store cannot be opened until somebody mends what the message says."""


class StoreMissing(StoreConfigurationError):
    """There is no store at this place, and an operation that only uses one does not create it."""

    def __init__(self, place: str) -> None:
        super().__init__(f"there is no {place}: `peopleinfo store create` makes one")
