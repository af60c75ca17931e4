"""Other clients of Redis may write anything under any key: the service returns the store's response, removes the entry and counts it."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from contextlib import asynccontextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.auth.rate_limit import TokenBuckets
from peopleinfo.people.store import CacheStatus
from peopleinfo.stores.cached.entry_format import Entries
from peopleinfo.stores.cached.lua_scripts import MAX_RESPONSE_SIZE
from peopleinfo.stores.cached.redis_client import open_redis
from peopleinfo.stores.cached.shared import Hit, Lease, SharedCache
from peopleinfo.stores.cached.shared_rate_limits import SharedTokenBuckets
from peopleinfo.stores.cached.store import open_cached
from peopleinfo.stores.sqlite.factory import open_sqlite
from peopleinfo.telemetry.metrics import CACHE_FILLS, CACHE_INVALID
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.store_kinds import Clock, person_data, person_filter
from tests.valkey_servers import Server
from tests.valkey_servers import running_server as running_valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from peopleinfo.stores.cached.store import CachedStore

SECRET = b"s" * 32
FENCE_TTL = 0.02  # seconds: the quarantine of a new epoch and the TTL of a fence
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
    with running_valkey() as server:
        yield server


@asynccontextmanager
async def opened(server: Server) -> AsyncIterator[SharedCache]:
    """Open an empty cache with a valid epoch."""
    with server.client as client:
        client.flushall()
    async with open_redis(server.url, command_timeout=HANG_TIMEOUT) as redis:
        cache = SharedCache(redis, SECRET, ttl=60, fence_ttl=FENCE_TTL)
        assert await redis.reconnect()
        await wait_for_reply(cache)
        yield cache


async def wait_for_reply(cache: SharedCache) -> Lease | Hit:
    """Read until the epoch is valid."""
    async with asyncio.timeout(HANG_TIMEOUT):
        while (reply := await cache.read(NAME, PAGE)) is None:
            await asyncio.sleep(FENCE_TTL / 5)
    return reply


async def fill_entry(cache: SharedCache) -> None:
    """Fill the entry of NAME and PAGE."""
    lease = await wait_for_reply(cache)
    if isinstance(lease, Lease):
        await cache.fill(NAME, PAGE, lease, b"answer")
    reply = await wait_for_reply(cache)
    assert isinstance(reply, Hit)
    assert reply.response == b"answer"


def counted() -> Counter[str]:
    return Counter({labels[0]: int(count) for labels, count in CACHE_INVALID.values.items()})


def keys_of(cache: SharedCache) -> dict[str, str]:
    return dict(zip(("epoch", "answer", "lease", "fences"), cache._keys(NAME), strict=True))


def corrupt(server: Server, key: str, kind: str, data: bytes = GARBAGE) -> None:
    """Replace a key by a value of this type."""
    with server.client as client:
        client.delete(key)
        TYPES[kind](client, key, data)


VALID_TYPES = {"epoch": "hash", "answer": "hash", "lease": "string", "fences": "sorted set"}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("entry", VALID_TYPES)
async def test_key_of_a_wrong_type_is_removed_and_counted(server: Server, entry: str, kind: str) -> None:
    async with opened(server) as cache:
        if entry != "lease":
            await fill_entry(cache)
        before = counted()
        corrupt(server, keys_of(cache)[entry], kind)
        reply = await cache.read(NAME, PAGE)
        assert isinstance(reply, Lease) or reply is None
        if kind != "hash" or entry not in ("answer", "epoch"):  # a hash without an epoch is outdated, not invalid
            assert counted() - before == {entry: 1}
        assert cache.is_up
        await fill_entry(cache)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("entry", VALID_TYPES)
async def test_writer_sets_and_clears_fences_despite_invalid_keys(server: Server, entry: str, kind: str) -> None:
    async with opened(server) as cache:
        await fill_entry(cache)
        corrupt(server, keys_of(cache)[entry], kind)
        assert await cache.fence([NAME], b"writer")
        assert await cache.read(NAME, PAGE) is None
        corrupt(server, keys_of(cache)[entry], kind)
        assert await cache.unfence([NAME], b"writer")
        assert cache.is_up
        await fill_entry(cache)


async def test_lost_fences_are_replaced_until_every_write_has_been_applied(server: Server) -> None:
    async with opened(server) as cache:
        cache.fence_ttl = 60
        lease = await wait_for_reply(cache)
        assert isinstance(lease, Lease)
        await cache.fence([NAME], b"writer")  # its write is in progress
        corrupt(server, keys_of(cache)["fences"], "string")
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
async def test_epoch_with_invalid_fields_is_replaced(server: Server, change: dict[str, bytes | None]) -> None:
    async with opened(server) as cache:
        await fill_entry(cache)
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
        await fill_entry(cache)


async def test_fence_without_expiry_is_replaced_by_one_that_expires(server: Server) -> None:
    async with opened(server) as cache:
        await fill_entry(cache)
        before = counted()
        with server.client as client:
            client.zadd(keys_of(cache)["fences"], {b"for ever": float("inf")})
        assert await cache.read(NAME, PAGE) is None
        assert counted() - before == {"fences": 1}
        await fill_entry(cache)


INVALID_ENTRIES: dict[str, Callable[[SharedCache, Any, str], Any]] = {
    "random bytes": lambda cache, client, key: client.hset(key, PAGE, GARBAGE),
    "no bytes": lambda cache, client, key: client.hset(key, PAGE, b""),
    "truncated by half": lambda cache, client, key: client.hset(key, PAGE, client.hget(key, PAGE)[:12]),
    "last byte missing": lambda cache, client, key: client.hset(key, PAGE, client.hget(key, PAGE)[:-1]),
    "extra byte": lambda cache, client, key: client.hset(key, PAGE, client.hget(key, PAGE) + b"x"),
    "plain response": lambda cache, client, key: client.hset(key, PAGE, b"another"),
    "too many bytes": lambda cache, client, key: client.hset(key, PAGE, b"x" * (MAX_RESPONSE_SIZE + 1_000)),
    "entry of another page": lambda cache, client, key: client.hset(
        key, PAGE, cache._entries.encrypt(key, "other", b"another")
    ),
    "entry of another name": lambda cache, client, key: client.hset(
        key, PAGE, cache._entries.encrypt(cache._keys("other")[1], PAGE, b"another")
    ),
    "entry of another deployment": lambda cache, client, key: client.hset(
        key, PAGE, Entries(b"o" * 32).encrypt(key, PAGE, b"another")
    ),
    "entry without expiry": lambda cache, client, key: client.persist(key),
    "entry with a TTL above the limit": lambda cache, client, key: client.expire(key, 1_000_000),
}


@pytest.mark.parametrize("fault", INVALID_ENTRIES)
async def test_modified_entry_is_removed_and_counted(server: Server, fault: str) -> None:
    async with opened(server) as cache:
        await fill_entry(cache)
        before = counted()
        key = keys_of(cache)["answer"]
        with server.client as client:
            INVALID_ENTRIES[fault](cache, client, key)
            assert not isinstance(await cache.read(NAME, PAGE), Hit)
            assert counted() - before == {"answer": 1}
            assert not client.exists(key)
        await fill_entry(cache)


def test_entry_is_decrypted_only_under_its_own_key_and_page() -> None:
    entries = Entries(SECRET)
    stored = entries.encrypt("key 1 00", "page", b"answer")  # the last digits select the encryption key
    assert entries.decrypt("key 1 00", "page", stored) == b"answer"
    assert entries.decrypt("key 2 00", "page", stored) is None
    assert entries.decrypt("key 1 00", "other", stored) is None
    assert entries.decrypt("key 1 01", "page", stored) is None


def test_ciphertexts_of_the_same_response_differ() -> None:
    entries = Entries(SECRET)
    assert len({entries.encrypt("key 00", "page", b"answer") for _ in range(100)}) == 100


async def test_lease_of_a_wrong_length_is_replaced(server: Server) -> None:
    async with opened(server) as cache:
        corrupt(server, keys_of(cache)["lease"], "string", b"x" * 1_000_000)
        reply = await cache.read(NAME, PAGE)
        assert isinstance(reply, Lease)
        assert len(reply.token) == 16
        await fill_entry(cache)


async def test_response_above_the_size_limit_is_not_stored(server: Server) -> None:
    async with opened(server) as cache:
        lease = await wait_for_reply(cache)
        assert isinstance(lease, Lease)
        before = CACHE_FILLS.values.get(("large",), 0)
        await cache.fill(NAME, PAGE, lease, b"x" * (MAX_RESPONSE_SIZE + 1))
        assert CACHE_FILLS.values[("large",)] - before == 1
        await cache.fill(NAME, PAGE, lease, b"x" * MAX_RESPONSE_SIZE)
        reply = await cache.read(NAME, PAGE)
        assert isinstance(reply, Hit)
        assert len(reply.response) == MAX_RESPONSE_SIZE


@given(st.sampled_from(sorted(VALID_TYPES)), st.sampled_from(sorted(TYPES)), st.binary(), st.binary())
def test_arbitrary_value_of_a_key_never_becomes_a_response(
    server: Server, entry: str, kind: str, data: bytes, member: bytes
) -> None:
    async def run() -> None:
        async with opened(server) as cache:
            await fill_entry(cache)
            key = keys_of(cache)[entry]
            with server.client as client:
                if kind == VALID_TYPES[entry] == "hash":
                    for name in ("epoch", "id", "run", "from", PAGE) if entry == "epoch" else (PAGE, member):
                        client.hset(key, name, data)
                else:
                    corrupt(server, key, kind, data)
            reply = await cache.read(NAME, PAGE)
            assert not isinstance(reply, Hit) or reply.response == b"answer"
            assert await cache.fence([NAME], b"writer")
            assert await cache.unfence([NAME], b"writer")
            await fill_entry(cache)

    asyncio.run(run())


# The cached store


@asynccontextmanager
async def cached(tmp_path: Path, clock: Clock, server: Server, local_size: int = 0) -> AsyncIterator[CachedStore]:
    with server.client as client:
        client.flushall()
    async with (
        open_sqlite(tmp_path / "people.db", now=clock.now) as store,
        open_cached(
            store,
            server.url,
            secret=store.secret,
            ttl=60,
            local_size=local_size,
            command_timeout=HANG_TIMEOUT,
            fence_ttl=FENCE_TTL,
        ) as cached,
    ):
        await until(
            functools.partial(_source, cached, "0" * 32), CacheStatus.LOCAL if local_size else CacheStatus.SHARED
        )
        yield cached


async def until(poll: Callable[[], Any], expected: Any) -> None:
    async with asyncio.timeout(HANG_TIMEOUT):
        while await poll() != expected:
            await asyncio.sleep(FENCE_TTL / 5)


async def _source(cached: CachedStore, person_id: str) -> CacheStatus | None:
    _, status = await cached.get_cached(person_id)
    return status


@pytest.mark.parametrize("shape", [None, [], {}, 5, "text", [1], [1, 2], ["1", b"{}"], [1, b"{}", 3], [[b"{}"], 5], -1])
async def test_entry_of_another_release_is_ignored(tmp_path: Path, clock: Clock, server: Server, shape: Any) -> None:
    async with cached(tmp_path, clock, server) as store:
        created = await store.create(person_data("Shape"))
        await until(functools.partial(_source, store, created.person_id), CacheStatus.SHARED)
        shared, before = store._shared, counted()
        key = shared.key(f"p{created.person_id}")
        page = ""
        with server.client as client:
            client.hset(key, page, shared._entries.encrypt(key, page, msgspec.msgpack.encode(shape)))
        assert await store.get_cached(created.person_id) == (created, CacheStatus.BYPASS)
        assert counted() - before == {"answer": 1}
        await until(functools.partial(_source, store, created.person_id), CacheStatus.SHARED)


async def test_entry_copied_from_another_key_is_not_returned(tmp_path: Path, clock: Clock, server: Server) -> None:
    async with cached(tmp_path, clock, server) as store:
        first, second = await store.create(person_data("First")), await store.create(person_data("Second"))
        searches = [person_filter(surname="first"), person_filter(surname="second")]
        for created in (first, second):
            await until(functools.partial(_source, store, created.person_id), CacheStatus.SHARED)
        for _ in range(3):
            for search in searches:
                await store.find_cached(search, after=None, limit=10)
        with server.client as client:
            for one, other in ((f"p{first.person_id}", f"p{second.person_id}"), ("sfirst", "ssecond")):
                copied: Any = client.hgetall(store._shared.key(other))
                assert len(copied) == 2, "the test needs the other entry to exist"
                client.hset(store._shared.key(one), mapping=copied)
        record, _ = await store.get_cached(first.person_id)
        assert record == first
        page, _ = await store.find_cached(searches[0], after=None, limit=10)
        assert page.people == [first.body]


async def test_two_people_with_the_same_lease_do_not_share_a_response(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    async with cached(tmp_path, clock, server) as store:
        created = [await store.create(person_data(f"Lease{number}")) for number in range(8)]
        with server.client as client:
            for one in created:
                client.set(store._shared._keys(f"p{one.person_id}")[2], b"x" * 16)
        found = await asyncio.gather(*(store.get_cached(one.person_id) for one in created))
        assert [record for record, _ in found] == created


async def test_foreign_key_does_not_end_the_tracking_connection(tmp_path: Path, clock: Clock, server: Server) -> None:
    async with cached(tmp_path, clock, server, local_size=1_000_000) as store:
        created = await store.create(person_data("Tracked"))
        await until(functools.partial(_source, store, created.person_id), CacheStatus.LOCAL)
        with server.client as client:
            before = _tracking(client)
            client.set(store._shared.key_prefix.encode() + b"\xff\xfe", b"x")
            client.delete(store._shared.key(f"p{created.person_id}"))  # the next reported invalidation
        await until(functools.partial(_source, store, created.person_id), CacheStatus.MISS)
        await until(functools.partial(_source, store, created.person_id), CacheStatus.LOCAL)
        with server.client as client:
            assert _tracking(client) == before


def _tracking(client: Any) -> list[str]:
    """Return the ids of the tracking connections."""
    return [entry["id"] for entry in client.client_list() if "t" in entry["flags"]]


# Rate limits


@pytest.mark.parametrize(
    "fields",
    [
        {"used": "x"}, {"used": "nan", "at": "0"}, {"used": "inf", "at": "0"}, {"used": "-5", "at": "0"},
        {"used": "1e300", "at": "0"}, {"used": "5", "at": "nan"}, {"used": "5", "at": "1e300"}, {"used": "5", "at": "-inf"},
        {"used": b"\xff", "at": b"\xff"},
    ],
)  # fmt: skip
async def test_bucket_with_invalid_fields_is_refilled_and_counted(server: Server, fields: dict[str, Any]) -> None:
    await _check_bucket(server, lambda client, key: client.hset(key, mapping=fields))


@pytest.mark.parametrize("kind", sorted(TYPES.keys() - {"hash"}))
async def test_bucket_of_a_wrong_type_is_refilled_and_counted(server: Server, kind: str) -> None:
    await _check_bucket(server, lambda client, key: TYPES[kind](client, key, GARBAGE))


@given(st.sampled_from(sorted(TYPES)), st.binary(), st.binary())
def test_arbitrary_value_of_a_bucket_does_not_stop_the_synchronization(
    server: Server, kind: str, used: bytes, at: bytes
) -> None:
    def corrupt_bucket(client: Any, key: str) -> None:
        if kind == "hash":
            client.hset(key, mapping={"used": used, "at": at})
        else:
            TYPES[kind](client, key, used)

    asyncio.run(_check_bucket(server, corrupt_bucket, counts=False))


async def _check_bucket(server: Server, corrupt_bucket: Callable[[Any, str], Any], *, counts: bool = True) -> None:
    with server.client as client:
        client.flushall()
    async with open_redis(server.url) as redis:
        buckets = TokenBuckets(600)
        shared = SharedTokenBuckets(buckets, redis, SECRET)
        buckets.consume("corrupted", 10)
        buckets.consume("other", 10)
        before = counted()
        with server.client as client:
            corrupt_bucket(client, shared._key("corrupted"))
        await shared.sync()
        assert buckets.unsynced("corrupted") == buckets.unsynced("other") == 0
        if counts:
            assert buckets.consume("corrupted", 100) > 0
            assert counted() - before == {"bucket": 1}
        await shared.sync()


# The service


def test_every_request_succeeds_despite_invalid_values_in_redis(tmp_path: Path, server: Server) -> None:
    with server.client as client:
        client.flushall()
    settings: dict[str, Any] = {
        "admin_key": ADMIN_KEY,
        "cache_url": server.url,
        "cache_local_size": 0,
        "cache_timeout": 5,
        "cache_fence_ttl": FENCE_TTL,
        "rate_limit_shared": "true",
    }
    with (
        serving(tmp_path, **settings) as service,
        httpx.Client(base_url=service.url, headers=AS_ADMIN, timeout=HANG_TIMEOUT) as http,
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
                    corrupt(server, key, "list")
            _check(http, people)
            people[0] = _changed(http, people[0])
        _until_counted(http, {"answer", "lease", "fences", "epoch", "bucket"})


def _keys(client: Any, entry: str) -> list[str]:
    """Return the keys of one kind.

    The keys of short-lived leases and fences are derived from those of values. Buckets appear within a second.
    """
    found: list[bytes] = []
    while not found:
        found = list(client.scan_iter(f"pi:{'v' if entry in 'lf' else entry}:*"))
    return [key.decode().replace("pi:v:", f"pi:{entry}:") for key in found]


def _until_cached(http: httpx.Client, person_id: str) -> None:
    """Read until the shared cache has the response."""
    while "detail=shared" not in http.get(f"/v1/people/{person_id}").headers["Cache-Status"]:
        sleep(FENCE_TTL / 5)


def _until_counted(http: httpx.Client, entries: set[str]) -> None:
    """Read the metrics until every kind of entry was counted; buckets are synchronized once a second."""
    deadline = monotonic() + HANG_TIMEOUT
    while any(f'invalid_entries_total{{kind="{entry}"}}' not in http.get("/metrics").text for entry in entries):
        assert monotonic() < deadline, http.get("/metrics").text
        sleep(0.05)


def _check(http: httpx.Client, people: list[dict[str, Any]]) -> None:
    for person in people:
        response = http.get(f"/v1/people/{person['person_id']}")
        assert (response.status_code, response.json()) == (200, person)
        found = http.get("/v1/people", params={"surname": person["person_surname"]})
        assert (found.status_code, found.json()["people"]) == (200, [person])


def _changed(http: httpx.Client, person: dict[str, Any]) -> dict[str, Any]:
    headers = {"If-Match": f'"{person["version"]}"', "Content-Type": "application/merge-patch+json"}
    response = http.patch(f"/v1/people/{person['person_id']}", json={"n": person["version"]}, headers=headers)
    assert response.status_code == 200
    changed: dict[str, Any] = response.json()
    return changed
