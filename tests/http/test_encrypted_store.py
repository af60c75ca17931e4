"""What a client is told of where people are sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from peopleinfo.crypto.master_key import create_file
from tests.http.serving import HANG_TIMEOUT, Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sealed")
    create_file(folder / "master.key")
    with serving(folder, encryption=f"file://{folder / 'master.key'}") as server:
        yield server


@pytest.mark.parametrize("path", ["/v1/people", "/v1/people/export", "/v1/people/export?format=csv"])
def test_the_beginning_of_a_surname_is_refused_in_words_wherever_it_is_asked_for(sealed: Server, path: str) -> None:
    url = f"{sealed.url}{path}{'&' if '?' in path else '?'}surname_prefix=mu"
    answer = httpx.get(url, timeout=HANG_TIMEOUT)
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "surname_prefix"
    assert "the surnames are encrypted" in error["reason"]
