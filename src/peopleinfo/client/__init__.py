"""The client that programs import: `Client`, and `AsyncClient` for asyncio. It needs httpx: `pip install 'peopleinfo[client]'`.

    ClientError
    ├── Unreachable            no answer came, and nothing was done
    ├── OutcomeUnknown         no answer came, and a change may have been made or not
    ├── BrokenOff              a stream ended in the middle
    └── ProblemError           the service refused: `status`, `detail`, `errors`, `request_id`
        ├── InvalidPerson  PersonNotFound  VersionConflict  …      one class a kind of problem

docs/client.md shows how it is used.
"""

from peopleinfo.client.answers import ImportResult, Page, Person
from peopleinfo.client.asynchronous import AsyncClient
from peopleinfo.client.calls import ANY_VERSION
from peopleinfo.client.errors import (
    AccessDenied,
    AuditUnavailable,
    AuditUnreadable,
    BrokenOff,
    ClientError,
    CreationErased,
    ImportOverlap,
    InvalidCursor,
    InvalidInput,
    InvalidJson,
    InvalidPerson,
    InvalidSearch,
    KeyReused,
    MembersHidden,
    NotAuthenticated,
    OutcomeUnknown,
    Overloaded,
    PersonNotFound,
    ProblemError,
    RateExceeded,
    StoreUnavailable,
    Unreachable,
    VersionConflict,
)
from peopleinfo.client.synchronous import Client

__all__ = [
    "ANY_VERSION",
    "AccessDenied",
    "AsyncClient",
    "AuditUnavailable",
    "AuditUnreadable",
    "BrokenOff",
    "Client",
    "ClientError",
    "CreationErased",
    "ImportOverlap",
    "ImportResult",
    "InvalidCursor",
    "InvalidInput",
    "InvalidJson",
    "InvalidPerson",
    "InvalidSearch",
    "KeyReused",
    "MembersHidden",
    "NotAuthenticated",
    "OutcomeUnknown",
    "Overloaded",
    "Page",
    "Person",
    "PersonNotFound",
    "ProblemError",
    "RateExceeded",
    "StoreUnavailable",
    "Unreachable",
    "VersionConflict",
]
