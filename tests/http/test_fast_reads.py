"""The hot path: known reads get the response of the framework, and every rule applies to them."""

from __future__ import annotations

import re
import socket
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from peopleinfo.auth.authenticator import Authenticator
from peopleinfo.auth.principal import BOOTSTRAP_ADMIN, Principal, Scope
from peopleinfo.auth.rate_limit import TokenBuckets
from peopleinfo.http.cursors import Cursors
from peopleinfo.http.fast_reads import FastReads
from peopleinfo.http.memory_budget import RESPONSES
from peopleinfo.http.middleware.request_limits import RateLimiter
from peopleinfo.people.person import PersonData
from peopleinfo.stores.sqlite.factory import open_sqlite
from peopleinfo.telemetry.access_log import AccessLog
from tests.cli.commands import run
from tests.http.serving import ADMIN_KEY, HANG_TIMEOUT, Server, serving
from tests.http.test_authentication import make_key
from tests.store_kinds import CACHED, Clock, person_data, person_filter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from peopleinfo.people.person import StoredPerson
    from peopleinfo.stores.sqlite.store import SqliteStore

STORE_KINDS = ["sqlite", CACHED]
SLOW = b"X-Other: 1\r\n"  # a header line that only the framework handles
CURSOR = re.compile(rb'"next_cursor":"[^"]*"')  # encrypted with a random nonce
MODES = pytest.mark.parametrize("extra", [b"", SLOW], ids=["hot path", "framework"])


class Connection:
    """A connection that sends raw requests, with the same header lines each time."""

    def __init__(self, server: Server, key: str = ADMIN_KEY) -> None:
        self._socket = socket.create_connection(server.address, HANG_TIMEOUT)
        self._received = self._socket.makefile("rb")
        self._head = b"Host: localhost\r\nAuthorization: Bearer %b\r\n" % key.encode()

    def send(self, *targets: str, method: str = "GET", extra: bytes = b"") -> None:
        self._socket.sendall(b"".join(self.request(target, method=method, extra=extra) for target in targets))

    def request(self, target: str, *, method: str = "GET", extra: bytes = b"") -> bytes:
        return b"%b %b HTTP/1.1\r\n%b%b\r\n" % (method.encode(), target.encode(), self._head, extra)

    def write(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """Return the status, the headers in order, without those that vary, and the body."""
        status = int(self._received.readline().split()[1])
        headers = []
        while line := self._received.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers.append((name, value))
        size = int(dict(headers).get("content-length", 0))
        body = self._received.read(size)
        return status, [one for one in headers if one[0] not in ("date", "x-request-id")], body

    def get(self, target: str, *, extra: bytes = b"") -> tuple[int, list[tuple[str, str]], bytes]:
        self.send(target, extra=extra)
        return self.receive()

    def request_id(self) -> str:
        """Receive a response and return its request id."""
        request_id = ""
        size = 0
        while line := self._received.readline().decode().strip():
            name, _, value = line.partition(": ")
            request_id = value if name == "x-request-id" else request_id
            size = int(value) if name == "content-length" else size
        self._received.read(size)
        return request_id

    def close(self) -> None:
        self._received.close()
        self._socket.close()


@contextmanager
def connected(server: Server, key: str = ADMIN_KEY) -> Iterator[Connection]:
    connection = Connection(server, key)
    try:
        yield connection
    finally:
        connection.close()


@pytest.fixture(scope="module")
def guarded(store_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    folder = tmp_path_factory.mktemp("guarded")
    with serving(folder, kind=store_kind, admin_key=ADMIN_KEY, rate_limit=600) as server:
        yield server, folder


@pytest.fixture
def people(guarded: tuple[Server, Path], surname: str) -> list[str]:
    """Return the ids of three people with the surname."""
    with httpx.Client(base_url=guarded[0].url, headers={"Authorization": f"Bearer {ADMIN_KEY}"}) as client:
        data = {"person_surname": surname, "person_name": "Zoë"}
        return [client.post("/v1/people", json=data).json()["person_id"] for _ in range(3)]


def test_response_is_that_of_the_framework(guarded: tuple[Server, Path], people: list[str], surname: str) -> None:
    key = make_key(guarded[1], "--scope", "people:read", name=surname)
    targets = [
        f"/v1/people/{people[0]}",
        f"/v1/people?surname={surname}",
        f"/v1/people?surname={surname.upper()}&limit=3",
        f"/v1/people?surname={surname}&limit=2",
        f"/v1/people?surname={surname}&name=zoe",
        "/v1/people?surname=%4eobody",
        "/v1/people?surname=%4",
        "/v1/people?surname=%ff",
        "/v1/people?surname=",
        f"/v1/people?surname={surname}&surname={surname}",
        f"/v1/people?surname={surname}&limit=0",
        f"/v1/people?surname={surname}&limits=1",
        f"/v1/people/{'0' * 32}",
        f"/v1/people/{people[0].upper()}",
        f"/v1/people/{people[0][:-1]}",
        f"/v1/people/{people[0]}/",
        f"/v1/people/{people[0]}?x=1",
        f"/v1/people/{people[0]}/history",
        f"//v1/people/{people[0]}",
        f"/v1/people?surname={surname}#fragment",
        f'/v1/people?surname={surname}"',
    ]
    with connected(guarded[0], key) as connection:
        for target in targets:
            answers = [connection.get(target, extra=extra) for extra in (SLOW, SLOW, b"", b"", b"")]
            expected = without_source(answers[1])
            assert [without_source(one) for one in answers] == [expected] * 5, target


def without_source(answer: tuple[int, list[tuple[str, str]], bytes]) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return a response without what the state of the cache or the time changes."""
    status, headers, body = answer
    varying = ("cache-status", "ratelimit", "ratelimit-policy")
    kept = [one for one in headers if one[0] not in varying]
    if b'"request_id"' in body:
        kept = [one for one in kept if one[0] != "content-length"]
        body = body.partition(b'"request_id"')[0]
    return status, kept, CURSOR.sub(b"", body)


@MODES
def test_read_returns_the_current_record(guarded: tuple[Server, Path], people: list[str], extra: bytes) -> None:
    target = f"/v1/people/{people[0]}"
    admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
    with connected(guarded[0]) as connection, httpx.Client(base_url=guarded[0].url, headers=admin) as client:
        for version in (1, 2, 3):
            for _ in range(3):
                status, headers, body = connection.get(target, extra=extra)
                assert (status, dict(headers)["etag"]) == (200, f'"{version}"')
                assert b'"version":%d' % version in body
            client.patch(target, json={"n": version}, headers={"If-Match": f'"{version}"'}).raise_for_status()
        client.delete(target).raise_for_status()
        assert connection.get(target, extra=extra)[0] == 404


@MODES
def test_revoked_key_and_missing_scope_are_rejected(
    guarded: tuple[Server, Path], people: list[str], surname: str, extra: bytes
) -> None:
    server, folder = guarded
    name = f"{surname}{len(extra)}"
    key = make_key(folder, "--scope", "people:read", name=name)
    writer = make_key(folder, "--scope", "people:write", name=f"{name}w")
    masked = make_key(folder, "--scope", "people:read", "--hide-field", "person_name", name=f"{name}m")
    target = f"/v1/people/{people[0]}"
    with connected(server, writer) as connection:
        assert [connection.get(target, extra=extra)[0] for _ in range(3)] == [403] * 3
    with connected(server, masked) as connection:
        assert all("Zoë".encode() not in connection.get(target, extra=extra)[2] for _ in range(3))
    with connected(server, key) as connection:
        assert [connection.get(target, extra=extra)[0] for _ in range(3)] == [200] * 3
        assert run(folder, "keys", "revoke", name).returncode == 0
        while connection.get(target, extra=extra)[0] == 200:
            pass
        assert connection.get(target, extra=extra)[0] in (401, 429)


@MODES
def test_rate_limit_is_applied(guarded: tuple[Server, Path], people: list[str], surname: str, extra: bytes) -> None:
    key = make_key(guarded[1], "--scope", "people:read", name=f"{surname}{len(extra)}")
    statuses: list[int] = []
    remaining: list[bool] = []
    with connected(guarded[0], key) as connection:
        while not statuses or statuses[-1] == 200:
            status, headers, _ = connection.get(f"/v1/people?surname={surname}", extra=extra)
            statuses.append(status)
            remaining.append("ratelimit" in dict(headers))
    assert statuses[-1] == 429
    assert len(statuses) > 600 // 5
    assert remaining.index(True) >= 300 // 5  # of 600 units, a search costs 5


@MODES
def test_requests_in_one_packet_and_in_pieces_are_answered_in_order(
    guarded: tuple[Server, Path], people: list[str], extra: bytes
) -> None:
    targets = [f"/v1/people/{person_id}" for person_id in people] + [f"/v1/people/{'0' * 32}"]
    with connected(guarded[0]) as connection:
        expected = [without_source(connection.get(target, extra=SLOW)) for target in targets]
        for _ in range(2):
            connection.send(*targets, *targets, extra=extra)
            assert [without_source(connection.receive()) for _ in range(8)] == expected * 2
            whole = connection.request(targets[0], extra=extra)
            for cut in (3, 20, len(whole) - 2):
                connection.write(whole[:cut])
                connection.write(whole[cut:] + connection.request(targets[1], extra=extra)[:9])
                connection.write(connection.request(targets[1], extra=extra)[9:])
                assert [without_source(connection.receive()) for _ in range(2)] == expected[:2]


@MODES
def test_conditions_and_other_methods_are_evaluated(
    guarded: tuple[Server, Path], people: list[str], extra: bytes
) -> None:
    target = f"/v1/people/{people[0]}"
    with connected(guarded[0]) as connection:
        assert connection.get(target, extra=extra)[0] == 200
        assert connection.get(target, extra=extra + b'If-None-Match: "1"\r\n')[0] == 304
        assert connection.get(target, extra=extra + b'If-Match: "2"\r\n')[0] == 412
        connection.send(target, method="DELETE", extra=extra)
        assert connection.receive()[0] == 204
        assert connection.get(target, extra=extra)[0] == 404
        status, headers, _ = connection.get(f"/v1/people/{people[1]}", extra=extra + b"Connection: close\r\n")
        assert (status, dict(headers)["connection"]) == (200, "close")


class NoKeys:
    """A store of API keys without a key."""

    async def any_exist(self) -> bool:
        return True

    async def find(self, _: bytes) -> None:
        return None


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with open_sqlite(tmp_path / "people.db", now=Clock().now) as store:
        yield store


def fast_reads(store: SqliteStore, **options: Any) -> FastReads:
    services = SimpleNamespace(
        authenticator=Authenticator(NoKeys(), now=Clock().now, admin_key=ADMIN_KEY, **options),  # type: ignore[arg-type]
        rate_limiter=RateLimiter(100, limit_anonymous=False, proxies=0),
        audit=None,
        people=None,
        access_log=AccessLog(silent=True),
        shutdown=SimpleNamespace(is_on=False),
    )
    fast = FastReads(services, store.immediate, Cursors(bytes(32)), lambda: "id-1", varies=False)  # type: ignore[arg-type]
    services.rate_limiter.rates.consume(BOOTSTRAP_ADMIN.name, 0)
    fast.learn(request(None), [(b"host", b"a"), (b"authorization", b"Bearer " + ADMIN_KEY.encode())])
    return fast


def request(record: StoredPerson | None, target: str = "") -> bytes:
    target = target or f"/v1/people/{record.person_id if record else ''}"
    return b"GET %b HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\n\r\n" % (target.encode(), ADMIN_KEY.encode())


async def test_known_read_needs_no_framework(store: SqliteStore) -> None:
    record = await store.create(person_data("Fast"))
    fast = fast_reads(store)
    response = fast.respond(request(record), [(b"date", b"today")])
    assert isinstance(response, bytes)
    head, _, body = response.partition(b"\r\n\r\n")
    assert head.startswith(b'HTTP/1.1 200 OK\r\ndate: today\r\netag: "1"\r\n')
    assert body == record.body
    page = fast.respond(request(None, "/v1/people?surname=FAST"), [])
    assert isinstance(page, bytes)
    assert page.endswith(b'{"people":[%b],"next_cursor":null}' % record.body)


async def test_framework_refuses_a_page_when_the_memory_budget_is_used_up(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = fast_reads(store)
    search = request(None, "/v1/people?surname=FAST")
    assert fast.respond(search, [])
    monkeypatch.setattr(RESPONSES, "used", RESPONSES.size)
    assert fast.respond(search, []) is None


async def test_framework_handles_every_exception(store: SqliteStore) -> None:
    record = await store.create(person_data("Slow"))
    known = request(record)
    fast = fast_reads(store)
    assert fast.respond(known, [])
    assert fast.respond(known.replace(b"Host: a", b"Host: b"), []) is None
    assert fast.respond(known.replace(b"1.1", b"1.0"), []) is None
    assert fast.respond(request(record, f"/v1/people/{'0' * 32}"), []) is None
    fast._shutdown.is_on = True
    assert fast.respond(known, []) is None
    for scopes, hidden in (({Scope.WRITE}, set()), ({Scope.READ}, {"person_name"})):
        fast = fast_reads(store)
        principal = Principal(name="a", scopes=frozenset(scopes), hidden_fields=frozenset(hidden))
        entries = fast._authenticator._entries
        entries[ADMIN_KEY] = entries[ADMIN_KEY]._replace(principal=principal)
        assert fast.respond(known, []) is None
    for headers in (
        [(b"authorization", b"Bearer x"), (b"cookie", b"a=b")],
        [(b"authorization", b"Bearer x"), (b"authorization", b"Bearer y")],
        [(b"authorization", b"Basic x")],
        [(b"authorization", b"Bearer x"), (b"connection", b"close")],
        [(b"authorization", b"Bearer x"), (b"if-none-match", b'"1"')],
    ):
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        fast.learn(b"GET / HTTP/1.1\r\n%b\r\n" % lines, headers)
        assert len(fast._credentials) == 1


VARYING = (
    b"X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n",
    b"x-amzn-trace-id: Root=1-67891233-abcdef012345678912345678\r\n",
    b"X-REQUEST-ID:\r\nTraceparent:00-12345678901234567890123456789012-1234567890123456-01\r\n",
    b"x-request-id: \xc3\xbc\t;\r\n" * 3,
)


async def test_lines_that_a_load_balancer_adds_do_not_matter(store: SqliteStore) -> None:
    record = await store.create(person_data("Balanced"))
    fast = fast_reads(store)
    known = request(record)
    line, host, rest = known.partition(b"\r\nHost: a\r\n")
    for lines in VARYING:
        for changed in (
            line + b"\r\n" + lines + host[2:] + rest,
            line + host + lines + rest,
            known[:-2] + lines + b"\r\n",
        ):
            assert isinstance(fast.respond(changed, []), bytes), changed


async def test_lines_that_are_no_header_lines_are_left_to_the_parser(store: SqliteStore) -> None:
    record = await store.create(person_data("Balanced"))
    fast = fast_reads(store)
    known = request(record)
    for lines in (
        b"X-Request-Id : a\r\n",
        b"X-Request-Id\r\n",
        b" X-Request-Id: a\r\n",
        b"X-Request-Id: a\r\n b\r\n",
        b"X-Request-Id: a\nX-Other: b\r\n",
        b"X-Request-Id: \x00\r\n",
        b"X-Request-Id: a\rb\r\n",
        b"X-Request-Ids: a\r\n",
        b"X-Request-Id: a\r\n" * 25,
        b"X-Request-Id: %b\r\n" % (b"a" * 4_096),
        b"X-Request-Id: a\r\n\r\nGET / HTTP/1.1\r\n",
        b"X-Request-Id: a\r\nCookie: a=b\r\n",
    ):
        assert fast.respond(known[:-2] + lines + b"\r\n", []) is None, lines


@pytest.mark.parametrize(
    ("lines", "headers"),
    [
        (b"X-Request-Id: a\r\n b\r\n", [(b"x-request-id", b"a b")]),
        (b"X-Request-Id: a\r\n", [(b"x-request-id", b"a"), (b"cookie", b"a=b")]),
        (b"Host: b\r\n b\r\n", [(b"host", b"b b")]),
        (b"Host: b\r\nUser-Agent: b\nAccept: a\r\n", [(b"host", b"b"), (b"user-agent", b"b")]),
    ],
)
async def test_unusual_lines_are_not_remembered(
    store: SqliteStore, lines: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    fast = fast_reads(store)
    fast.learn(b"GET / HTTP/1.1\r\n%b\r\n" % lines, headers)
    assert len(fast._credentials) == 1


async def test_second_half_of_the_quota_is_left_to_the_framework(store: SqliteStore) -> None:
    record = await store.create(person_data("Limited"))
    fast = fast_reads(store)
    answered = [fast.respond(request(record), []) is not None for _ in range(60)]
    assert answered.count(True) in (50, 51)
    assert answered == sorted(answered, reverse=True)


def test_bucket_is_charged_only_above_the_kept_units() -> None:
    now = [0.0]
    buckets = TokenBuckets(60, monotonic=lambda: now[0])
    assert not buckets.spend("a", 1, keeping=0)  # unknown: the caller creates the bucket
    assert buckets.consume("a", 20) == 40
    assert buckets.spend("a", 10, keeping=30)
    assert not buckets.spend("a", 1, keeping=30)
    now[0] = 1.0
    assert buckets.spend("a", 1, keeping=30)
    assert buckets.consume("a", 0) == 30
    assert buckets.unsynced("a") == 31


async def test_first_page_is_that_of_the_store(store: SqliteStore) -> None:
    nested = {"related": [{"n": 1}, {"person_id": "x"}]}
    for number in range(5):
        await store.create(person_data("Listed", f"N{number}"))
    for limit in (1, 4, 5, 6):
        page = await store.find(person_filter(surname="Listed"), after=None, limit=limit)
        assert store.immediate.find_now(person_filter(surname="Listed"), limit) == (b",".join(page.people), page.next)
    assert store.immediate.find_now(person_filter(surname="Nobody"), 5) == (b"", None)
    await store.create(PersonData(person_surname="Listed", extra=nested))
    assert store.immediate.find_now(person_filter(surname="Listed"), 9) is None  # the store reads it record by record
