"""The interfaces of a store, one for each kind of caller. The conformance suite in tests/stores checks every implementation.

Every method may raise StoreUnavailable: the store did not respond in time, nothing was stored, and the caller may retry. A write may
also raise its subclass OutcomeUnknown: the write may have been stored. An acknowledged write survives a crash and power loss.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from peopleinfo.people.history import UPDATED, ChangeReader, HistoryExpiry, VersionReader
from peopleinfo.people.person import MAX_STORED_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from peopleinfo.errors import IdentifierConflict, PeopleInfoError, PersonNotFound, VersionConflict
    from peopleinfo.people.history import Origin
    from peopleinfo.people.idempotency import IdempotencyKey
    from peopleinfo.people.person import PersonData, StoredPerson
    from peopleinfo.people.person_filter import PersonFilter

    ReplaceOutcome = StoredPerson | PersonNotFound | VersionConflict | IdentifierConflict
    CreateOutcome = StoredPerson | PeopleInfoError

PAGE_SIZE: Final = 2 * 1024 * 1024  # bytes of records at which a page ends, even below its limit
_MAX_READ_ONLY_SIZE: Final = 1_024  # bytes of the read-only fields in the JSON of a record
MAX_HIDDEN_PAGE: Final = (PAGE_SIZE - 1) // (MAX_STORED_SIZE + _MAX_READ_ONLY_SIZE)
"""Records that have less than `PAGE_SIZE` bytes, whatever their sizes. No larger page may depend on the sizes of hidden fields."""
MAX_ROWS_SCANNED: Final = 5_000  # records that one page reads, including those that do not match


class Page(NamedTuple):
    """Records as JSON, and the position of the next page: opaque bytes of the store, None after the last page.

    A page with a next position may contain fewer records than its limit, or none.
    """

    people: list[bytes]
    next: bytes | None


def first_page(people: Iterable[bytes], limit: int) -> list[bytes]:
    """Return the first records of a page: at most `limit`, up to the one that brings it to `PAGE_SIZE` bytes."""
    page: list[bytes] = []
    size = 0
    for body in islice(people, limit):
        if size >= PAGE_SIZE:
            break
        page.append(body)
        size += len(body)
    return page


class Checkpoint(msgspec.Struct, frozen=True):
    """The progress of a bulk operation: it has processed `rows` rows of its input and stored `stored` of them as records."""

    operation_id: bytes
    rows: int = 0
    stored: int = 0
    digest: bytes = b""
    """Digest of these rows, which detects a different input on resume; empty for a copy."""
    position: bytes = b""
    """Position in the source of a copy after these rows; empty for an input that is read from its start."""
    finished: bool = False
    """Whether the operation is complete."""
    started_at: str = ""
    """The time at which an import started, RFC 3339."""


class Lease(NamedTuple):
    """The right of one process to do a periodic job. Until `expires_at`, only the holder (random bytes) can renew it."""

    name: str
    holder: bytes
    expires_at: datetime


class ReindexResult(NamedTuple):
    """The number of records read, the changed index values (old and new, see `Store.index_value`) and the next position or None."""

    people: int
    keys: list[tuple[str, str]]
    next: bytes | None


class PurgeResult(NamedTuple):
    """The number of records read, the number of those without an encryption key, and the next position or None."""

    people: int
    without_key: int
    next: bytes | None


class CacheStatus(StrEnum):
    """The source of a response."""

    LOCAL = "local"  # the memory of this process
    SHARED = "shared"  # the cache that all processes share
    MISS = "miss"  # the store: not cached
    BYPASS = "bypass"  # the store: the cache is unavailable or may be stale
    REQUEST = "request"  # the store: the request bypasses the cache

    __hash__ = str.__hash__  # Enum.__hash__ is a Python function, which would be called on every request


class Replacement(NamedTuple):
    """A change of one record in a batch: its new fields and the record that the caller has read."""

    data: PersonData
    current: StoredPerson


class Creation(NamedTuple):
    """A new record in a batch, and its idempotency key."""

    data: PersonData
    idempotency_key: IdempotencyKey | None = None


class PersonReader(Protocol):
    """Reads of current records. Reads by id and by surname return every write that any process had acknowledged before they started."""

    async def get(self, person_id: str) -> StoredPerson:
        """Return a record. Raises PersonNotFound, PersonMerged for a record that is merged into another one."""

    async def get_many(self, person_ids: Sequence[str]) -> list[StoredPerson | None]:
        """Return the records with these ids, in order; None for an unknown id."""

    async def merge_group(self, person_id: str) -> list[str]:
        """Return the ids of all records that are merged with this one, the current record first. Erasing one of them erases all.

        Without a merge, the list has this id alone, even if it is unknown.
        """

    async def find(self, person_filter: PersonFilter, *, after: bytes | None, limit: int) -> Page:
        """Return a page of the records with a surname key (oldest first) or a key prefix (by key, then oldest first).

        The records of an import in several batches may be ordered by the start of the import. Successive pages repeat no record, and
        omit none that kept its surname during the search. A page reads at most `MAX_ROWS_SCANNED` records and a few MiB. It ends with
        the record that brings it to `PAGE_SIZE` bytes. `limit` is at least 1. A search by prefix may miss writes of the last seconds.
        `after` is the `next` of the previous page.
        """

    async def scan(
        self,
        *,
        after: bytes | None,
        limit: int,
        person_filter: PersonFilter | None = None,
        segment: int = 0,
        segments: int = 1,
    ) -> Page:
        """Return a page of all records, or of those that match `person_filter`, in no defined order. Otherwise like `find`.

        The records are divided into `segments`, which can be read in parallel; this call reads number `segment`, counted from 0.
        """


class CachedReader(Protocol):
    """Reads that a cache may serve. They return no value that an acknowledged write has replaced, within the bounds of the cache."""

    async def get_cached(self, person_id: str) -> tuple[StoredPerson | None, CacheStatus]:
        """Return a record, None for an unknown id, and the source of the response."""

    async def get_many_cached(self, person_ids: Sequence[str]) -> tuple[dict[str, StoredPerson], list[CacheStatus]]:
        """Return the records with these ids, by id, and the source of each of them and of the unknown ids, in any order."""

    async def find_cached(
        self, person_filter: PersonFilter, *, after: bytes | None, limit: int
    ) -> tuple[Page, CacheStatus | None]:
        """Return a page, like `PersonReader.find`, and the source of the response; None for a search that is never cached."""


class ImmediateReader(Protocol):
    """Reads that need neither a thread nor a request to a server: of the local cache, or of the embedded store."""

    @property
    def source(self) -> CacheStatus | None:
        """The source of the results, None without a cache."""

    def get_now(self, person_id: str) -> StoredPerson | None:
        """Return a record, or None if the caller must use `CachedReader` or `PersonReader`."""

    def find_now(self, person_filter: PersonFilter, limit: int) -> tuple[bytes, bytes | None] | None:
        """Return the first page of a search by surname, or None as above: its records, separated by commas, and the next position."""


class JoinedReader(Protocol):
    """Batch reads of the embedded store that need neither a thread nor a value in Python for each record."""

    def join_now(self, person_ids: Sequence[str], parts: tuple[str, str, str, str]) -> bytes | None:
        """Return records in order, separated by commas. The parts come before the id, the version and the record, and after it.

        None if the caller must use `PersonReader.get_many`, for example for an unknown id or more than `PAGE_SIZE` bytes.
        """


class PersonWriter(Protocol):
    """Changes of single records."""

    async def create(
        self, data: PersonData, *, idempotency_key: IdempotencyKey | None = None, principal: str | None = None
    ) -> StoredPerson:
        """Store a new record, created by `principal`, and return it with its id and version 1.

        A second call with the same `idempotency_key` and content within `IDEMPOTENCY_TTL` returns the record of the first call, even if
        the person has changed since. Raises IdempotencyKeyConflict (different content), IdempotentPersonDeleted.
        """

    async def create_each(self, creations: Sequence[Creation], *, principal: str | None = None) -> list[CreateOutcome]:
        """Create records like `create`, and return for each, in order, the record or the error. No idempotency key may occur twice."""

    async def replace(
        self,
        person_id: str,
        data: PersonData,
        *,
        expected: int,
        current: StoredPerson | None = None,
        origin: Origin = UPDATED,
    ) -> StoredPerson:
        """Replace the fields of a record and increment its version. Raises PersonNotFound, VersionConflict unless at version `expected`.

        `current` is the record at that version if the caller has just read it; it saves some stores a read. The replaced version
        becomes part of the history.
        """

    async def delete(self, person_id: str, *, expected: int | None = None) -> None:
        """Delete a person, its history and every other copy of the record in the store. The feed of changes keeps the id.

        Raises PersonNotFound, VersionConflict unless at version `expected` (None: any version).
        """


class PersonStore(PersonReader, PersonWriter, Protocol):
    """Reads and changes of single records."""


class BulkStore(Protocol):
    """Writes of many records, with checkpoints from which an interrupted operation resumes."""

    async def create_many(
        self,
        people: Sequence[PersonData],
        *,
        checkpoint: tuple[Checkpoint, Checkpoint] | None = None,
        offsets: Sequence[int] = (),
        principal: str | None = None,
        import_id: bytes | None = None,
    ) -> list[str]:
        """Store new records, created by `principal`, durably and return their ids, in order.

        The log of imports records them under `import_id`, if there is one. Raises ImportUndone if that import was undone.

        `offsets` are the positions of the records among the rows of this step (default: the first ones). Another run of the step
        gives a row the same position.
        `checkpoint` is the current and the next checkpoint of the import, which the store updates atomically with the records.
        Raises ImportAlreadyRunning if the stored checkpoint is not the current one: another process runs the same import.
        """

    async def replace_many(
        self, replacements: Sequence[Replacement], *, origin: Origin = UPDATED
    ) -> list[ReplaceOutcome]:
        """Replace the fields of records, and return for each, in order, the record or why it is not changed.

        A record is changed if it still has the version that the caller has read. SQLite changes all of them in one transaction.
        DynamoDB changes each on its own: after OutcomeUnknown, some of them may be changed. No id may occur twice.
        The log of imports records the changes of an import. Raises ImportUndone if it was undone.
        """

    async def upsert_many(
        self, people: Sequence[bytes], *, checkpoint: tuple[Checkpoint, Checkpoint] | None = None
    ) -> int:
        """Insert or update records of another store, each as JSON, and return how many were new or changed.

        The records keep their ids, versions and timestamps. A record that exists at the same or a later version is not changed, so
        the operation is idempotent and accepts records in any order. Each record is stored completely or not at all.
        `checkpoint` is that of `create_many`; a store that cannot update both atomically stores the records first.
        """

    async def read_checkpoint(self, operation_id: bytes) -> Checkpoint:
        """Return the last checkpoint of a bulk operation; that of an unknown operation is `Checkpoint(operation_id)`."""

    async def delete_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Delete the checkpoint of a finished operation, unless another process has changed it."""


class LeaseStore(Protocol):
    """Leases, so that one of all processes does a job."""

    async def acquire_lease(self, lease: Lease, *, now: datetime) -> bool:
        """Acquire or renew a lease. Returns False if another holder has it and it has not expired at the time `now`."""


class StoreMaintenance(Protocol):
    """Operations of the service and its operator."""

    async def check(self) -> None:
        """Check that the store can serve reads and writes. Raises StoreUnavailable with the problem."""

    async def estimate(self) -> int | None:
        """Return the approximate number of records, for a progress bar; None if only a full scan could count them."""

    async def reindex(self, *, after: bytes | None, limit: int) -> ReindexResult:
        """Update the surname keys of the next `limit` records to the current `FOLD_VERSION`; versions do not change.

        A concurrent update of a record also updates its key. Until then, a search may miss a record if its key differs between the
        two versions.
        """

    async def purge(self, *, after: bytes | None, limit: int, remove: bool = True) -> PurgeResult:
        """Read the next `limit` records and, with `remove`, delete those without an encryption key.

        Restoring a backup of the store can bring back such records; they cannot be decrypted. A store without encryption has none.
        """

    def update_gauges(self) -> None:
        """Update the gauges of the store among the metrics of this process."""


class Store(PersonStore, VersionReader, ChangeReader, BulkStore, LeaseStore, HistoryExpiry, StoreMaintenance, Protocol):
    """All interfaces of a store, for implementations and wrappers. Every other caller takes one of the interfaces above."""

    def index_value(self, surname_key: str) -> str:
        """Return the indexed form of a surname key: the key itself, or its keyed hash if the store is encrypted."""
