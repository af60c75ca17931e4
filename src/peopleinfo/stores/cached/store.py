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
from peopleinfo.people.person import Record, details_of, outline
from peopleinfo.people.store import Page, Rekeyed, Source
from peopleinfo.stores.cached.local import LocalCache
from peopleinfo.stores.cached.redis_client import DEADLINE, open_link
from peopleinfo.stores.cached.shared import FENCE_SECONDS, Hit, Lease, SharedCache
from peopleinfo.telemetry import tracing
from peopleinfo.telemetry.metrics import CACHE_FENCES, CACHE_JOINED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Sequence

    from peopleinfo.auth.api_keys import ApiKeys
    from peopleinfo.auth.ended_sessions import EndedSessions
    from peopleinfo.people.person import Details
    from peopleinfo.people.search import Filter
    from peopleinfo.people.store import Once, Progress, Purged, Reading, Store

T = TypeVar("T")

_KEY_LENGTH: Final = 512  # characters of a surname key; the cache is not used for longer ones
_ERASURES: Final = 20  # times that an erasure begins again since somebody changed the person
_NOBODY: Final = Record("", 0, b"")  # what is kept of an id that nobody has
_encode = msgspec.msgpack.Encoder().encode
_decode_record = msgspec.msgpack.Decoder(tuple[int, bytes]).decode
_decode_page = msgspec.msgpack.Decoder(Page).decode


class _Question(NamedTuple):
    """What is asked: under which name and page the cache has it, how the answer is read from the store, and how it is written down."""

    asked: Hashable
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
    seconds: float,
    local_size: int,
    user: str = "",
    password: str = "",
    strict: bool = False,
    deadline: float = DEADLINE,
    fence_seconds: float = FENCE_SECONDS,
) -> AsyncIterator[CachedStore]:
    """Put the cache at `url` before a store; it need not be there yet.

    Answers are kept for `seconds`, in this process at most `local_size` bytes of them (0: none). `strict`: a write that the cache cannot be told of is
    acknowledged only after `seconds`, when nobody can have an older answer any more.
    """
    async with AsyncExitStack() as stack:
        link = await stack.enter_async_context(open_link(url, user=user, password=password, deadline=deadline))
        shared = SharedCache(link, store.secret, seconds=seconds, fence_seconds=fence_seconds)
        local = LocalCache(0 if link.is_cluster else local_size)
        if await link.come_back() and (problem := await shared.eviction_problem()):
            structlog.get_logger("peopleinfo.stores.cached").warning("cache_eviction_unsafe", problem=problem)
        tasks = [asyncio.ensure_future(link.keep())]
        if local_size and isinstance(link.redis, Redis):
            tasks.append(asyncio.ensure_future(local.follow(link.redis, shared.watched)))
        stack.push_async_callback(_end, tasks)
        yield CachedStore(store, shared, local, strict=strict)


class CachedStore:
    """A store whose reads by id and by surname may be answered from a cache, when they come with a `Reading` that allows it."""

    def __init__(self, store: Store, shared: SharedCache, local: LocalCache, *, strict: bool) -> None:
        self._store = store
        self._shared = shared
        self._local = local
        self._strict = strict
        # One read of the store at a time and process: whoever holds the same lease may have the same answer, as no write has ended since.
        self._flights: dict[tuple[str, str, bytes], asyncio.Future[Any]] = {}
        self._filling: set[asyncio.Task[None]] = set()

    @property
    def secret(self) -> bytes:
        return self._store.secret

    @property
    def cache_state(self) -> str:
        return "ok" if self._shared.is_up else "down"

    def index(self, surname_key: str) -> str:
        return self._store.index(surname_key)

    @property
    def api_keys(self) -> ApiKeys:
        return self._store.api_keys

    @property
    def ended_sessions(self) -> EndedSessions:
        return self._store.ended_sessions

    async def get(self, person_id: str, *, reading: Reading | None = None) -> Record:
        if reading is None:
            return await self._store.get(person_id)
        record = self._local.get(person_id)
        if record is not None and not reading.fresh:
            reading.source = Source.LOCAL
        else:
            question = _Question(
                person_id,
                _of_person(person_id),
                "",
                lambda: self._get_or_nobody(person_id),
                lambda record: _encode((record.version, record.body)),
                lambda answer: Record(person_id, *_decode_record(answer)),
            )
            record = await self._answer(question, reading)
        if record.version == 0:
            raise PersonNotFound(person_id)
        found: Record = record
        return found

    async def find(self, where: Filter, *, after: bytes | None, limit: int, reading: Reading | None = None) -> Page:
        if reading is None or where.surname_key is None or where.refines or len(where.surname_key) > _KEY_LENGTH:
            return await self._store.find(where, after=after, limit=limit)
        asked = (where.surname_key, after, limit)
        page = self._local.get(asked)
        if page is not None and not reading.fresh:
            reading.source = Source.LOCAL
            kept: Page = page
            return kept
        question = _Question(
            asked,
            self._of_surname(where.surname_key),
            f"{limit}:{(after or b'').hex()}",
            lambda: self._store.find(where, after=after, limit=limit),
            _encode,
            _decode_page,
        )
        found: Page = await self._answer(question, reading)
        return found

    async def create(self, details: Details, *, once: Once | None = None) -> Record:
        names = [self._of_surname(details.surname_key)]
        return await self._fenced(names, lambda: self._store.create(details, once=once))

    async def replace(self, person_id: str, details: Details, *, expected: int, known: Record | None = None) -> Record:
        if known is None or known.version != expected:
            known = await self._store.get(person_id)
        if known.version != expected:
            raise VersionConflict(person_id, actual=known.version)
        old = known
        names = [_of_person(person_id), self._of_surname(_surname_key(old)), self._of_surname(details.surname_key)]
        return await self._fenced(names, lambda: self._store.replace(person_id, details, expected=expected, known=old))

    async def erase(self, person_id: str, *, expected: int | None = None) -> None:
        for _ in range(_ERASURES):
            known = await self._store.get(person_id)
            if expected not in (None, known.version):
                raise VersionConflict(person_id, actual=known.version)
            names = [_of_person(person_id), self._of_surname(_surname_key(known))]
            try:
                await self._fenced(names, partial(self._store.erase, person_id, expected=known.version))
            except VersionConflict:  # somebody was faster, and may have changed the surname
                continue
            return
        raise StoreUnavailable("the person changes too often to be erased")

    async def load(self, people: Sequence[Details], *, step: tuple[Progress, Progress] | None = None) -> list[str]:
        names = {self._of_surname(details.surname_key) for details in people}
        return await self._fenced(names, lambda: self._store.load(people, step=step), lasts=True)

    async def adopt(self, people: Sequence[bytes], *, step: tuple[Progress, Progress] | None = None) -> int:
        names = {name for body in people for name in await self._touched(body)}
        return await self._fenced(names, lambda: self._store.adopt(people, step=step), lasts=True)

    async def rekey(self, *, after: bytes | None, limit: int) -> Rekeyed:
        done = await self._store.rekey(after=after, limit=limit)
        # What the cache has under these keys, or is about to keep, was read before people came there or left.
        names = {_of_index(key) for pair in done.keys for key in pair}
        await self._fenced(names, _nothing)
        return done

    async def purge(self, *, after: bytes | None, limit: int, remove: bool = True) -> Purged:
        return await self._store.purge(after=after, limit=limit, remove=remove)  # nobody is read who is removed by that

    async def estimate(self) -> int | None:
        return await self._store.estimate()

    async def scan(
        self, *, after: bytes | None, limit: int, where: Filter | None = None, segment: int = 0, segments: int = 1
    ) -> Page:
        return await self._store.scan(after=after, limit=limit, where=where, segment=segment, segments=segments)

    async def progress(self, import_id: bytes) -> Progress:
        return await self._store.progress(import_id)

    def note_state(self) -> None:
        self._shared.note_state()
        self._local.note_state()
        self._store.note_state()

    async def ready(self) -> None:
        await self._store.ready()

    async def _touched(self, body: bytes) -> list[str]:
        """Name what the cache may know of somebody who comes from another store, and who may be here under another surname."""
        come = outline(body)
        names = [_of_person(come.person_id), self._of_surname(come.surname_key)]
        with suppress(PersonNotFound):
            names.append(self._of_surname(_surname_key(await self._store.get(come.person_id))))
        return names

    # Reads

    async def _answer(self, question: _Question, reading: Reading) -> Any:
        with tracing.span("cache", "read"):
            try:
                return await self._ask(question, reading)
            finally:
                tracing.note("source", reading.source.value if reading.source else "")

    async def _ask(self, question: _Question, reading: Reading) -> Any:
        if reading.fresh:
            reading.source = Source.REQUEST
            return await question.read()
        # Before Redis is asked, so that no change is missed from then on.
        expected = self._local.expect(self._shared.key(question.name))
        answer, seconds, size = None, 0.0, 0
        try:
            told = await self._shared.read(question.name, question.page)
            if isinstance(told, Hit):
                answer, seconds, size = question.decode(told.answer), told.seconds, len(told.answer)
                reading.source = Source.SHARED
                return answer
        except msgspec.DecodeError:  # another release stored it
            await self._shared.discard(question.name)
            told = None
        finally:
            self._local.fetched(expected, question.asked, answer, seconds, size)
        if told is None:
            reading.source = Source.BYPASS
            return await question.read()
        reading.source = Source.MISS
        return await self._fly(question, told)

    async def _fly(self, question: _Question, lease: Lease) -> Any:
        """Read the store and fill the cache, once for all in this process who hold the lease."""
        number = (question.name, question.page, lease.token)
        flight = self._flights.get(number)
        if flight is not None:
            CACHE_JOINED.add()
        else:
            flight = self._flights[number] = asyncio.get_running_loop().create_future()
            filling = asyncio.ensure_future(self._read_and_fill(question, lease, flight))
            self._filling.add(filling)
            filling.add_done_callback(self._filling.discard)
        try:
            return await asyncio.shield(flight)  # who goes away does not take the answer from the others
        except StoreUnavailable as error:
            raise StoreUnavailable(str(error), retry_after=error.retry_after) from error

    async def _read_and_fill(self, question: _Question, lease: Lease, flight: asyncio.Future[Any]) -> None:
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
            del self._flights[question.name, question.page, lease.token]

    async def _get_or_nobody(self, person_id: str) -> Record:
        try:
            return await self._store.get(person_id)
        except PersonNotFound:
            return _NOBODY

    # Writes

    async def _fenced(self, names: Iterable[str], write: Callable[[], Awaitable[T]], *, lasts: bool = False) -> T:
        """Write while the cache does not answer for these names, and acknowledge when it can no more have what was there before."""
        names = set(names)
        writer = self._shared.token()
        keys = [self._shared.key(name) for name in names]
        fenced = await self._shared.fence(names, writer)
        self._local.drop(keys)
        try:
            result = await (self._kept_up(names, writer, write) if lasts else write())
        except PeopleInfoError as error:
            # A load that ends otherwise may have stored some people, or another run of it does.
            if isinstance(error, OutcomeUnknown) or (lasts and not isinstance(error, StoreUnavailable)):
                self._leave(names, fenced=fenced)
            else:
                await self._shared.unfence(names, writer)
            raise
        except BaseException:
            self._leave(names, fenced=fenced)
            raise
        told = await self._shared.unfence(names, writer)
        self._local.drop(keys)
        if self._strict and not told:
            await asyncio.sleep(self._shared.seconds)
        return result

    def _leave(self, names: Iterable[str], *, fenced: bool) -> None:
        """Let the fences stand, as the write may still be on its way; they fall by themselves."""
        CACHE_FENCES.add("expired")
        if not fenced:
            self._shared.owe(names, landed=False)

    async def _kept_up(self, names: set[str], writer: bytes, write: Callable[[], Awaitable[T]]) -> T:
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
        return _of_index(self._store.index(surname_key))


async def _nothing() -> None:
    pass


def _of_person(person_id: str) -> str:
    return f"p{person_id}"


def _of_index(index: str) -> str:
    """Name the people of a surname by what stands for it in the store: all that is known, where they are sealed, of a key of an older fold."""
    return f"s{index}" if len(index) <= _KEY_LENGTH else f"s#{blake2b(index.encode(), digest_size=16).hexdigest()}"


def _surname_key(record: Record) -> str:
    return details_of(record)[0].surname_key


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
