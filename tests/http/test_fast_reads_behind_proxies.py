"""The hot path behind a load balancer, for anonymous clients, with the audit log and with the shared cache."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest

from peopleinfo.auth.principal import BOOTSTRAP_ADMIN
from peopleinfo.errors import AuditUnavailable, PersonMerged, StoreUnavailable
from peopleinfo.people.store import CacheStatus, Page
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.http.serving import ADMIN_KEY, AS_ADMIN, serving
from tests.http.test_fast_reads import MODES, connected, fast_reads, request, without_source
from tests.store_kinds import CACHED, Clock, person_data

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from peopleinfo.privacy.audit import AuditLog
    from peopleinfo.stores.sqlite.store import SqliteStore
    from tests.http.serving import Server

ALB = (
    b"X-Forwarded-For: 203.0.113.9, %b\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n"
    b"X-Amzn-Trace-Id: Root=1-%d\r\nX-Request-Id: from-the-client\r\n"
)


def create(server: Server, surname: str, count: int = 1, *, key: bool = True) -> list[str]:
    with httpx.Client(base_url=server.url, headers=AS_ADMIN if key else {}) as client:
        data = {"person_surname": surname}
        return [client.post("/v1/people", json=data).json()["person_id"] for _ in range(count)]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    folder = tmp_path_factory.mktemp("audited")
    log = folder / "audit.jsonl"
    with serving(folder, admin_key=ADMIN_KEY, trusted_proxies=1, audit_log=f"file://{log}") as server:
        yield server, log


@MODES
def test_audit_and_log_name_the_forwarded_client_and_the_id_of_the_request(
    audited: tuple[Server, Path], extra: bytes
) -> None:
    server, log = audited
    [person_id] = create(server, "Audited")
    sent = set()
    with connected(server) as connection:
        for number in range(5):
            connection.send(f"/v1/people/{person_id}", extra=ALB % (b"198.51.100.7", number) + extra)
            sent.add(connection.request_id())
    while len(reads := [line for line in events(log) if line.get("people") == [person_id]][1:]) < 5:
        pass  # events of reads are written every 0.1 seconds
    assert {line["request_id"] for line in reads} == sent
    expected = {"action": "getPerson", "principal": "admin-key", "outcome": 200, "client": "198.51.100.7"}
    assert [{name: line[name] for name in expected} for line in reads] == [expected] * 5
    while sent - {line.get("request_id") for line in events(server.log)}:
        pass


def events(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("public")
    settings: dict[str, Any] = {"allow_anonymous": "true", "trusted_proxies": 1, "rate_limit": 60}
    with serving(folder, admin_key=ADMIN_KEY, **settings) as server:
        yield server


@MODES
def test_anonymous_clients_are_limited_by_their_forwarded_network(public: Server, surname: str, extra: bytes) -> None:
    [person_id] = create(public, surname)
    network = b"2001:db8:%x" % len(extra)

    def status(address: bytes, number: int) -> int:
        return connection.get(f"/v1/people/{person_id}", extra=ALB % (address, number) + extra)[0]

    with connected(public, key="") as connection:
        connection._head = b"Host: localhost\r\n"
        statuses = [status(network + b"::%x" % number, number) for number in range(100)]
        assert set(statuses) == {200, 429}
        assert statuses.index(429) >= 60
        assert status(network + b"f::1", 1) == 200


@MODES
def test_page_of_another_site_is_rejected_by_a_local_server(tmp_path: Path, extra: bytes) -> None:
    with serving(tmp_path) as server:
        [person_id] = create(server, "Local", key=False)
        with connected(server) as connection:
            for host, expected in ((b"localhost", 200), (b"evil.example", 421), (b"localhost", 200)):
                connection._head = b"Host: %b\r\n" % host
                for _ in range(3):
                    assert connection.get(f"/v1/people/{person_id}", extra=extra)[0] == expected


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("shared")
    with serving(folder, kind=CACHED, admin_key=ADMIN_KEY, cache_local_size=0) as server:
        yield server


@MODES
def test_shared_cache_serves_the_response_of_the_framework(shared: Server, surname: str, extra: bytes) -> None:
    ids = create(shared, surname, 3)
    targets = [
        f"/v1/people/{ids[0]}",
        f"/v1/people?surname={surname}",
        f"/v1/people?surname={surname}&limit=2",
        f"/v1/people/{'0' * 32}",
        f"/v1/people/{ids[0].upper()}",
        f"/v1/people/{ids[1]}",
    ]
    with connected(shared) as connection:
        expected = [without_source(connection.get(target, extra=b"X-Other: 1\r\n")) for target in targets]
        for _ in range(3):
            assert [without_source(connection.get(target, extra=extra)) for target in targets] == expected
            connection.send(*targets, *targets, extra=extra)
            assert [without_source(connection.receive()) for _ in range(12)] == expected * 2
            for target in targets:  # each in a packet of its own, before the response to the previous one
                connection.send(target, extra=extra)
            assert [without_source(connection.receive()) for _ in targets] == expected
        while dict(connection.get(targets[0], extra=extra)[1])["cache-status"] != "peopleinfo; hit; detail=shared":
            pass


@MODES
def test_shared_cache_serves_no_record_before_its_latest_change(shared: Server, surname: str, extra: bytes) -> None:
    [person_id] = create(shared, surname)
    target = f"/v1/people/{person_id}"
    with connected(shared) as connection, httpx.Client(base_url=shared.url, headers=AS_ADMIN) as client:
        for version in range(1, 6):
            assert dict(connection.get(target, extra=extra)[1])["etag"] == f'"{version}"'
            assert dict(connection.get(target, extra=extra)[1])["etag"] == f'"{version}"'
            client.patch(target, json={"n": version}, headers={"If-Match": f'"{version}"'}).raise_for_status()
        client.delete(target).raise_for_status()
        assert connection.get(target, extra=extra)[0] == 404


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with open_sqlite(tmp_path / "people.db", now=Clock().now) as store:
        yield store


async def test_refund_of_a_read_needs_neither_the_audit_log_nor_half_of_the_quota(store: SqliteStore) -> None:
    record = await store.create(person_data("Refunded"))
    fast = fast_reads(store)
    fast._waits = True
    fast._get = lambda _: None  # type: ignore[assignment]
    rates = fast._limiter.rates  # type: ignore[union-attr]
    audit_errors: list[Exception] = []

    def check_writable(*, change: bool) -> None:
        assert not change
        if audit_errors:
            raise audit_errors[0]

    async def not_found(_: str) -> Any:
        rates.consume(BOOTSTRAP_ADMIN.name, int(rates.per_minute * 0.9))
        audit_errors.append(AuditUnavailable("full"))
        return None, CacheStatus.MISS

    fast._audit = cast("AuditLog", SimpleNamespace(check_writable=check_writable))
    fast._charge = fast._charge_audited
    fast._people = cast("Any", SimpleNamespace(get_cached=not_found))
    assert await fast.respond(request(record), []) is None  # type: ignore[misc]
    assert rates.unsynced(BOOTSTRAP_ADMIN.name) == int(rates.per_minute * 0.9)


async def test_read_that_the_framework_repeats_is_charged_once(store: SqliteStore) -> None:
    record = await store.create(person_data("Charged"))
    fast = fast_reads(store)
    fast._waits = True
    fast._get = fast._find = lambda *_: None  # type: ignore[assignment]
    rates = fast._limiter.rates  # type: ignore[union-attr]

    def people(result: Any) -> Any:
        async def read(*_: Any, **__: Any) -> Any:
            if isinstance(result, Exception):
                raise result
            return result

        return SimpleNamespace(get_cached=read, find_cached=read)

    for target in ("", "/v1/people?surname=Charged"):
        for result in (StoreUnavailable("down"), PersonMerged("a", "b")):
            fast._people = people(result)
            assert await fast.respond(request(record, target), []) is None  # type: ignore[misc]
            assert rates.unsynced(BOOTSTRAP_ADMIN.name) == 0
    fast._people = people((None, CacheStatus.SHARED))
    assert await fast.respond(request(record), []) is None  # type: ignore[misc]
    assert rates.unsynced(BOOTSTRAP_ADMIN.name) == 0
    fast._people = people((record, CacheStatus.SHARED))
    assert b"detail=shared" in await fast.respond(request(record), [])  # type: ignore[misc]
    fast._people = people((Page([record.body], None), CacheStatus.MISS))
    assert b"fwd=miss" in await fast.respond(request(record, "/v1/people?surname=Charged"), [])  # type: ignore[misc]
    assert rates.unsynced(BOOTSTRAP_ADMIN.name) == 6
    fast._people = people((record, CacheStatus.SHARED))
    waiting = fast.respond(request(record), [])
    fast._shutdown.is_on = True
    assert await waiting is None  # type: ignore[misc]
