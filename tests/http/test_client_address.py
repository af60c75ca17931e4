"""Every notation of a client's address counts as that client, other clients stay apart, and other text is not trusted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from falcon import testing

from peopleinfo.auth.api_keys import generate_key
from peopleinfo.http.client_address import UNKNOWN, canonical, client_address, network
from peopleinfo.http.middleware.rate_limit import MAX_FAILURES
from tests.http.serving import ADMIN_KEY, HANG_TIMEOUT, serving
from tests.http.test_authentication import bearer

if TYPE_CHECKING:
    from pathlib import Path

FOUR = "203.0.113.11"
SIX = "2001:db8::1"
PEER = "198.51.100.1"


def address(forwarded: str | list[str] | None, proxies: int = 1, peer: str | None = PEER) -> str:
    lines = [forwarded] if isinstance(forwarded, str) else forwarded or []
    headers: Any = [("X-Forwarded-For", line) for line in lines]
    request = testing.create_asgi_req(headers=headers)
    request.scope["client"] = [peer, 1234] if peer is not None else None
    return client_address(request, proxies)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (FOUR, FOUR),
        (f"{FOUR}:50001", FOUR),
        (f"{FOUR}:", FOUR),
        (f"::ffff:{FOUR}", FOUR),
        (f"::FFFF:{FOUR}", FOUR),
        (f"::ffff:{FOUR}:443", FOUR),
        (f"[::ffff:{FOUR}]:443", FOUR),
        ("::ffff:cb00:710b", FOUR),
        ("0:0:0:0:0:ffff:cb00:710b", FOUR),
        (SIX, SIX),
        (f"[{SIX}]", SIX),
        (f"[{SIX}]:443", SIX),
        ("2001:DB8:0:0::1", SIX),
        ("2001:0db8:0000:0000:0000:0000:0000:0001", SIX),
        (f"{SIX}%eth0", SIX),
        (f"[{SIX}%25eth0]:443", SIX),
        ("2001:db8::1:443", "2001:db8::1:443"),  # without brackets it is an address, not a port
        ("::1", "::1"),
    ],
)
def test_every_notation_of_an_address_is_the_same_address(text: str, same: str) -> None:
    assert canonical(text) == same
    assert address(f"192.0.2.1,  {text}\t") == same
    assert address(None, peer=text) == same


@pytest.mark.parametrize(
    "text",
    [
        "unknown", "_hidden", "localhost", "", "203.0.113", "203.0.113.256", "203.0.113.011", "203.0.113.11.5", "1", ":", "::g",
        f"{FOUR}:65536", f"{FOUR}:x", f"{FOUR}:1:2", f"[{FOUR}]", f"[{FOUR}]:80", f"[{SIX}", f"{SIX}]", "[]", "[]:80", "1:2:3",
        f"for={FOUR}", f"{FOUR} {FOUR}", "\u0661.1.1.1", f"{FOUR}/24", "%eth0", "unix:", "9" * 45, f"x{FOUR}",
    ],
)  # fmt: skip
def test_text_that_is_no_address_is_not_trusted(text: str) -> None:
    assert canonical(text) is None
    if text.isascii() and text:
        assert address(f"192.0.2.1, {text}") == PEER


def test_only_what_the_trusted_proxies_appended_counts() -> None:
    assert address(f"6.6.6.6, {FOUR}", proxies=1) == FOUR
    assert address(f"6.6.6.6, {FOUR}, 10.0.0.1", proxies=2) == FOUR
    assert address(f"{FOUR}", proxies=2) == PEER  # it did not come through both
    assert address(f"{FOUR}", proxies=0) == PEER


def test_several_header_lines_are_one_list() -> None:
    assert address(["6.6.6.6", FOUR], proxies=1) == FOUR
    assert address(["6.6.6.6", f"{FOUR}:1", "10.0.0.1:2"], proxies=2) == FOUR


@pytest.mark.parametrize("forwarded", [f"6.6.6.6, {FOUR},", f", ,6.6.6.6,,{FOUR} , ", [FOUR, ""], ["", FOUR]])
def test_empty_elements_are_ignored(forwarded: str | list[str]) -> None:
    assert address(forwarded) == FOUR


@pytest.mark.parametrize("forwarded", ["", ",", " , "])
def test_an_empty_list_yields_the_address_of_the_connection(forwarded: str) -> None:
    assert address(forwarded) == PEER


def test_a_connection_without_an_address_is_unknown() -> None:
    assert address(None, peer=None) == UNKNOWN
    assert address(None, peer="") == UNKNOWN


def test_an_ipv6_client_is_counted_by_its_64_bit_network() -> None:
    assert network("2001:db8::1") == network("2001:db8::2") == "2001:db8::/64"
    assert network("2001:db8:0:1::1") != network("2001:db8::1")
    assert network(FOUR) == FOUR
    assert network(UNKNOWN) == UNKNOWN


def test_a_port_does_not_make_another_client(tmp_path: Path) -> None:
    with (
        serving(tmp_path, allow_anonymous="true", trusted_proxies=1, rate_limit=20) as server,
        httpx.Client(timeout=HANG_TIMEOUT) as client,
    ):
        url = f"{server.url}/v1/people?surname=x"
        notations = [f"{FOUR}:500{port}" for port in range(4)] + [
            FOUR,
            f"::ffff:{FOUR}",
            f"[::ffff:{FOUR}]:1",
            f"{FOUR}:9",
        ]
        statuses = [client.get(url, headers={"X-Forwarded-For": text}).status_code for text in notations]
        assert statuses == [200] * 4 + [429] * 4
        assert client.get(url, headers={"X-Forwarded-For": "203.0.113.12:5001"}).status_code == 200


def test_guesses_from_many_ports_are_guesses_of_one_client_and_audited_as_one(tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    settings: dict[str, Any] = {"admin_key": ADMIN_KEY, "trusted_proxies": 1, "audit_log": f"file://{audit}"}
    with serving(tmp_path, **settings) as server, httpx.Client(timeout=HANG_TIMEOUT) as client:
        url = f"{server.url}/v1/people?surname=x"
        statuses = [
            client.get(url, headers=bearer(generate_key()) | {"X-Forwarded-For": f"{FOUR}:{port}"}).status_code
            for port in range(1, MAX_FAILURES + 16)
        ]
        assert statuses[:MAX_FAILURES] == [401] * MAX_FAILURES
        assert statuses[-1] == 429
    lines = [json.loads(line) for line in audit.read_bytes().splitlines()]
    assert {line["client"] for line in lines if line["action"] == "findPeople"} == {FOUR}
