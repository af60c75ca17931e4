"""Exceptions of the domain.

    PeopleInfoError
    ├── InvalidJson                     not JSON, or JSON with more than one interpretation
    ├── InvalidPerson                   JSON, but not a valid person; lists every error
    ├── InvalidSearch                   invalid search parameters; lists every error
    ├── InvalidBatch                    a batch, or one of its items, has an invalid form; lists every error
    ├── PersonNotFound
    │   └── PersonMerged                the record is merged into another one
    ├── VersionNotFound                 the version does not exist or has expired
    ├── ChangesExpired                  changes after a position of the feed have expired
    ├── VersionConflict                 the record has changed since the caller read it
    ├── MergeNotFound
    ├── InvalidMerge                    invalid parameters of a merge or undo; lists every error
    ├── MergeCycle                      a merge of a record with itself
    ├── MergeTooLarge                   too many records, or too long a chain of merges
    ├── UndoFirst                       another merge must be undone before this one
    ├── ChangedSinceMerge               an undo needs a decision about edited fields
    ├── (matching/errors.py)            errors of the detection of duplicates
    ├── IdempotencyKeyConflict          an idempotency key was reused with different content
    ├── IdempotentPersonDeleted         the person created with an idempotency key has been deleted
    ├── ImportAlreadyRunning            the same import runs in another process
    ├── ImportNotFound                  there is no import with this id, or its entry has expired
    ├── ImportUndone                    the import was undone and cannot continue
    ├── LeaseLost                       another process has taken over a periodic job
    ├── NotAuthenticated                no valid credential
    ├── AccessDenied                    the principal lacks a scope
    ├── FieldAccessDenied               the request would reveal or change hidden fields
    ├── RateLimitExceeded
    ├── Overloaded                      the requests in progress have used up their memory budget
    ├── Unavailable                     a part of the service cannot be used now; the operation was not carried out
    │   ├── StoreUnavailable            temporary; nothing was stored
    │   │   └── OutcomeUnknown          temporary; the write may have been stored
    │   ├── StoreDamaged                a file or record is corrupt; restore a backup
    │   │   └── DecryptionFailed        a stored value does not belong to its key
    │   └── AuditUnavailable            the audit log cannot be read or written
    ├── StoreConfigurationError         permanent until an operator fixes it: permissions, schema, wrong file
    │   └── StoreMissing                the store does not exist
    ├── InvalidCursor                   the cursor of a page does not belong to the search
    ├── InvalidToken                    the token is not a position in the feed of changes
    ├── InvalidInput                    the file of an import cannot be read
    ├── InvalidSettings
    ├── ApiKeyError                     an API key cannot be created, found or changed
    ├── TargetNotEmpty                  the target of a copy or restore contains other records
    ├── InvalidBackup                   missing, incomplete, damaged or another backup
    └── BackupStorageUnavailable

Each exception takes data and formats its own message. No message contains personal data.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class FieldError(NamedTuple):
    """One validation error of a document or of query parameters.

    `pointer` is the JSON Pointer (RFC 6901) of a field, "" for the whole document, or the bare name of a query parameter.
    `reason` states the problem and the remedy, never the value.
    """

    pointer: str
    reason: str


class PeopleInfoError(Exception):
    """Base class of all errors of this service."""


class _InvalidInput(PeopleInfoError):
    """A document failed validation with the listed errors."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{e.pointer or 'document'}: {e.reason}" for e in self.errors))


class InvalidJson(PeopleInfoError):
    """The text is not JSON, or parsers may interpret it differently."""


class InvalidPerson(_InvalidInput):
    """The document is JSON but not a valid person."""


class InvalidSearch(_InvalidInput):
    """Invalid search parameters."""


class InvalidBatch(_InvalidInput):
    """A batch, or one of its items, has an invalid form."""


class PersonNotFound(PeopleInfoError):
    """The person does not exist or has been deleted."""

    def __init__(self, person_id: str) -> None:
        self.person_id = person_id
        super().__init__("there is no person with this id")


class VersionNotFound(PeopleInfoError):
    """The record has no such version, or the version has expired."""

    def __init__(self, person_id: str) -> None:
        self.person_id = person_id
        super().__init__("the person has no such version, or it has expired: read the history for the stored versions")


class ChangesExpired(PeopleInfoError):
    """Some changes after a position of the feed have expired."""

    def __init__(self) -> None:
        super().__init__(
            "changes after this token have expired: export all people, then continue with the token of the export"
        )


class VersionConflict(PeopleInfoError):
    """The current version of the record is not the one that the caller expects."""

    def __init__(self, person_id: str, *, actual: int) -> None:
        self.person_id = person_id
        self.actual = actual
        super().__init__(f"the record is now at version {actual}: read it again and repeat the change")


class IdentifierConflict(PeopleInfoError):
    """Another person has the same value of a unique identifier."""

    def __init__(
        self, field: str, person_id: str, *, remedy: str = "correct the value, or update that person instead"
    ) -> None:
        self.field = field
        self.person_id = person_id
        super().__init__(f"another person has the same {field}: {remedy}")


class PersonMerged(PersonNotFound):
    """The record is merged into another one, and can neither change nor take part in a merge."""

    def __init__(self, merged_into: str, merge_id: str) -> None:
        self.merged_into = merged_into
        self.merge_id = merge_id
        PeopleInfoError.__init__(self, "the record is merged into another record: use `merged_into`, or undo the merge")


class MergeNotFound(PeopleInfoError):
    """The merge does not exist, or its people have been erased."""

    def __init__(self) -> None:
        super().__init__("there is no merge with this id, or its people have been erased")


class InvalidMerge(_InvalidInput):
    """Invalid parameters of a merge or an undo."""


class MergeCycle(PeopleInfoError):
    """The merge names a record twice, or no record to merge."""

    def __init__(self) -> None:
        super().__init__("a merge needs a survivor and at least one other record, each named once")


class MergeTooLarge(PeopleInfoError):
    """The merge has too many records, or its chain would be too long."""

    def __init__(self, records: int, depth: int) -> None:
        super().__init__(f"a merge has at most {records} records and a chain of {depth} merges: split the merge")


class UndoFirst(PeopleInfoError):
    """The survivor of the merge is itself merged; that merge must be undone first."""

    def __init__(self, merge_id: str) -> None:
        self.merge_id = merge_id
        super().__init__(f"the surviving record is itself merged: undo merge {merge_id} first")


class ChangedSinceMerge(PeopleInfoError):
    """Fields that the merge set were edited afterwards, and the undo does not name the record that keeps the edits."""

    def __init__(self, fields: Sequence[str]) -> None:
        self.fields = tuple(fields)
        super().__init__("fields were edited after the merge: name them in `keep` with survivor, merged or both")


class IdempotencyKeyConflict(PeopleInfoError):
    """The idempotency key was used before with different content."""

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used with different content: use a new key for a new request")


class IdempotentPersonDeleted(PeopleInfoError):
    """The person created with this idempotency key has been deleted and is not created again."""

    def __init__(self) -> None:
        super().__init__("the person created with this Idempotency-Key has been deleted: use a new key")


class ImportAlreadyRunning(PeopleInfoError):
    """The same import runs in another process, or another process has resumed it."""

    def __init__(self) -> None:
        super().__init__("the same import runs in another process, no row was stored twice: wait for its end")


class ImportNotFound(PeopleInfoError):
    """There is no import with this id, or its entry has expired."""

    def __init__(self) -> None:
        super().__init__("there is no import with this id, or its entry has expired: list the imports")


class ImportUndone(PeopleInfoError):
    """The import was undone, completely or in part, and cannot store more people."""

    def __init__(self) -> None:
        super().__init__("this import was undone: complete the undo, then import the file again under a new key")


class LeaseLost(PeopleInfoError):
    """Another process has taken over a periodic job, because this process did not renew its lease in time."""

    def __init__(self, job: str) -> None:
        super().__init__(f"another process has taken over {job}, because this process did not renew its lease in time")


class NotAuthenticated(PeopleInfoError):
    """The request has no valid credential. The message never reveals why a credential is invalid."""

    def __init__(self) -> None:
        super().__init__("no valid credential: send an API key or a token as Authorization: Bearer")


class AccessDenied(PeopleInfoError):
    """The principal lacks the scope that the operation requires."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__(f"the operation requires the scope {scope}")


class RateLimitExceeded(PeopleInfoError):
    """The client exceeded its rate limit and may retry after `retry_after` seconds."""

    def __init__(self, *, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"rate limit exceeded: retry in {retry_after} seconds")


class Overloaded(PeopleInfoError):
    """The requests in progress have used up their memory budget. The request was not processed and can be retried."""

    retry_after = 1

    def __init__(self) -> None:
        super().__init__("the requests in progress use all memory reserved for requests: retry in 1 second")


class FieldAccessDenied(PeopleInfoError):
    """The request would reveal, filter by or change fields that are hidden from the principal."""

    def __init__(self, fields: Sequence[str]) -> None:
        self.fields = tuple(fields)
        super().__init__(f"the credential has no access to {', '.join(self.fields)}: leave out what uses these fields")


class Unavailable(PeopleInfoError):
    """A part of the service cannot be used now. The caller may retry after `retry_after` seconds."""

    def __init__(self, problem: str, *, retry_after: int = 1) -> None:
        self.retry_after = retry_after
        super().__init__(problem)


class StoreUnavailable(Unavailable):
    """The store is temporarily unavailable. Nothing was stored; the caller may retry."""


def temporary_folder_full(content: str, error: OSError) -> StoreUnavailable:
    """Return the error of a temporary folder that cannot store some content, for example the response."""
    reason = os.strerror(error.errno or errno.EIO)
    return StoreUnavailable(f"the temporary folder cannot store the {content} ({reason})", retry_after=30)


class OutcomeUnknown(StoreUnavailable):
    """The store did not confirm in time whether the write was stored."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem}; the write may or may not have been stored: read the record before you retry")


class StoreDamaged(Unavailable):
    """A file of the store, or a record in it, is corrupt."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem}: restore a backup (docs/operations.md, Damaged files)", retry_after=60)


class DecryptionFailed(StoreDamaged):
    """A ciphertext or its key was changed, or belongs to another record."""

    def __init__(self) -> None:
        super().__init__("a stored value cannot be decrypted with its key")


class AuditUnavailable(Unavailable):
    """The audit log cannot be read or written; the operation was not carried out."""

    def __init__(
        self, reason: str, *, remedy: str = "free disk space or restore the file, then retry", retry_after: int = 5
    ) -> None:
        message = f"the audit log is unavailable ({reason}), so the operation was not carried out: {remedy}"
        super().__init__(message, retry_after=retry_after)


class StoreConfigurationError(PeopleInfoError):
    """The store cannot be opened until an operator fixes the problem in the message."""


class StoreMissing(StoreConfigurationError):
    """The store does not exist, and the operation does not create it."""

    def __init__(self, store: str) -> None:
        super().__init__(f"there is no {store}: create it with `peopleinfo store create`")


class InvalidToken(PeopleInfoError):
    """The token was not issued by the feed of changes of this deployment."""

    def __init__(self) -> None:
        super().__init__("this is no token of the feed of changes: request the current one without since")


class InvalidCursor(PeopleInfoError):
    """The cursor was not issued to this principal for this search."""

    def __init__(self) -> None:
        super().__init__("the cursor does not belong to this search; start again without a cursor")


class InvalidInput(PeopleInfoError):
    """The input as a whole cannot be read as records.

    `safe_message` quotes nothing of the input, for logs and responses: without a header the first row is personal data.
    """

    def __init__(self, message: str, *, safe_message: str | None = None) -> None:
        self.safe_message = safe_message or message
        super().__init__(message)


class InvalidSettings(PeopleInfoError):
    """Invalid settings. Each line of the message names one setting, the problem and the remedy."""


class ApiKeyError(PeopleInfoError):
    """An API key cannot be created, found or changed."""


class TargetNotEmpty(PeopleInfoError):
    """The target contains records that no earlier run of the same operation stored."""

    def __init__(self, remedy: str) -> None:
        super().__init__(f"the target is not empty: {remedy}")


class InvalidBackup(PeopleInfoError):
    """The backup is missing, incomplete, damaged or not the expected one; the message gives the problem."""


class BackupStorageUnavailable(PeopleInfoError):
    """The storage of a backup is unavailable; the message gives the reason."""
