"""A store behind a cache: reads may be served from the cache, and writes keep it coherent."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import msgspec
import structlog
from redis.asyncio import Redis

from peopleinfo.errors import PersonMerged, PersonNotFound, StoreUnavailable, VersionConflict
from peopleinfo.people.history import UPDATED
from peopleinfo.people.person import StoredPerson, decode_header
from peopleinfo.people.store import CacheStatus, Page, ReindexResult
from peopleinfo.stores.cached.batch_reads import NOT_FOUND, BatchReader, decode_record, encode_record, person_name
from peopleinfo.stores.cached.fenced_writes import FencedWriter, cancel
from peopleinfo.stores.cached.immediate_reads import LocalReader
from peopleinfo.stores.cached.local import LocalCache
from peopleinfo.stores.cached.redis_client import TIMEOUT, open_redis
from peopleinfo.stores.cached.shared import FENCE_TTL, Hit, Lease, SharedCache
from peopleinfo.telemetry import tracing
from peopleinfo.telemetry.metrics import CACHE_COALESCED_READS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence

    from peopleinfo.people.history import Origin
    from peopleinfo.people.idempotency import IdempotencyKey
    from peopleinfo.people.person import PersonData
    from peopleinfo.people.person_filter import PersonFilter
    from peopleinfo.people.store import Checkpoint, CreateOutcome, Creation, Replacement, ReplaceOutcome, Store

T = TypeVar("T")

_KEY_LENGTH: Final = 512  # characters of a surname key; the cache is not used for longer ones
_DELETIONS: Final = 20  # attempts of a deletion that conflicts with concurrent changes
_encode = msgspec.msgpack.Encoder().encode
# Of a merged record, which is cached with version 0: the survivor and the merge.
_decode_merged = msgspec.msgpack.Decoder(tuple[str, str]).decode
_decode_page = msgspec.msgpack.Decoder(Page).decode


class _Query(NamedTuple):
    """A cacheable read: its keys in both caches, the read from the store, and the codec of its result."""

    local_key: Hashable
    name: str
    page: str
    read: Callable[[], Awaitable[Any]]
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


@asynccontextmanager
async def open_cached(
    store: Store,
    url: str,
    *,
    secret: bytes,
    ttl: float,
    local_size: int,
    user: str = "",
    password: str = "",
    strict: bool = False,
    command_timeout: float = TIMEOUT,
    fence_ttl: float = FENCE_TTL,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[CachedStore]:
    """Open the cache at `url`, which need not be reachable yet, in front of a store. `secret` protects the entries.

    Entries expire after `ttl` seconds. This process caches at most `local_size` bytes (0: none). With `strict`, a write that cannot
    invalidate the cache is acknowledged only after `ttl` seconds, when no stale entry remains.
    """
    async with AsyncExitStack() as stack:
        opening = open_redis(url, user=user, password=password, command_timeout=command_timeout)
        client = await stack.enter_async_context(opening)
        shared = SharedCache(client, secret, ttl=ttl, fence_ttl=fence_ttl)
        local = LocalCache(0 if client.is_cluster else local_size)
        if await client.reconnect() and (problem := await shared.eviction_problem()):
            structlog.get_logger("peopleinfo.stores.cached").warning("cache_eviction_unsafe", problem=problem)
        tasks = [asyncio.ensure_future(client.reconnect_forever())]
        if local_size and isinstance(client.redis, Redis):
            tasks.append(asyncio.ensure_future(local.listen(client.redis, shared.key_prefix)))
        stack.push_async_callback(cancel, tasks)
        yield CachedStore(store, shared, local, strict=strict, sleep=sleep)


class CachedStore:
    """A store with a cache for reads by id and by surname. Its other reads are those of the store."""

    def __init__(
        self,
        store: Store,
        shared: SharedCache,
        local: LocalCache,
        *,
        strict: bool,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._shared = shared
        self._local = local
        writes = FencedWriter(shared, local, strict=strict, sleep=sleep)
        self.write_fenced = writes.run
        self._write_each_fenced = writes.run_each
        # (name, page, lease) → read in progress. Reads with the same lease share it, because no write has been applied since.
        self._in_flight: dict[tuple[str, str, bytes], asyncio.Future[Any]] = {}
        self._filling: set[asyncio.Task[None]] = set()
        self.immediate = LocalReader(local)
        self.get_many_cached = BatchReader(store, shared, local).get_many
        self.get = store.get
        self.get_many = store.get_many
        self.merge_group = store.merge_group
        self.find = store.find
        self.scan = store.scan
        self.read_versions = store.read_versions
        self.read_changes = store.read_changes
        self.expire_history = store.expire_history
        self.read_checkpoint = store.read_checkpoint
        self.delete_checkpoint = store.delete_checkpoint
        self.acquire_lease = store.acquire_lease
        self.estimate = store.estimate
        self.purge = store.purge  # needs no fence: the purged records were unreadable before
        self.check = store.check
        self.index_value = store.index_value

    @property
    def state(self) -> str:
        return "ok" if self._shared.is_up else "down"

    async def get_cached(self, person_id: str) -> tuple[StoredPerson | None, CacheStatus]:
        record = self._local.get(person_id)
        if record is not None:
            status = CacheStatus.LOCAL
        else:
            record, status = await self._read(
                _Query(
                    person_id,
                    person_name(person_id),
                    "",
                    lambda: self._get_or_not_found(person_id),
                    encode_record,
                    partial(decode_record, person_id),
                )
            )
        if record.version:
            return record, status
        if record.body:
            raise PersonMerged(*_decode_merged(record.body))
        return None, status

    async def find_cached(
        self, person_filter: PersonFilter, *, after: bytes | None, limit: int
    ) -> tuple[Page, CacheStatus | None]:
        surname_key = person_filter.surname_key
        if surname_key is None or person_filter.needs_row_check or len(surname_key) > _KEY_LENGTH:
            return await self._store.find(person_filter, after=after, limit=limit), None
        local_key = (surname_key, after, limit)
        page = self._local.get(local_key)
        if page is not None:
            return page, CacheStatus.LOCAL
        query = _Query(
            local_key,
            self.name_of_surname(surname_key),
            f"{limit}:{(after or b'').hex()}",
            lambda: self._store.find(person_filter, after=after, limit=limit),
            _encode,
            _decode_page,
        )
        return await self._read(query)

    async def create(
        self, data: PersonData, *, idempotency_key: IdempotencyKey | None = None, principal: str | None = None
    ) -> StoredPerson:
        write = partial(self._store.create, data, idempotency_key=idempotency_key, principal=principal)
        return await self.write_fenced([self.name_of_surname(data.surname_key)], write)

    async def replace(
        self,
        person_id: str,
        data: PersonData,
        *,
        expected: int,
        current: StoredPerson | None = None,
        origin: Origin = UPDATED,
    ) -> StoredPerson:
        if current is None or current.version != expected:
            current = await self._store.get(person_id)
        if current.version != expected:
            raise VersionConflict(person_id, actual=current.version)
        old = current
        names = [*self.names_of(old), self.name_of_surname(data.surname_key)]
        return await self.write_fenced(
            names, lambda: self._store.replace(person_id, data, expected=expected, current=old, origin=origin)
        )

    async def delete(self, person_id: str, *, expected: int | None = None) -> None:
        if expected is not None:
            await self._store.get(person_id)  # raises PersonMerged
        survivor, *merged = await self._store.merge_group(person_id)
        names = [person_name(each) for each in {*merged, person_id}]
        try:
            await self.delete_by(self._store.delete, survivor, expected, names)
        except PersonNotFound:  # the store may still complete an interrupted erasure
            await self.write_fenced([*names, person_name(survivor)], partial(self._store.delete, person_id))

    async def delete_by(
        self, delete: Callable[..., Awaitable[None]], person_id: str, expected: int | None, names: Sequence[str] = ()
    ) -> None:
        """Delete a person under a fence, also on `names`; `delete` takes its id and its version `expected`."""
        for _ in range(_DELETIONS):
            current = await self._store.get(person_id)
            if expected not in (None, current.version):
                raise VersionConflict(person_id, actual=current.version)
            try:
                await self.write_fenced(
                    [*self.names_of(current), *names], partial(delete, person_id, expected=current.version)
                )
            except VersionConflict:  # a concurrent change, possibly of the surname
                continue
            return
        raise StoreUnavailable("concurrent changes of the person prevented its deletion; try again")

    async def create_many(
        self,
        people: Sequence[PersonData],
        *,
        checkpoint: tuple[Checkpoint, Checkpoint] | None = None,
        offsets: Sequence[int] = (),
        principal: str | None = None,
        import_id: bytes | None = None,
    ) -> list[str]:
        names = {self.name_of_surname(data.surname_key) for data in people}
        origin: dict[str, Any] = {"principal": principal, "import_id": import_id}
        write = partial(self._store.create_many, people, checkpoint=checkpoint, offsets=offsets, **origin)
        return await self.write_fenced(names, write, bulk=True)

    async def create_each(self, creations: Sequence[Creation], *, principal: str | None = None) -> list[CreateOutcome]:
        names = [{self.name_of_surname(creation.data.surname_key)} for creation in creations]
        write = partial(self._store.create_each, creations, principal=principal)
        return await self._write_each_fenced(names, write)

    async def replace_many(
        self, replacements: Sequence[Replacement], *, origin: Origin = UPDATED
    ) -> list[ReplaceOutcome]:
        names = {
            name
            for data, current in replacements
            for name in (*self.names_of(current), self.name_of_surname(data.surname_key))
        }
        return await self.write_fenced(names, partial(self._store.replace_many, replacements, origin=origin), bulk=True)

    async def upsert_many(
        self, people: Sequence[bytes], *, checkpoint: tuple[Checkpoint, Checkpoint] | None = None
    ) -> int:
        names = {name for body in people for name in await self._affected_names(body)}
        write = partial(self._store.upsert_many, people, checkpoint=checkpoint)
        return await self.write_fenced(names, write, bulk=True)

    async def reindex(self, *, after: bytes | None, limit: int) -> ReindexResult:
        done = await self._store.reindex(after=after, limit=limit)
        # Entries of these keys, and fills in progress, were read before the reindexing.
        names = {_surname_name(key) for pair in done.keys for key in pair}
        await self.write_fenced(names, _no_write)
        return done

    def update_gauges(self) -> None:
        self._shared.update_gauges()
        self._local.update_gauges()
        self._store.update_gauges()

    async def _affected_names(self, body: bytes) -> list[str]:
        """Return the names that an upserted record affects, including its previous surname."""
        header = decode_header(body)
        names = [person_name(header.person_id), self.name_of_surname(header.surname_key)]
        with suppress(PersonNotFound):
            names.append(self.name_of_surname(_surname_key(await self._store.get(header.person_id))))
        return names

    # Reads

    async def _read(self, query: _Query) -> tuple[Any, CacheStatus]:
        with tracing.span("cache", "read"):
            result, status = await self._traced_read(query)
            tracing.set_attribute("source", status.value)
            return result, status

    async def _traced_read(self, query: _Query) -> tuple[Any, CacheStatus]:
        # Registered before the request to Redis, so that no later invalidation is missed.
        fetch = self._local.begin_fetch(self._shared.key(query.name))
        result, ttl, size = None, 0.0, 0
        try:
            reply = await self._shared.read(query.name, query.page)
            if isinstance(reply, Hit):
                result, ttl, size = query.decode(reply.response), reply.ttl, len(reply.response)
                return result, CacheStatus.SHARED
        except msgspec.DecodeError:  # stored by another release
            await self._shared.discard(query.name)
            reply = None
        finally:
            self._local.end_fetch(fetch, query.local_key, result, ttl, size)
        if reply is None:
            return await query.read(), CacheStatus.BYPASS
        return await self._load_once(query, reply), CacheStatus.MISS

    async def _load_once(self, query: _Query, lease: Lease) -> Any:
        """Read the store and fill the cache, once for all readers of this process that hold the lease."""
        flight_key = (query.name, query.page, lease.token)
        flight = self._in_flight.get(flight_key)
        if flight is not None:
            CACHE_COALESCED_READS.inc()
        else:
            flight = self._in_flight[flight_key] = asyncio.get_running_loop().create_future()
            filling = asyncio.ensure_future(self._read_and_fill(query, lease, flight))
            self._filling.add(filling)
            filling.add_done_callback(self._filling.discard)
        try:
            return await asyncio.shield(flight)  # a cancelled reader does not cancel the others
        except StoreUnavailable as error:
            raise StoreUnavailable(str(error), retry_after=error.retry_after) from error

    async def _read_and_fill(self, query: _Query, lease: Lease, flight: asyncio.Future[Any]) -> None:
        """Resolve the future of the readers first, then fill the cache."""
        try:
            try:
                result = await query.read()
            except Exception as error:  # noqa: BLE001 - passed to the readers, all of which may have been cancelled
                flight.set_exception(error)
                flight.exception()
                return
            flight.set_result(result)
            await self._shared.fill(query.name, query.page, lease, query.encode(result))
        finally:
            flight.cancel()  # without a result, at the end of the process
            del self._in_flight[query.name, query.page, lease.token]

    async def _get_or_not_found(self, person_id: str) -> StoredPerson:
        try:
            return await self._store.get(person_id)
        except PersonMerged as merged:
            return StoredPerson(person_id, 0, _encode((merged.merged_into, merged.merge_id)))
        except PersonNotFound:
            return NOT_FOUND

    def names_of(self, record: StoredPerson) -> list[str]:
        """Return the cache names that contain a record."""
        return [person_name(record.person_id), self.name_of_surname(_surname_key(record))]

    def name_of_surname(self, surname_key: str) -> str:
        """Return the cache name of the people with a surname."""
        return _surname_name(self._store.index_value(surname_key))


async def _no_write() -> None:
    pass


def _surname_name(index: str) -> str:
    """Return the cache name of a surname from its indexed form; with encryption the key itself may be unknown."""
    return f"s{index}" if len(index) <= _KEY_LENGTH else f"s#{blake2b(index.encode(), digest_size=16).hexdigest()}"


def _surname_key(record: StoredPerson) -> str:
    return decode_header(record.body).surname_key
