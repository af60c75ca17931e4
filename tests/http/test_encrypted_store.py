"""Responses of a server with an encrypted store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from peopleinfo.crypto.master_key import create_file
from tests.http.serving import HANG_TIMEOUT, Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("encrypted")
    create_file(folder / "master.key")
    with serving(folder, encryption=f"file://{folder / 'master.key'}") as server:
        yield server


@pytest.mark.parametrize("path", ["/v1/people", "/v1/people/export", "/v1/people/export?format=csv"])
def test_search_by_surname_prefix_is_rejected_with_a_reason(encrypted: Server, path: str) -> None:
    url = f"{encrypted.url}{path}{'&' if '?' in path else '?'}surname_prefix=mu"
    response = httpx.get(url, timeout=HANG_TIMEOUT)
    assert (response.status_code, response.headers["Content-Type"]) == (422, "application/problem+json")
    (error,) = response.json()["errors"]
    assert error["pointer"] == "surname_prefix"
    assert "the surnames are encrypted" in error["reason"]
