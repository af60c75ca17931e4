"""The kinds of stores under test: how to open each one, and their known differences."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from peopleinfo.crypto.master_key import Encryption, FileMasterKey, create_file
from peopleinfo.errors import PersonNotFound
from peopleinfo.people.history import DEFAULT_LIMITS
from peopleinfo.people.index_entries import DEFAULT_PLAN
from peopleinfo.people.person import PersonData
from peopleinfo.people.person_filter import PersonFilter, Search
from peopleinfo.settings.urls import DynamoDBUrl
from peopleinfo.stores.cached.merges import CachedMerges
from peopleinfo.stores.cached.store import open_cached
from peopleinfo.stores.cached.trash import CachedTrash
from peopleinfo.stores.dynamodb import schema
from peopleinfo.stores.dynamodb.factory import open_dynamodb, open_table
from peopleinfo.stores.dynamodb.items import bytes_attr
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests import dynamodb_servers, valkey_servers
from tests.limits import HANG_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from peopleinfo.people.history import HistoryLimits
    from peopleinfo.people.index_entries import IndexPlan
    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.store import Page, Store
    from peopleinfo.stores.cached.store import CachedStore
    from peopleinfo.stores.dynamodb.client import Item
    from peopleinfo.stores.service_store import OpenedStore

_FENCE_TTL: Final = 0.02  # seconds; short, as a new cache cannot have lost a fence
GENEROUS_TIMEOUT: Final = (
    60  # seconds for an attempt of a DynamoDB call: no result may depend on the load of the machine
)
CACHED: Final = "sqlite+cache"
ENCRYPTED: Final = "sqlite+encrypted"  # differs from "sqlite" only in the file, which HTTP does not expose
ENCRYPTED_TABLE: Final = "ministack+encrypted"  # differs from "ministack" only in the tables
STORES: Final[list[str]] = ["sqlite", *dynamodb_servers.KINDS, CACHED]
ALL_STORES: Final = [*STORES, ENCRYPTED, ENCRYPTED_TABLE]

# (kind of store, feature) → why its tests are skipped. A test requires a feature with `@pytest.mark.needs("feature")`.
KNOWN_DIFFERENCES: Final[dict[tuple[str, str], str]] = {
    (
        ENCRYPTED_TABLE,
        "time",
    ): "takes too long on this store; the same test runs on this table without encryption and on an encrypted file",
}


class Clock:
    """A clock that advances only on request.

    It starts far in the future: servers delete expired items by the real time, which must not happen during a test.
    """

    def __init__(self) -> None:
        self._moment = datetime(2126, 3, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self._moment

    def advance(self, **by: float) -> None:
        """Advance by days, hours, minutes or seconds (the arguments of timedelta)."""
        self._moment += timedelta(**by)


class MonotonicClock:
    """Replaces `time.monotonic`; advances only when a test sets `now`."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def open_store(
    kind: str, tmp_path: Path, clock: Clock, limits: HistoryLimits = DEFAULT_LIMITS, plan: IndexPlan = DEFAULT_PLAN
) -> AsyncIterator[OpenedStore]:
    """Open a store of this kind; the same `tmp_path` opens the same store."""
    async with AsyncExitStack() as stack:
        if kind in ("sqlite", CACHED, ENCRYPTED):
            opening: AbstractAsyncContextManager[OpenedStore] = open_sqlite(
                tmp_path / "people.db",
                now=clock.now,
                encryption=encryption(tmp_path) if kind == ENCRYPTED else None,
                limits=limits,
                plan=plan,
            )
        else:
            location = table_location(kind.removesuffix("+encrypted"), tmp_path)
            given = encryption(tmp_path) if kind == ENCRYPTED_TABLE else None
            await make_table(location, encrypted=given is not None)
            opening = open_dynamodb(location, now=clock.now, encryption=given, limits=limits, plan=plan)
        store = await stack.enter_async_context(opening)
        if kind == CACHED:
            url = valkey_servers.shared_url()
            cache = open_cached(
                store,
                url,
                secret=store.secret,
                ttl=60,
                local_size=0,
                command_timeout=HANG_TIMEOUT,
                fence_ttl=_FENCE_TTL,
            )
            store = cast("OpenedStore", ReadThroughCache(store, await stack.enter_async_context(cache)))
        yield store


class NoEndedSessions:
    """A store of ended sessions for tests where no user signs out."""

    async def add(self, session_id: bytes, *, expires_at: datetime) -> None:
        raise AssertionError("unexpected end of a session")

    async def contains(self, session_id: bytes) -> bool:
        return False


def encryption(folder: Path, *, prefixes: bool = True) -> Encryption:
    """Return encryption settings with the master key of a directory, which is created if missing."""
    return Encryption(FileMasterKey(master_key(folder)), prefixes)


def master_key(folder: Path) -> Path:
    """Return the file of the master key of a directory, which is created if missing."""
    path = folder / "master.key"
    if not path.exists():
        create_file(path)
    return path


class ReadThroughCache:
    """A cached store that serves all reads from the shared cache if possible, but not from the memory of the process."""

    def __init__(self, opened: OpenedStore, cached: CachedStore) -> None:
        self._cached = cached
        self.secret = opened.secret
        self.imports = opened.imports
        self.archive = opened.archive
        self.matches = opened.matches
        self.api_keys = opened.api_keys
        self.ended_sessions = opened.ended_sessions
        self.trash = CachedTrash(opened.trash, cached)
        self.merges = CachedMerges(opened.merges, cached)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cached, name)

    async def get(self, person_id: str) -> StoredPerson:
        record, _ = await self._cached.get_cached(person_id)
        if record is None:
            raise PersonNotFound(person_id)
        return record

    async def find(self, person_filter: PersonFilter, *, after: bytes | None, limit: int) -> Page:
        page, _ = await self._cached.find_cached(person_filter, after=after, limit=limit)
        return page


async def purge_all(store: Store, *, remove: bool = True) -> tuple[int, int]:
    """Purge all records without a key; return the number of records scanned and of those without a key."""
    people, without_key, after = 0, 0, None
    while True:
        result = await store.purge(after=after, limit=2, remove=remove)
        people, without_key, after = people + result.people, without_key + result.without_key, result.next
        if after is None:
            return people, without_key


def server_settings(kind: str, folder: Path, *, workers: int = 1) -> dict[str, object]:
    """Return the settings of a server on a store of this kind; the same directory means the same store."""
    settings: dict[str, object] = {"store_url": store_url(kind, folder), "workers": workers}
    if kind == ENCRYPTED:
        settings["encryption"] = f"file://{master_key(folder)}"
    if kind == CACHED:
        settings |= {"cache_url": valkey_servers.shared_url(), "cache_timeout": 5, "cache_fence_ttl": _FENCE_TTL}
        if workers > 1:  # the local caches of workers may briefly differ, as documented
            settings["cache_local_size"] = 0
    return settings


def store_url(kind: str, folder: Path, *, timeout: int = GENEROUS_TIMEOUT) -> str:
    """Return the URL of a store of this kind, creating its tables; the same directory means the same store."""
    if kind in ("sqlite", CACHED, ENCRYPTED):
        return f"sqlite:///{folder / 'people.db'}"
    location = table_location(kind, folder)
    asyncio.run(make_table(location))
    return f"dynamodb://{location.region}/{location.table}?endpoint={location.endpoint}&timeout={timeout}"


def table_location(kind: str, folder: Path, shards: int | None = None) -> DynamoDBUrl:
    """Return the location of a directory's table on a server of this kind."""
    table = "People-" + hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return DynamoDBUrl("eu-west-1", table, dynamodb_servers.endpoint(kind), shards, timeout=GENEROUS_TIMEOUT)


async def make_table(location: DynamoDBUrl, *, encrypted: bool = False) -> None:
    """Create the table and, if encrypted, the key table, unless they exist."""
    async with open_table(location) as table:
        await schema.create(table)
        dynamodb_servers.record_table(location.endpoint, table.name)
        if encrypted:
            await schema.create(table.for_table(location.key_table), schema.KEYS)
            dynamodb_servers.record_table(location.endpoint, location.key_table)


async def all_items(location: DynamoDBUrl, name: str) -> list[Item]:
    """Return all items of a table."""
    items: list[Item] = []
    start: dict[str, Any] = {}
    async with open_table(location) as table:
        while True:
            page, last = await table.for_table(name).scan(limit=1_000, **start)
            items += page
            if last is None:
                return items
            start = {"ExclusiveStartKey": last}


def raw_bytes(items: list[Item]) -> bytes:
    """Return all attribute names and decoded values of the items."""
    return b"\n".join(
        name.encode() + (bytes_attr(item, name) if "B" in item[name] else str(item[name]).encode())
        for item in items
        for name in item
    )


def person_data(surname: str | None, name: str | None = None, born: str | None = None, **more: Any) -> PersonData:
    """Return the data of a person."""
    return PersonData(person_surname=surname, person_name=name, person_birthdate=born, extra=more)


def person_filter(**search: Any) -> PersonFilter:
    """Return the filter for these search parameters."""
    return PersonFilter(Search(**search))


async def find_all(store: Store, filtered: PersonFilter, *, limit: int = 100) -> list[bytes]:
    """Return the records from all pages of a search by surname or prefix."""
    people: list[bytes] = []
    after: bytes | None = None
    while True:
        page = await store.find(filtered, after=after, limit=limit)
        assert len(page.people) <= limit
        people += page.people
        if (after := page.next) is None:
            return people


async def scan_all(
    store: Store, filtered: PersonFilter | None = None, *, limit: int = 100, segments: int = 1
) -> list[bytes]:
    """Return the matching records from all pages of all segments."""
    people: list[bytes] = []
    for segment in range(segments):
        after: bytes | None = None
        while True:
            page = await store.scan(
                after=after, limit=limit, person_filter=filtered, segment=segment, segments=segments
            )
            assert len(page.people) <= limit
            people += page.people
            if (after := page.next) is None:
                break
    return people
