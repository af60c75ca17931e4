"""A store behind a cache: reads that may be answered from it, and writes that keep it from lying."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import msgspec
import structlog
from redis.asyncio import Redis

from peopleinfo.errors import OutcomeUnknown, PeopleInfoError, PersonNotFound, StoreUnavailable, VersionConflict
from peopleinfo.people.person import StoredPerson, decode_header, split_record
from peopleinfo.people.store import CacheStatus, Page, ReindexResult
from peopleinfo.stores.cached.local import LocalCache
from peopleinfo.stores.cached.redis_client import TIMEOUT, open_redis
from peopleinfo.stores.cached.shared import FENCE_SECONDS, Hit, Lease, SharedCache
from peopleinfo.telemetry import tracing
from peopleinfo.telemetry.metrics import CACHE_FENCES, CACHE_JOINED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Sequence

    from peopleinfo.auth.api_keys import ApiKeyStore
    from peopleinfo.auth.ended_sessions import EndedSessionStore
    from peopleinfo.people.person import PersonData
    from peopleinfo.people.search import PersonFilter
    from peopleinfo.people.store import Checkpoint, IdempotencyKey, PurgeResult, ReadOptions
    from peopleinfo.stores.registry import ServiceStore

T = TypeVar("T")

_KEY_LENGTH: Final = 512  # characters of a surname key; the cache is not used for longer ones
_DELETIONS: Final = 20  # times that an erasure begins again since somebody changed the person
_NOT_FOUND: Final = StoredPerson("", 0, b"")  # what is kept of an id that nobody has
_encode = msgspec.msgpack.Encoder().encode
_decode_record = msgspec.msgpack.Decoder(tuple[int, bytes]).decode
_decode_page = msgspec.msgpack.Decoder(Page).decode


class _Query(NamedTuple):
    """What is asked: under which name and page the cache has it, how the answer is read from the store, and how it is written down."""

    asked: Hashable
    name: str
    page: str
    read: Callable[[], Awaitable[Any]]
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


@asynccontextmanager
async def open_cached(
    store: ServiceStore,
    url: str,
    *,
    seconds: float,
    local_size: int,
    user: str = "",
    password: str = "",
    strict: bool = False,
    deadline: float = TIMEOUT,
    fence_seconds: float = FENCE_SECONDS,
) -> AsyncIterator[CachedStore]:
    """Put the cache at `url` before a store; it need not be there yet.

    Answers are kept for `seconds`, in this process at most `local_size` bytes of them (0: none). `strict`: a write that the cache cannot be told of is
    acknowledged only after `seconds`, when nobody can have an older answer any more.
    """
    async with AsyncExitStack() as stack:
        link = await stack.enter_async_context(open_redis(url, user=user, password=password, deadline=deadline))
        shared = SharedCache(link, store.secret, seconds=seconds, fence_seconds=fence_seconds)
        local = LocalCache(0 if link.is_cluster else local_size)
        if await link.reconnect() and (problem := await shared.eviction_problem()):
            structlog.get_logger("peopleinfo.stores.cached").warning("cache_eviction_unsafe", problem=problem)
        tasks = [asyncio.ensure_future(link.reconnect_forever())]
        if local_size and isinstance(link.redis, Redis):
            tasks.append(asyncio.ensure_future(local.listen(link.redis, shared.key_prefix)))
        stack.push_async_callback(_end, tasks)
        yield CachedStore(store, shared, local, strict=strict)


class CachedStore:
    """A store whose reads by id and by surname may be answered from a cache, when they come with a `Reading` that allows it."""

    def __init__(self, store: ServiceStore, shared: SharedCache, local: LocalCache, *, strict: bool) -> None:
        self._store = store
        self._shared = shared
        self._local = local
        self._strict = strict
        # One read of the store at a time and process: whoever holds the same lease may have the same answer, as no write has ended since.
        self._in_flight: dict[tuple[str, str, bytes], asyncio.Future[Any]] = {}
        self._filling: set[asyncio.Task[None]] = set()

    @property
    def secret(self) -> bytes:
        return self._store.secret

    @property
    def cache_state(self) -> str:
        return "ok" if self._shared.is_up else "down"

    def index_value(self, surname_key: str) -> str:
        return self._store.index_value(surname_key)

    @property
    def api_keys(self) -> ApiKeyStore:
        return self._store.api_keys

    @property
    def ended_sessions(self) -> EndedSessionStore:
        return self._store.ended_sessions

    async def get(self, person_id: str, *, options: ReadOptions | None = None) -> StoredPerson:
        if options is None:
            return await self._store.get(person_id)
        record = self._local.get(person_id)
        if record is not None and not options.fresh:
            options.source = CacheStatus.LOCAL
        else:
            question = _Query(
                person_id,
                _of_person(person_id),
                "",
                lambda: self._get_or_nobody(person_id),
                lambda record: _encode((record.version, record.body)),
                lambda answer: StoredPerson(person_id, *_decode_record(answer)),
            )
            record = await self._read(question, options)
        if record.version == 0:
            raise PersonNotFound(person_id)
        found: StoredPerson = record
        return found

    async def find(
        self, person_filter: PersonFilter, *, after: bytes | None, limit: int, options: ReadOptions | None = None
    ) -> Page:
        if (
            options is None
            or person_filter.surname_key is None
            or person_filter.needs_row_check
            or len(person_filter.surname_key) > _KEY_LENGTH
        ):
            return await self._store.find(person_filter, after=after, limit=limit)
        asked = (person_filter.surname_key, after, limit)
        page = self._local.get(asked)
        if page is not None and not options.fresh:
            options.source = CacheStatus.LOCAL
            kept: Page = page
            return kept
        question = _Query(
            asked,
            self._of_surname(person_filter.surname_key),
            f"{limit}:{(after or b'').hex()}",
            lambda: self._store.find(person_filter, after=after, limit=limit),
            _encode,
            _decode_page,
        )
        found: Page = await self._read(question, options)
        return found

    async def create(self, details: PersonData, *, idempotency_key: IdempotencyKey | None = None) -> StoredPerson:
        names = [self._of_surname(details.surname_key)]
        return await self._write_fenced(names, lambda: self._store.create(details, idempotency_key=idempotency_key))

    async def replace(
        self, person_id: str, details: PersonData, *, expected: int, current: StoredPerson | None = None
    ) -> StoredPerson:
        if current is None or current.version != expected:
            current = await self._store.get(person_id)
        if current.version != expected:
            raise VersionConflict(person_id, actual=current.version)
        old = current
        names = [_of_person(person_id), self._of_surname(_surname_key(old)), self._of_surname(details.surname_key)]
        return await self._write_fenced(
            names, lambda: self._store.replace(person_id, details, expected=expected, current=old)
        )

    async def delete(self, person_id: str, *, expected: int | None = None) -> None:
        for _ in range(_DELETIONS):
            current = await self._store.get(person_id)
            if expected not in (None, current.version):
                raise VersionConflict(person_id, actual=current.version)
            names = [_of_person(person_id), self._of_surname(_surname_key(current))]
            try:
                await self._write_fenced(names, partial(self._store.delete, person_id, expected=current.version))
            except VersionConflict:  # somebody was faster, and may have changed the surname
                continue
            return
        raise StoreUnavailable("the person changes too often to be erased")

    async def create_many(
        self, people: Sequence[PersonData], *, checkpoint: tuple[Checkpoint, Checkpoint] | None = None
    ) -> list[str]:
        names = {self._of_surname(details.surname_key) for details in people}
        return await self._write_fenced(
            names, lambda: self._store.create_many(people, checkpoint=checkpoint), lasts=True
        )

    async def upsert_many(
        self, people: Sequence[bytes], *, checkpoint: tuple[Checkpoint, Checkpoint] | None = None
    ) -> int:
        names = {name for body in people for name in await self._touched(body)}
        return await self._write_fenced(
            names, lambda: self._store.upsert_many(people, checkpoint=checkpoint), lasts=True
        )

    async def reindex(self, *, after: bytes | None, limit: int) -> ReindexResult:
        done = await self._store.reindex(after=after, limit=limit)
        # What the cache has under these keys, or is about to keep, was read before people came there or left.
        names = {_of_index(key) for pair in done.keys for key in pair}
        await self._write_fenced(names, _nothing)
        return done

    async def purge(self, *, after: bytes | None, limit: int, remove: bool = True) -> PurgeResult:
        return await self._store.purge(after=after, limit=limit, remove=remove)  # nobody is read who is removed by that

    async def estimate(self) -> int | None:
        return await self._store.estimate()

    async def scan(
        self,
        *,
        after: bytes | None,
        limit: int,
        person_filter: PersonFilter | None = None,
        segment: int = 0,
        segments: int = 1,
    ) -> Page:
        return await self._store.scan(
            after=after, limit=limit, person_filter=person_filter, segment=segment, segments=segments
        )

    async def progress(self, import_id: bytes) -> Checkpoint:
        return await self._store.progress(import_id)

    def update_gauges(self) -> None:
        self._shared.update_gauges()
        self._local.update_gauges()
        self._store.update_gauges()

    async def check(self) -> None:
        await self._store.check()

    async def _touched(self, body: bytes) -> list[str]:
        """Name what the cache may know of somebody who comes from another store, and who may be here under another surname."""
        come = decode_header(body)
        names = [_of_person(come.person_id), self._of_surname(come.surname_key)]
        with suppress(PersonNotFound):
            names.append(self._of_surname(_surname_key(await self._store.get(come.person_id))))
        return names

    # Reads

    async def _read(self, question: _Query, options: ReadOptions) -> Any:
        with tracing.span("cache", "read"):
            try:
                return await self._traced_read(question, options)
            finally:
                tracing.set_attribute("source", options.source.value if options.source else "")

    async def _traced_read(self, question: _Query, options: ReadOptions) -> Any:
        if options.fresh:
            options.source = CacheStatus.REQUEST
            return await question.read()
        # Before Redis is asked, so that no change is missed from then on.
        expected = self._local.begin_fetch(self._shared.key(question.name))
        answer, seconds, size = None, 0.0, 0
        try:
            told = await self._shared.read(question.name, question.page)
            if isinstance(told, Hit):
                answer, seconds, size = question.decode(told.answer), told.seconds, len(told.answer)
                options.source = CacheStatus.SHARED
                return answer
        except msgspec.DecodeError:  # another release stored it
            await self._shared.discard(question.name)
            told = None
        finally:
            self._local.end_fetch(expected, question.asked, answer, seconds, size)
        if told is None:
            options.source = CacheStatus.BYPASS
            return await question.read()
        options.source = CacheStatus.MISS
        return await self._load_once(question, told)

    async def _load_once(self, question: _Query, lease: Lease) -> Any:
        """Read the store and fill the cache, once for all in this process who hold the lease."""
        number = (question.name, question.page, lease.token)
        flight = self._in_flight.get(number)
        if flight is not None:
            CACHE_JOINED.inc()
        else:
            flight = self._in_flight[number] = asyncio.get_running_loop().create_future()
            filling = asyncio.ensure_future(self._read_and_fill(question, lease, flight))
            self._filling.add(filling)
            filling.add_done_callback(self._filling.discard)
        try:
            return await asyncio.shield(flight)  # who goes away does not take the answer from the others
        except StoreUnavailable as error:
            raise StoreUnavailable(str(error), retry_after=error.retry_after) from error

    async def _read_and_fill(self, question: _Query, lease: Lease, flight: asyncio.Future[Any]) -> None:
        """Tell whoever waits, and then the cache: nobody has to wait for that."""
        try:
            try:
                answer = await question.read()
            except Exception as error:  # noqa: BLE001 - whoever waits has to know, and there may be nobody any more
                flight.set_exception(error)
                flight.exception()
                return
            flight.set_result(answer)
            await self._shared.fill(question.name, question.page, lease, question.encode(answer))
        finally:
            flight.cancel()  # if nothing came of it, as the process ends
            del self._in_flight[question.name, question.page, lease.token]

    async def _get_or_nobody(self, person_id: str) -> StoredPerson:
        try:
            return await self._store.get(person_id)
        except PersonNotFound:
            return _NOT_FOUND

    # Writes

    async def _write_fenced(self, names: Iterable[str], write: Callable[[], Awaitable[T]], *, lasts: bool = False) -> T:
        """Write while the cache does not answer for these names, and acknowledge when it can no more have what was there before."""
        names = set(names)
        writer = self._shared.token()
        keys = [self._shared.key(name) for name in names]
        fenced = await self._shared.fence(names, writer)
        self._local.invalidate(keys)
        try:
            result = await (self._renew_fence(names, writer, write) if lasts else write())
        except PeopleInfoError as error:
            # A load that ends otherwise may have stored some people, or another run of it does.
            if isinstance(error, OutcomeUnknown) or (lasts and not isinstance(error, StoreUnavailable)):
                self._abandon_fence(names, fenced=fenced)
            else:
                await self._shared.unfence(names, writer)
            raise
        except BaseException:
            self._abandon_fence(names, fenced=fenced)
            raise
        told = await self._shared.unfence(names, writer)
        self._local.invalidate(keys)
        if self._strict and not told:
            await asyncio.sleep(self._shared.seconds)
        return result

    def _abandon_fence(self, names: Iterable[str], *, fenced: bool) -> None:
        """Let the fences stand, as the write may still be on its way; they fall by themselves."""
        CACHE_FENCES.inc("expired")
        if not fenced:
            self._shared.queue_invalidation(names, landed=False)

    async def _renew_fence(self, names: set[str], writer: bytes, write: Callable[[], Awaitable[T]]) -> T:
        """Write for as long as it takes, and put the fences up again before they fall."""

        async def keep_up() -> None:
            while True:
                await asyncio.sleep(self._shared.fence_seconds / 3)
                await self._shared.fence(names, writer)

        keeping = asyncio.ensure_future(keep_up())
        try:
            return await write()
        finally:
            await _end([keeping])

    def _of_surname(self, surname_key: str) -> str:
        return _of_index(self._store.index_value(surname_key))


async def _nothing() -> None:
    pass


def _of_person(person_id: str) -> str:
    return f"p{person_id}"


def _of_index(index: str) -> str:
    """Name the people of a surname by what stands for it in the store: all that is known, where they are sealed, of a key of an older fold."""
    return f"s{index}" if len(index) <= _KEY_LENGTH else f"s#{blake2b(index.encode(), digest_size=16).hexdigest()}"


def _surname_key(record: StoredPerson) -> str:
    return split_record(record)[0].surname_key


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
