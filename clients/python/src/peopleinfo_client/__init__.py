"""Python client of PeopleInfo: `Client`, and `AsyncClient` for asyncio.

    ClientError
    ├── ConnectionFailed       no response arrived, and the server changed nothing
    ├── OutcomeUnknown         no response arrived, and the server may have made the change
    ├── StreamInterrupted      an import or export ended before its last line
    └── ProblemError           the server rejected the request: `status`, `detail`, `errors`, `request_id`
        ├── InvalidPerson  PersonNotFound  VersionConflict  …      one class for each problem type

docs/client.md describes how to use it.
"""

from peopleinfo_client._async import AsyncClient
from peopleinfo_client._requests import ANY_VERSION
from peopleinfo_client._sync import Client
from peopleinfo_client.batches import BatchItem, BatchResult
from peopleinfo_client.errors import (
    AccessDenied,
    AuditUnavailable,
    ChangesExpired,
    ClientError,
    ConnectionFailed,
    DuplicatesDisabled,
    FieldAccessDenied,
    FieldError,
    IdempotencyKeyConflict,
    IdempotentPersonDeleted,
    IdentifierConflict,
    ImportAlreadyRunning,
    ImportNotFound,
    ImportUndone,
    InvalidBatch,
    InvalidCursor,
    InvalidInput,
    InvalidJson,
    InvalidPerson,
    InvalidSearch,
    InvalidToken,
    NotAuthenticated,
    OutcomeUnknown,
    Overloaded,
    PersonNotFound,
    PossibleDuplicate,
    ProblemError,
    RateLimitExceeded,
    StoreUnavailable,
    StreamInterrupted,
    VersionConflict,
    VersionNotFound,
)
from peopleinfo_client.imports import Import, LeftPerson
from peopleinfo_client.models import (
    Candidate,
    Change,
    ChangePage,
    Count,
    DeletedPerson,
    Evidence,
    ImportResult,
    Matches,
    Page,
    Person,
    VersionSummary,
)

__version__ = "0.1.0"

__all__ = [
    "ANY_VERSION",
    "AccessDenied",
    "AsyncClient",
    "AuditUnavailable",
    "BatchItem",
    "BatchResult",
    "Candidate",
    "Change",
    "ChangePage",
    "ChangesExpired",
    "Client",
    "ClientError",
    "ConnectionFailed",
    "Count",
    "DeletedPerson",
    "DuplicatesDisabled",
    "Evidence",
    "FieldAccessDenied",
    "FieldError",
    "IdempotencyKeyConflict",
    "IdempotentPersonDeleted",
    "IdentifierConflict",
    "Import",
    "ImportAlreadyRunning",
    "ImportNotFound",
    "ImportResult",
    "ImportUndone",
    "InvalidBatch",
    "InvalidCursor",
    "InvalidInput",
    "InvalidJson",
    "InvalidPerson",
    "InvalidSearch",
    "InvalidToken",
    "LeftPerson",
    "Matches",
    "NotAuthenticated",
    "OutcomeUnknown",
    "Overloaded",
    "Page",
    "Person",
    "PersonNotFound",
    "PossibleDuplicate",
    "ProblemError",
    "RateLimitExceeded",
    "StoreUnavailable",
    "StreamInterrupted",
    "VersionConflict",
    "VersionNotFound",
    "VersionSummary",
]
