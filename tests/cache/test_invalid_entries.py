"""Other clients of Redis may write anything under any key: the service returns the store's response, removes the entry and counts it."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from contextlib import asynccontextmanager, suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.auth.rate_limit import TokenBuckets
from peopleinfo.errors import PersonNotFound
from peopleinfo.people.store import CacheStatus, ReadOptions
from peopleinfo.stores.cached.entries import Entries
from peopleinfo.stores.cached.redis_client import open_redis
from peopleinfo.stores.cached.shared import MAX_RESPONSE_SIZE, Hit, Lease, SharedCache
from peopleinfo.stores.cached.shared_rate_limits import SharedTokenBuckets
from peopleinfo.stores.cached.store import open_cached
from peopleinfo.stores.sqlite.factory import open_sqlite
from peopleinfo.telemetry.metrics import CACHE_FILLS, CACHE_INVALID
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.store_kinds import Clock, person_data, person_filter
from tests.valkey_servers import Server
from tests.valkey_servers import running_server as serving_valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from peopleinfo.stores.cached.store import CachedStore

SECRET = b"s" * 32
QUIET = 0.02  # seconds for which a new epoch stores nothing; a fence falls as late
NAME, PAGE = "name", "page"
GARBAGE = b"\301\301"

TYPES: dict[str, Any] = {
    "string": lambda client, key, data: client.set(key, data),
    "list": lambda client, key, data: client.rpush(key, data),
    "set": lambda client, key, data: client.sadd(key, data),
    "hash": lambda client, key, data: client.hset(key, data, data),
    "sorted set": lambda client, key, data: client.zadd(key, {data: float("inf")}),
    "stream": lambda client, key, data: client.xadd(key, {data: data}),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving_valkey() as server:
        yield server


@asynccontextmanager
async def opened(server: Server) -> AsyncIterator[SharedCache]:
    """Open an empty cache that is in use."""
    with server.client as client:
        client.flushall()
    async with open_redis(server.url, command_timeout=HANG_TIMEOUT) as link:
        cache = SharedCache(link, SECRET, ttl=60, fence_ttl=QUIET)
        assert await link.reconnect()
        await leased(cache)
        yield cache


async def leased(cache: SharedCache) -> Lease | Hit:
    """Read until the cache is not silent any more."""
    async with asyncio.timeout(HANG_TIMEOUT):
        while (told := await cache.read(NAME, PAGE)) is None:
            await asyncio.sleep(QUIET / 5)
    return told


async def filled(cache: SharedCache) -> None:
    """Store the answer."""
    lease = await leased(cache)
    if isinstance(lease, Lease):
        await cache.fill(NAME, PAGE, lease, b"answer")
    told = await leased(cache)
    assert isinstance(told, Hit)
    assert told.response == b"answer"


def counted() -> Counter[str]:
    return Counter({labels[0]: int(count) for labels, count in CACHE_INVALID.values.items()})


def keys_of(cache: SharedCache) -> dict[str, str]:
    return dict(zip(("epoch", "answer", "lease", "fences"), cache._keys(NAME), strict=True))


def spoil(server: Server, key: str, kind: str, data: bytes = GARBAGE) -> None:
    """Replace a key with one of this type."""
    with server.client as client:
        client.delete(key)
        TYPES[kind](client, key, data)


OWN = {"epoch": "hash", "answer": "hash", "lease": "string", "fences": "sorted set"}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("entry", OWN)
async def test_a_key_of_any_type_is_removed_and_counted_and_the_cache_goes_on(
    server: Server, entry: str, kind: str
) -> None:
    async with opened(server) as cache:
        if entry != "lease":
            await filled(cache)
        before = counted()
        spoil(server, keys_of(cache)[entry], kind)
        told = await cache.read(NAME, PAGE)
        assert isinstance(told, Lease) or told is None
        if (entry, kind) not in {
            ("answer", "hash"),
            ("epoch", "hash"),
        }:  # what has no epoch counts as old, not as invalid
            assert counted() - before == {entry: 1}
        assert cache.is_up
        await filled(cache)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("entry", OWN)
async def test_a_writer_fences_and_unfences_whatever_is_under_the_keys(server: Server, entry: str, kind: str) -> None:
    async with opened(server) as cache:
        await filled(cache)
        spoil(server, keys_of(cache)[entry], kind)
        assert await cache.fence([NAME], b"writer")
        assert await cache.read(NAME, PAGE) is None
        spoil(server, keys_of(cache)[entry], kind)
        assert await cache.unfence([NAME], b"writer")
        assert cache.is_up
        await filled(cache)


async def test_fences_that_were_lost_are_replaced_until_every_write_has_ended(server: Server) -> None:
    async with opened(server) as cache:
        cache.fence_ttl = 60
        lease = await leased(cache)
        assert isinstance(lease, Lease)
        await cache.fence([NAME], b"writer")  # and its write is on the way
        spoil(server, keys_of(cache)["fences"], "string")
        assert await cache.read(NAME, PAGE) is None
        await cache.fill(NAME, PAGE, lease, b"old")
        with server.client as client:
            assert client.zrange(keys_of(cache)["fences"], 0, -1) == [b"lost"]
        assert await cache.read(NAME, PAGE) is None


@pytest.mark.parametrize(
    "change",
    [
        {"from": b"soon"}, {"from": b"nan"}, {"from": b"inf"}, {"from": b"1e300"}, {"from": b""}, {"from": None},
        {"id": None}, {"from": b"\xff\x00"},
    ],
)  # fmt: skip
async def test_an_epoch_with_invalid_members_begins_again(server: Server, change: dict[str, bytes | None]) -> None:
    async with opened(server) as cache:
        await filled(cache)
        before = counted()
        epoch = keys_of(cache)["epoch"]
        with server.client as client:
            for name, value in change.items():
                if value is None:
                    client.hdel(epoch, name)
                else:
                    client.hset(epoch, name, value)
        assert await cache.read(NAME, PAGE) is None
        assert counted() - before == {"epoch": 1}
        await filled(cache)


async def test_a_fence_that_would_never_fall_is_replaced_by_one_that_does(server: Server) -> None:
    async with opened(server) as cache:
        await filled(cache)
        before = counted()
        with server.client as client:
            client.zadd(keys_of(cache)["fences"], {b"for ever": float("inf")})
        assert await cache.read(NAME, PAGE) is None
        assert counted() - before == {"fences": 1}
        await filled(cache)


ANSWERS: dict[str, Callable[[SharedCache, Any, str], Any]] = {
    "other bytes": lambda cache, client, key: client.hset(key, PAGE, GARBAGE),
    "no bytes": lambda cache, client, key: client.hset(key, PAGE, b""),
    "its first half": lambda cache, client, key: client.hset(key, PAGE, client.hget(key, PAGE)[:12]),
    "all but its last byte": lambda cache, client, key: client.hset(key, PAGE, client.hget(key, PAGE)[:-1]),
    "one more byte": lambda cache, client, key: client.hset(key, PAGE, client.hget(key, PAGE) + b"x"),
    "the plain answer": lambda cache, client, key: client.hset(key, PAGE, b"another"),
    "too many bytes": lambda cache, client, key: client.hset(key, PAGE, b"x" * (MAX_RESPONSE_SIZE + 1_000)),
    "that of another page": lambda cache, client, key: client.hset(
        key, PAGE, cache._entries.encrypt(key, "other", b"another")
    ),
    "that of another name": lambda cache, client, key: client.hset(
        key, PAGE, cache._entries.encrypt(cache._keys("other")[1], PAGE, b"another")
    ),
    "that of another deployment": lambda cache, client, key: client.hset(
        key, PAGE, Entries(b"o" * 32).encrypt(key, PAGE, b"another")
    ),
    "an answer that never expires": lambda cache, client, key: client.persist(key),
    "an answer that expires too late": lambda cache, client, key: client.expire(key, 1_000_000),
}


@pytest.mark.parametrize("what", ANSWERS)
async def test_an_answer_that_was_not_stored_so_is_removed_and_counted(server: Server, what: str) -> None:
    async with opened(server) as cache:
        await filled(cache)
        before = counted()
        key = keys_of(cache)["answer"]
        with server.client as client:
            ANSWERS[what](cache, client, key)
            assert not isinstance(await cache.read(NAME, PAGE), Hit)
            assert counted() - before == {"answer": 1}
            assert not client.exists(key)
        await filled(cache)


def test_an_answer_opens_under_its_own_key_and_page_alone() -> None:
    entries = Entries(SECRET)
    stored = entries.encrypt("key 1 00", "page", b"answer")  # the last digits choose the encryption key
    assert entries.decrypt("key 1 00", "page", stored) == b"answer"
    assert entries.decrypt("key 2 00", "page", stored) is None
    assert entries.decrypt("key 1 00", "other", stored) is None
    assert entries.decrypt("key 1 01", "page", stored) is None


def test_an_answer_is_never_encrypted_twice_alike() -> None:
    entries = Entries(SECRET)
    assert len({entries.encrypt("key 00", "page", b"answer") for _ in range(100)}) == 100


async def test_a_lease_of_another_length_is_replaced(server: Server) -> None:
    async with opened(server) as cache:
        spoil(server, keys_of(cache)["lease"], "string", b"x" * 1_000_000)
        told = await cache.read(NAME, PAGE)
        assert isinstance(told, Lease)
        assert len(told.token) == 16
        await filled(cache)


async def test_an_answer_that_is_too_large_is_not_stored(server: Server) -> None:
    async with opened(server) as cache:
        lease = await leased(cache)
        assert isinstance(lease, Lease)
        before = CACHE_FILLS.values.get(("large",), 0)
        await cache.fill(NAME, PAGE, lease, b"x" * (MAX_RESPONSE_SIZE + 1))
        assert CACHE_FILLS.values[("large",)] - before == 1
        await cache.fill(NAME, PAGE, lease, b"x" * MAX_RESPONSE_SIZE)
        told = await cache.read(NAME, PAGE)
        assert isinstance(told, Hit)
        assert len(told.response) == MAX_RESPONSE_SIZE


@given(st.sampled_from(sorted(OWN)), st.sampled_from(sorted(TYPES)), st.binary(), st.binary())
def test_whatever_is_under_a_key_no_other_answer_is_given(
    server: Server, entry: str, kind: str, data: bytes, member: bytes
) -> None:
    async def run() -> None:
        async with opened(server) as cache:
            await filled(cache)
            key = keys_of(cache)[entry]
            with server.client as client:
                if kind == OWN[entry] == "hash":
                    for name in ("epoch", "id", "run", "from", PAGE) if entry == "epoch" else (PAGE, member):
                        client.hset(key, name, data)
                else:
                    spoil(server, key, kind, data)
            told = await cache.read(NAME, PAGE)
            assert not isinstance(told, Hit) or told.response == b"answer"
            assert await cache.fence([NAME], b"writer")
            assert await cache.unfence([NAME], b"writer")
            await filled(cache)

    asyncio.run(run())


# The store behind the cache


@asynccontextmanager
async def cached(tmp_path: Path, clock: Clock, server: Server, local_size: int = 0) -> AsyncIterator[CachedStore]:
    with server.client as client:
        client.flushall()
    async with (
        open_sqlite(tmp_path / "people.db", now=clock.now) as store,
        open_cached(
            store, server.url, ttl=60, local_size=local_size, command_timeout=HANG_TIMEOUT, fence_ttl=QUIET
        ) as cached,
    ):
        await until(
            functools.partial(_source, cached, "0" * 32), CacheStatus.LOCAL if local_size else CacheStatus.SHARED
        )
        yield cached


async def until(ask: Callable[[], Any], expected: Any) -> None:
    async with asyncio.timeout(HANG_TIMEOUT):
        while await ask() != expected:
            await asyncio.sleep(QUIET / 5)


async def _source(cached: CachedStore, person_id: str) -> CacheStatus | None:
    reading = ReadOptions()
    with suppress(PersonNotFound):
        await cached.get(person_id, options=reading)
    return reading.source


@pytest.mark.parametrize("shape", [None, [], {}, 5, "text", [1], [1, 2], ["1", b"{}"], [1, b"{}", 3], [[b"{}"], 5], -1])
async def test_an_answer_of_another_release_is_read_from_the_store(
    tmp_path: Path, clock: Clock, server: Server, shape: Any
) -> None:
    async with cached(tmp_path, clock, server) as store:
        made = await store.create(person_data("Shape"))
        await until(functools.partial(_source, store, made.person_id), CacheStatus.SHARED)
        shared, before = store._shared, counted()
        key = shared.key(f"p{made.person_id}")
        page = ""
        with server.client as client:
            client.hset(key, page, shared._entries.encrypt(key, page, msgspec.msgpack.encode(shape)))
        reading = ReadOptions()
        assert await store.get(made.person_id, options=reading) == made
        assert reading.source == CacheStatus.BYPASS
        assert counted() - before == {"answer": 1}
        await until(functools.partial(_source, store, made.person_id), CacheStatus.SHARED)


async def test_the_entry_of_another_person_or_surname_shows_nobody_else(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    async with cached(tmp_path, clock, server) as store:
        first, second = await store.create(person_data("First")), await store.create(person_data("Second"))
        searches = [person_filter(surname="first"), person_filter(surname="second")]
        for made in (first, second):
            await until(functools.partial(_source, store, made.person_id), CacheStatus.SHARED)
        for _ in range(3):
            for search in searches:
                await store.find(search, after=None, limit=10, options=ReadOptions())
        with server.client as client:
            for one, other in ((f"p{first.person_id}", f"p{second.person_id}"), ("sfirst", "ssecond")):
                stolen: Any = client.hgetall(store._shared.key(other))
                assert len(stolen) == 2, "the test needs the other answer to be there"
                client.hset(store._shared.key(one), mapping=stolen)
        assert await store.get(first.person_id, options=ReadOptions()) == first
        page = await store.find(searches[0], after=None, limit=10, options=ReadOptions())
        assert page.people == [first.body]


async def test_two_people_under_one_lease_do_not_share_a_response(tmp_path: Path, clock: Clock, server: Server) -> None:
    async with cached(tmp_path, clock, server) as store:
        made = [await store.create(person_data(f"Lease{number}")) for number in range(8)]
        with server.client as client:
            for one in made:
                client.set(store._shared._keys(f"p{one.person_id}")[2], b"x" * 16)
        assert await asyncio.gather(*(store.get(one.person_id, options=ReadOptions()) for one in made)) == made


async def test_a_foreign_key_does_not_end_the_tracking_connection(tmp_path: Path, clock: Clock, server: Server) -> None:
    async with cached(tmp_path, clock, server, local_size=1_000_000) as store:
        made = await store.create(person_data("Tracked"))
        await until(functools.partial(_source, store, made.person_id), CacheStatus.LOCAL)
        with server.client as client:
            before = _tracking(client)
            client.set(store._shared.key_prefix.encode() + b"\xff\xfe", b"x")
            client.delete(store._shared.key(f"p{made.person_id}"))  # the next change that is reported
        await until(functools.partial(_source, store, made.person_id), CacheStatus.MISS)
        await until(functools.partial(_source, store, made.person_id), CacheStatus.LOCAL)
        with server.client as client:
            assert _tracking(client) == before


def _tracking(client: Any) -> list[str]:
    """Return the connections on which the server reports changes."""
    return [one["id"] for one in client.client_list() if "t" in one["flags"]]


# Rate limits


@pytest.mark.parametrize(
    "fields",
    [
        {"used": "x"}, {"used": "nan", "at": "0"}, {"used": "inf", "at": "0"}, {"used": "-5", "at": "0"},
        {"used": "1e300", "at": "0"}, {"used": "5", "at": "nan"}, {"used": "5", "at": "1e300"}, {"used": "5", "at": "-inf"},
        {"used": b"\xff", "at": b"\xff"},
    ],
)  # fmt: skip
async def test_a_bucket_with_invalid_members_is_full_again_and_counted(server: Server, fields: dict[str, Any]) -> None:
    await _spoiled_bucket(server, lambda client, key: client.hset(key, mapping=fields))


@pytest.mark.parametrize("kind", sorted(TYPES.keys() - {"hash"}))
async def test_a_bucket_of_another_type_is_full_again_and_counted(server: Server, kind: str) -> None:
    await _spoiled_bucket(server, lambda client, key: TYPES[kind](client, key, GARBAGE))


@given(st.sampled_from(sorted(TYPES)), st.binary(), st.binary())
def test_whatever_is_under_the_key_of_a_bucket_the_others_are_exchanged(
    server: Server, kind: str, used: bytes, at: bytes
) -> None:
    def spoil_it(client: Any, key: str) -> None:
        if kind == "hash":
            client.hset(key, mapping={"used": used, "at": at})
        else:
            TYPES[kind](client, key, used)

    asyncio.run(_spoiled_bucket(server, spoil_it, counts=False))


async def _spoiled_bucket(server: Server, spoil_it: Callable[[Any, str], Any], *, counts: bool = True) -> None:
    with server.client as client:
        client.flushall()
    async with open_redis(server.url) as link:
        rates = TokenBuckets(600)
        shared = SharedTokenBuckets(rates, link, SECRET)
        rates.consume("spoiled", 10)
        rates.consume("other", 10)
        before = counted()
        with server.client as client:
            spoil_it(client, shared._key("spoiled"))
        await shared.sync()
        assert rates.unsynced("spoiled") == rates.unsynced("other") == 0
        if counts:
            assert rates.consume("spoiled", 100) > 0
            assert counted() - before == {"bucket": 1}
        await shared.sync()


# The service


def test_whatever_is_in_redis_every_request_is_answered_from_the_store(tmp_path: Path, server: Server) -> None:
    with server.client as client:
        client.flushall()
    settings: dict[str, Any] = {
        "admin_key": ADMIN_KEY,
        "cache_url": server.url,
        "cache_local_size": 0,
        "cache_timeout": 5,
        "cache_fence_ttl": QUIET,
        "rate_limit_shared": "true",
    }
    with (
        serving(tmp_path, **settings) as serving_it,
        httpx.Client(base_url=serving_it.url, headers=AS_ADMIN, timeout=HANG_TIMEOUT) as http,
        server.client as client,
    ):
        people = [http.post("/v1/people", json={"person_surname": f"S{number}"}).json() for number in range(2)]
        for entry in ("member of v", "member of e", "member of r", "v", "l", "f", "e", "r"):
            _until_cached(http, people[0]["person_id"])
            for key in _keys(client, entry[-1]):
                if entry.startswith("member"):
                    members = [member for member in client.hkeys(key) if member != b"epoch"]
                    client.hset(key, mapping=dict.fromkeys(members or [b"used"], GARBAGE))
                else:
                    spoil(server, key, "list")
            _check(http, people)
            people[0] = _changed(http, people[0])
        _until_counted(http, {"answer", "lease", "fences", "epoch", "bucket"})


def _keys(client: Any, entry: str) -> list[str]:
    """Return the keys of one kind; leases and fences, which come and go, by those of the answers. Buckets are exchanged once a second."""
    there: list[bytes] = []
    while not there:
        there = list(client.scan_iter(f"pi:{'v' if entry in 'lf' else entry}:*"))
    return [key.decode().replace("pi:v:", f"pi:{entry}:") for key in there]


def _until_cached(http: httpx.Client, person_id: str) -> None:
    """Read until the shared cache answers."""
    while "detail=shared" not in http.get(f"/v1/people/{person_id}").headers["Cache-Status"]:
        sleep(QUIET / 5)


def _until_counted(http: httpx.Client, entries: set[str]) -> None:
    """Read the metrics until every entry was counted: buckets are exchanged once a second."""
    patience = monotonic() + HANG_TIMEOUT
    while any(f'invalid_entries_total{{kind="{entry}"}}' not in http.get("/metrics").text for entry in entries):
        assert monotonic() < patience, http.get("/metrics").text
        sleep(0.05)


def _check(http: httpx.Client, people: list[dict[str, Any]]) -> None:
    for person in people:
        answer = http.get(f"/v1/people/{person['person_id']}")
        assert (answer.status_code, answer.json()) == (200, person)
        found = http.get("/v1/people", params={"surname": person["person_surname"]})
        assert (found.status_code, found.json()["people"]) == (200, [person])


def _changed(http: httpx.Client, person: dict[str, Any]) -> dict[str, Any]:
    headers = {"If-Match": f'"{person["version"]}"', "Content-Type": "application/merge-patch+json"}
    answer = http.patch(f"/v1/people/{person['person_id']}", json={"n": person["version"]}, headers=headers)
    assert answer.status_code == 200
    changed: dict[str, Any] = answer.json()
    return changed
