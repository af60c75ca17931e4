"""The log of imports: each import, the people that it created or updated, and the outcome of its undo."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from peopleinfo.people.history import HISTORY_AGE, milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, timedelta

    from peopleinfo.people.history import HistoryLimits

BATCH_PEOPLE: Final = 1_000  # people of one batch
_ID_SIZE: Final = 16  # bytes
_VERSION_SIZE: Final = 8
_TIME_SIZE: Final = 8
_KEY_SIZE: Final = 8


class ImportState(StrEnum):
    """The progress of an import."""

    STARTED = "started"  # it is running or was interrupted
    FINISHED = "finished"
    UNDOING = "undoing"  # its undo is running or was interrupted
    UNDONE = "undone"

    __hash__ = str.__hash__  # Enum.__hash__ is a Python function


UNDO_STATES: Final = (ImportState.UNDOING, ImportState.UNDONE)


class LeftReason(StrEnum):
    """Why an undo left a person unchanged."""

    CHANGED = "changed"  # since the import
    DELETED = "deleted"  # since the import updated the person
    NO_HISTORY = "no-history"  # the version before the import is not stored
    IDENTIFIER_TAKEN = "identifier-taken"  # another person has an earlier value of a unique identifier

    __hash__ = str.__hash__  # Enum.__hash__ is a Python function


class LeftPerson(NamedTuple):
    """A person that an undo left unchanged."""

    person_id: str
    reason: LeftReason


class ImportCounts(msgspec.Struct, frozen=True):
    """Numbers of people that an import created and updated, and that its undo deleted, restored and left unchanged."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    restored: int = 0
    left: int = 0


class ImportEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An import. An id (16 bytes) starts with the time of its start, so that ids are in the order of the imports."""

    import_id: bytes
    started_at: str
    principal: str | None
    state: ImportState = ImportState.STARTED
    operation_id: bytes | None = None
    """The id of its checkpoint; None for an import that cannot resume."""
    file: bytes = b""
    """Name and digest of its file, encrypted, because they may be personal data; empty if unknown."""
    counts: ImportCounts | None = None
    """None while the import or its undo has not finished."""


class UndoOutcome(msgspec.Struct, frozen=True, array_like=True):
    """The outcome of the undo of one batch."""

    deleted: int
    restored: int
    left: list[LeftPerson]


class ImportedPeople(msgspec.Struct, frozen=True, array_like=True):
    """People that an import created, and those that it updated with their new versions, as joined bytes."""

    created_ids: bytes
    updated_versions: bytes

    @property
    def created(self) -> list[str]:
        """The ids of the people that the import created."""
        return [one.hex() for one in _split(self.created_ids, _ID_SIZE)]

    @property
    def updated(self) -> list[tuple[str, int]]:
        """The ids of the people that the import updated, each with its new version."""
        pairs = _split(self.updated_versions, _ID_SIZE + _VERSION_SIZE)
        return [(one[:_ID_SIZE].hex(), int.from_bytes(one[_ID_SIZE:])) for one in pairs]

    @property
    def counts(self) -> ImportCounts:
        """The numbers of these people."""
        return ImportCounts(len(self.created_ids) // _ID_SIZE, len(self.updated_versions) // (_ID_SIZE + _VERSION_SIZE))


class ImportBatch(NamedTuple):
    """Some people of an import, the key of the batch in the store, and the outcome of their undo; None before it."""

    key: bytes
    people: ImportedPeople
    outcome: UndoOutcome | None


class ImportLog(Protocol):
    """The log of imports. `BulkStore` records the people of an import with their changes. Entries expire like the history."""

    async def start_import(self, entry: ImportEntry) -> None:
        """Store the entry of an import unless it exists. Raises ImportUndone if the import was undone."""

    async def read_import(self, import_id: bytes) -> ImportEntry:
        """Return the entry of an import. Raises ImportNotFound."""

    async def list_imports(self, *, before: bytes | None, limit: int) -> list[ImportEntry]:
        """Return up to `limit` entries with ids below `before`, newest first."""

    async def update_import(self, entry: ImportEntry, *, expected: Sequence[ImportState]) -> bool:
        """Replace an entry if it has one of the `expected` states; return whether it had."""

    async def delete_import(self, import_id: bytes) -> None:
        """Delete the entry of an import without people."""

    async def read_batches(self, import_id: bytes, *, after: bytes | None, limit: int) -> list[ImportBatch]:
        """Return up to `limit` batches of an import with keys above `after`, by key; fewer only at the end."""

    async def save_outcome(self, import_id: bytes, key: bytes, outcome: UndoOutcome) -> None:
        """Store the outcome of the undo of a batch."""

    async def store_batches(self, import_id: bytes, batches: Sequence[ImportBatch]) -> None:
        """Store batches of another store; their keys are those of `batch_key`. Repeatable."""


encode_entry: Final = msgspec.json.encode
decode_entry: Final = msgspec.json.Decoder(ImportEntry).decode
encode_people: Final = msgspec.msgpack.encode
decode_people: Final = msgspec.msgpack.Decoder(ImportedPeople).decode
encode_outcome: Final = msgspec.json.encode
decode_outcome: Final = msgspec.json.Decoder(UndoOutcome).decode


def batch_key(number: int) -> bytes:
    """Return the key of a batch of another store by its number in the import, counted from 1."""
    return number.to_bytes(_KEY_SIZE)


def created_batches(person_ids: Sequence[str]) -> Iterator[ImportedPeople]:
    """Divide created people into batches."""
    for start in range(0, len(person_ids), BATCH_PEOPLE):
        yield ImportedPeople(bytes.fromhex("".join(person_ids[start : start + BATCH_PEOPLE])), b"")


def updated_batches(people: Sequence[tuple[str, int]]) -> Iterator[ImportedPeople]:
    """Divide updated people, each with its new version, into batches."""
    for start in range(0, len(people), BATCH_PEOPLE):
        batch = people[start : start + BATCH_PEOPLE]
        yield ImportedPeople(
            b"", b"".join(bytes.fromhex(one) + version.to_bytes(_VERSION_SIZE) for one, version in batch)
        )


def new_import_id(started_at: datetime, suffix: bytes) -> bytes:
    """Return the id of an import that started at a time; `suffix` (8 bytes) distinguishes imports of the same millisecond."""
    return milliseconds(started_at).to_bytes(_TIME_SIZE) + suffix


def first_id(moment: datetime) -> bytes:
    """Return the lowest id of an import that started at a time."""
    return new_import_id(moment, b"")


def retention(limits: HistoryLimits) -> timedelta:
    """Return the age at which entries expire: that of versions, or the default age if only their number is limited."""
    return limits.max_age if limits.max_age is not None else HISTORY_AGE


def _split(joined: bytes, size: int) -> Iterator[bytes]:
    return (joined[start : start + size] for start in range(0, len(joined), size))
