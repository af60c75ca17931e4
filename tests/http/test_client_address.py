"""Client addresses: all notations of an address are one client, and invalid text is ignored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from falcon import testing

from peopleinfo.auth.api_keys import generate_key
from peopleinfo.auth.rate_limit import MAX_FAILURES
from peopleinfo.http.client_address import UNKNOWN, canonical, client_address, network
from tests.http.serving import ADMIN_KEY, HANG_TIMEOUT, serving
from tests.http.test_authentication import bearer

if TYPE_CHECKING:
    from pathlib import Path

IPV4 = "203.0.113.11"
IPV6 = "2001:db8::1"
PEER = "198.51.100.1"


def address(forwarded: str | list[str] | None, proxies: int = 1, peer: str | None = PEER) -> str:
    lines = [forwarded] if isinstance(forwarded, str) else forwarded or []
    headers: Any = [("X-Forwarded-For", line) for line in lines]
    request = testing.create_asgi_req(headers=headers)
    request.scope["client"] = [peer, 1234] if peer is not None else None
    return client_address(request, proxies)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (IPV4, IPV4),
        (f"{IPV4}:50001", IPV4),
        (f"{IPV4}:", IPV4),
        (f"::ffff:{IPV4}", IPV4),
        (f"::FFFF:{IPV4}", IPV4),
        (f"::ffff:{IPV4}:443", IPV4),
        (f"[::ffff:{IPV4}]:443", IPV4),
        ("::ffff:cb00:710b", IPV4),
        ("0:0:0:0:0:ffff:cb00:710b", IPV4),
        (IPV6, IPV6),
        (f"[{IPV6}]", IPV6),
        (f"[{IPV6}]:443", IPV6),
        ("2001:DB8:0:0::1", IPV6),
        ("2001:0db8:0000:0000:0000:0000:0000:0001", IPV6),
        (f"{IPV6}%eth0", IPV6),
        (f"[{IPV6}%25eth0]:443", IPV6),
        ("2001:db8::1:443", "2001:db8::1:443"),  # without brackets it is an address, not a port
        ("::1", "::1"),
    ],
)
def test_every_notation_yields_the_canonical_address(text: str, expected: str) -> None:
    assert canonical(text) == expected
    assert address(f"192.0.2.1,  {text}\t") == expected
    assert address(None, peer=text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "unknown", "_hidden", "localhost", "", "203.0.113", "203.0.113.256", "203.0.113.011", "203.0.113.11.5", "1", ":", "::g",
        f"{IPV4}:65536", f"{IPV4}:x", f"{IPV4}:1:2", f"[{IPV4}]", f"[{IPV4}]:80", f"[{IPV6}", f"{IPV6}]", "[]", "[]:80", "1:2:3",
        f"for={IPV4}", f"{IPV4} {IPV4}", "\u0661.1.1.1", f"{IPV4}/24", "%eth0", "unix:", "9" * 45, f"x{IPV4}",
    ],
)  # fmt: skip
def test_invalid_address_is_ignored(text: str) -> None:
    assert canonical(text) is None
    if text.isascii() and text:
        assert address(f"192.0.2.1, {text}") == PEER


def test_only_addresses_from_trusted_proxies_count() -> None:
    assert address(f"6.6.6.6, {IPV4}", proxies=1) == IPV4
    assert address(f"6.6.6.6, {IPV4}, 10.0.0.1", proxies=2) == IPV4
    assert address(f"{IPV4}", proxies=2) == PEER  # it passed only one of the proxies
    assert address(f"{IPV4}", proxies=0) == PEER


def test_several_header_lines_form_one_list() -> None:
    assert address(["6.6.6.6", IPV4], proxies=1) == IPV4
    assert address(["6.6.6.6", f"{IPV4}:1", "10.0.0.1:2"], proxies=2) == IPV4


@pytest.mark.parametrize("forwarded", [f"6.6.6.6, {IPV4},", f", ,6.6.6.6,,{IPV4} , ", [IPV4, ""], ["", IPV4]])
def test_empty_elements_are_ignored(forwarded: str | list[str]) -> None:
    assert address(forwarded) == IPV4


@pytest.mark.parametrize("forwarded", ["", ",", " , "])
def test_empty_list_yields_the_peer_address(forwarded: str) -> None:
    assert address(forwarded) == PEER


def test_connection_without_an_address_is_unknown() -> None:
    assert address(None, peer=None) == UNKNOWN
    assert address(None, peer="") == UNKNOWN


def test_ipv6_client_is_counted_by_its_64_bit_network() -> None:
    assert network("2001:db8::1") == network("2001:db8::2") == "2001:db8::/64"
    assert network("2001:db8:0:1::1") != network("2001:db8::1")
    assert network(IPV4) == IPV4
    assert network(UNKNOWN) == UNKNOWN


def test_port_does_not_distinguish_clients(tmp_path: Path) -> None:
    with (
        serving(tmp_path, allow_anonymous="true", trusted_proxies=1, rate_limit=20) as server,
        httpx.Client(timeout=HANG_TIMEOUT) as client,
    ):
        url = f"{server.url}/v1/people?surname=x"
        notations = [f"{IPV4}:500{port}" for port in range(4)] + [
            IPV4,
            f"::ffff:{IPV4}",
            f"[::ffff:{IPV4}]:1",
            f"{IPV4}:9",
        ]
        statuses = [client.get(url, headers={"X-Forwarded-For": text}).status_code for text in notations]
        assert statuses == [200] * 4 + [429] * 4
        assert client.get(url, headers={"X-Forwarded-For": "203.0.113.12:5001"}).status_code == 200


def test_failed_attempts_from_many_ports_count_for_one_client(tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    settings: dict[str, Any] = {"admin_key": ADMIN_KEY, "trusted_proxies": 1, "audit_log": f"file://{audit}"}
    with serving(tmp_path, **settings) as server, httpx.Client(timeout=HANG_TIMEOUT) as client:
        url = f"{server.url}/v1/people?surname=x"
        statuses = [
            client.get(url, headers=bearer(generate_key()) | {"X-Forwarded-For": f"{IPV4}:{port}"}).status_code
            for port in range(1, MAX_FAILURES + 16)
        ]
        assert statuses[:MAX_FAILURES] == [401] * MAX_FAILURES
        assert statuses[-1] == 429
    lines = [json.loads(line) for line in audit.read_bytes().splitlines()]
    assert {line["client"] for line in lines if line["action"] == "findPeople"} == {IPV4}
