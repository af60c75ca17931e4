"""Without keys, the server rejects requests from web pages: DNS rebinding and other origins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.http.serving import serving

if TYPE_CHECKING:
    from pathlib import Path

STORE_KINDS = ["sqlite"]  # the check precedes any access to the store
PERSON = {"person_surname": "Private"}


@pytest.mark.parametrize("host", ["localhost", "localhost:3000", "127.0.0.1", "127.0.0.9:80", "[::1]", "[::1]:3000"])
def test_loopback_host_name_is_accepted(client: httpx.Client, host: str) -> None:
    assert client.get("/v1/people?surname=private", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["rebound.example", "rebound.example:3000", "127.0.0.1.example", "10.0.0.1", "[::2]:80"]
)
@pytest.mark.parametrize("path", ["/v1/people?surname=private", "/data?person_surname=private", "/", "/nowhere"])
def test_other_host_name_is_rejected(client: httpx.Client, host: str, path: str) -> None:
    response = client.get(path, headers={"Host": host})
    assert response.status_code == 421
    assert "PEOPLEINFO_ALLOW_ANONYMOUS=true" in response.json()["detail"]


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "http://localhost:1", "null", "http://127.0.0.1"])
def test_page_of_another_origin_is_rejected(client: httpx.Client, origin: str) -> None:
    assert client.post("/v1/people", json=PERSON, headers={"Origin": origin}).status_code == 403
    assert client.get("/v1/people?surname=private", headers={"Origin": origin}).status_code == 403


def test_page_of_the_same_origin_is_accepted(client: httpx.Client) -> None:
    same_origin = f"http://{client.base_url.netloc.decode()}"
    assert client.post("/v1/people", json=PERSON, headers={"Origin": same_origin}).status_code == 201


def test_server_with_anonymous_access_accepts_every_host_name(tmp_path: Path) -> None:
    with serving(tmp_path, allow_anonymous="true") as server, httpx.Client(base_url=server.url) as client:
        assert client.get("/status", headers={"Host": "people.example"}).status_code == 200
