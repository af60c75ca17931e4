"""The port to whatever keeps the people. Its promises stand here, once; the conformance suite (tests/stores) holds every store to them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.people.person import PersonData, StoredPerson
    from peopleinfo.people.search import PersonFilter

IDEMPOTENCY_TTL: Final = 24 * 60 * 60  # how long an idempotency key is remembered
PAGE_SIZE: Final = 2 * 1024 * 1024  # bytes of people at which a page ends, even if it holds fewer than its limit
MAX_ROWS_SCANNED: Final = 5_000  # at most so many people are looked at for one page, however few of them are meant


class ClientKey(NamedTuple):
    """A name that a client chose for an operation, for example its Idempotency-Key. It is valid for that principal alone."""

    principal: str
    """The name of the principal, which stays the same when its key is rotated."""
    key: str

    @property
    def encoded(self) -> bytes:
        """Bytes that differ whenever the principal or the key differs."""
        return msgspec.json.encode(self)


class IdempotencyKey(NamedTuple):
    """Makes a creation happen at most once: `key` names the request, `content` is the digest of what was asked (32 bytes each)."""

    key: bytes
    content: bytes


class Page(NamedTuple):
    """People as JSON texts, and where the next page begins: opaque bytes of the store's, None when there are no more.

    A page may hold fewer people than its limit, even none, and yet have a next one.
    """

    people: list[bytes]
    next: bytes | None


class Checkpoint(msgspec.Struct, frozen=True):
    """How far an import, or whatever else stores many people, has come: `rows` of its input are dealt with, `stored` of them as people.

    `digest` is of those rows, so that a repetition with another input is noticed; a copy keeps here where it goes on.
    """

    import_id: bytes
    rows: int = 0
    stored: int = 0
    digest: bytes = b""


class ReindexResult(NamedTuple):
    """How many people were looked at, the old and new keys (`Store.index`) of those who got another one, and where to go on: None at the end."""

    people: int
    keys: list[tuple[str, str]]
    next: bytes | None


class PurgeResult(NamedTuple):
    """How many people were looked at, of how many the key is gone, and where to go on: None at the end."""

    people: int
    without_key: int
    next: bytes | None


class ReadOptions:
    """How an answer may be found, and how it was: handed down with a read by whoever has to tell.

    A store without a cache in front leaves it as it is.
    """

    __slots__ = ("fresh", "source")

    def __init__(self, *, fresh: bool = False) -> None:
        self.fresh = fresh
        """Whether only what the store itself says will do."""
        self.source: CacheStatus | None = None
        """Where the answer came from; None when there is no cache."""


class CacheStatus(StrEnum):
    """Where an answer came from, as a cache sees it."""

    LOCAL = "local"  # the memory of this process
    SHARED = "shared"  # the cache that all processes share
    MISS = "miss"  # the store, since the cache did not have it
    BYPASS = "bypass"  # the store, since the cache could not be asked or was not to be trusted now
    REQUEST = "request"  # the store, since that was asked for

    __hash__ = str.__hash__  # an Enum's own is a function in Python, and is called at every request


class Store(Protocol):
    """Keeps people.

    Every method may raise StoreUnavailable: the store could not do it in time, nothing was stored, and it may be tried again; or its
    kind OutcomeUnknown, when it cannot be told whether a write was stored. An acknowledged write survives the end of the process and the
    loss of power. Reads by id and by surname see every write that was acknowledged, by any process, before they began, unless they come
    with a `Reading` that lets a cache answer.
    """

    @property
    def secret(self) -> bytes:
        """32 random bytes, made with the store and the same for everybody who opens it. Keys are derived from it."""

    def index_value(self, surname_key: str) -> str:
        """Return what stands for a surname's key where the people lie: the key itself, or a keyed hash where they are sealed."""

    @property
    def cache_state(self) -> str | None:
        """Whether the cache before the store is used now: "ok" or "down"; None when there is none."""

    async def get(self, person_id: str, *, options: ReadOptions | None = None) -> StoredPerson:
        """Return a person. Raises PersonNotFound."""

    async def create(self, details: PersonData, *, idempotency_key: IdempotencyKey | None = None) -> StoredPerson:
        """Store a new person and return it with its id and version 1.

        With `once`, a second call within 24 hours and with the same content returns the first call's record, whatever became of the
        person since. Raises KeyReused (same key, other content), CreationErased (the person has been erased meanwhile).
        """

    async def replace(
        self, person_id: str, details: PersonData, *, expected: int, current: StoredPerson | None = None
    ) -> StoredPerson:
        """Store new details under the next version. Raises PersonNotFound, VersionConflict unless at version `expected`.

        `known` is the person at that version, if the caller has just read it: it spares some stores a read.
        """

    async def delete(self, person_id: str, *, expected: int | None = None) -> None:
        """Remove a person and every copy of it that the store keeps.

        Raises PersonNotFound, VersionConflict unless at version `expected` (None: at any).
        """

    async def find(
        self, person_filter: PersonFilter, *, after: bytes | None, limit: int, options: ReadOptions | None = None
    ) -> Page:
        """Return a page of the people under a surname key (oldest first) or a prefix (by key, then oldest first).

        Those of an import that takes several steps may stand where it began, before others who came in the meantime.
        From page to page nobody comes twice, and nobody is left out who was there and had the surname throughout. At most `EXAMINED`
        people are looked at. A page ends with the person that makes it `PAGE_SIZE` bytes or more; the store reads no more than some MiB
        to fill it. `limit` is at least 1. A search by prefix may miss writes of the last seconds. `after` is the `next` of the page before.
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
        """Return a page of everyone, or of those who match `where`, in no order to rely on; with the promises of `find`.

        The people are divided into `segments` that can be read side by side; this reads number `segment`, counted from 0.
        """

    async def create_many(
        self, people: Sequence[PersonData], *, checkpoint: tuple[Checkpoint, Checkpoint] | None = None
    ) -> list[str]:
        """Store many new people durably and return their ids, in order.

        With `step`, the import's progress goes from the first to the second together with what is stored: either both or neither.
        Raises ImportOverlap when the import is not where `step` begins: it runs a second time somewhere else.
        """

    async def progress(self, import_id: bytes) -> Checkpoint:
        """Return how far an import had come at its last `load`; one that is not known is at its beginning."""

    def update_gauges(self) -> None:
        """Note how it stands now, for the figures of this process."""

    async def upsert_many(
        self, people: Sequence[bytes], *, checkpoint: tuple[Checkpoint, Checkpoint] | None = None
    ) -> int:
        """Take over people from another store as they are, each the JSON of a record, and return how many were not here like that.

        They keep their ids, versions and times, and are found by all of these as if they had been created here. Who is here at the same or
        a later version stays as it is: so it may be repeated, and people may come in any order. A person is taken over whole or not at all.
        With `step` as `load`; where the store cannot do both at once, the people are stored first.
        """

    async def reindex(self, *, after: bytes | None, limit: int) -> ReindexResult:
        """Look at the next `limit` people and give those whose surname's key is of an older fold the key of today's; their versions stay.

        Those who change at the same time get today's key by that. Until it has come to a person, a search may miss it whose key is changed
        by the new fold.
        """

    async def purge(self, *, after: bytes | None, limit: int, remove: bool = True) -> PurgeResult:
        """Look at the next `limit` people and `remove` what is left of those whose key is gone, as a backup of the store brings it back.

        Nobody can read those. Where people are not sealed nobody is like that.
        """

    async def estimate(self) -> int | None:
        """Return about how many people there are, for a progress bar; None when that is not known without counting."""

    async def check(self) -> None:
        """Return when the store can serve reads and writes. Raises StoreUnavailable, saying what is wrong."""
