"""Signing out ends the session in every process and after a restart; other sessions of the key stay valid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.http.serving import ADMIN_KEY, HANG_TIMEOUT, serving

if TYPE_CHECKING:
    from pathlib import Path

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
PERSON = "/v1/people?surname=x"


def sign_in(url: str) -> dict[str, str]:
    response = httpx.post(f"{url}/console/sign-in", data={"key": ADMIN_KEY}, headers=SAME_ORIGIN, timeout=HANG_TIMEOUT)
    assert response.status_code == 303
    return SAME_ORIGIN | {"Cookie": f"peopleinfo_session={response.cookies['peopleinfo_session']}"}


def status(url: str, session: dict[str, str], path: str = PERSON) -> int:
    """Return the status of a request over a new connection, which any worker may accept."""
    return httpx.get(f"{url}{path}", headers=session, timeout=HANG_TIMEOUT).status_code


@pytest.mark.parametrize("workers", [1, 3])
def test_signed_out_session_is_rejected(store_kind: str, tmp_path: Path, workers: int) -> None:
    with serving(tmp_path, kind=store_kind, workers=workers, admin_key=ADMIN_KEY) as server:
        ended, other = sign_in(server.url), sign_in(server.url)
        for _ in range(10):
            assert (status(server.url, ended), status(server.url, other)) == (200, 200)
        response = httpx.post(f"{server.url}/console/sign-out", headers=ended, timeout=HANG_TIMEOUT)
        assert (response.status_code, response.headers["Location"]) == (303, "/console/sign-in")
        assert 'peopleinfo_session=""' in response.headers["Set-Cookie"]
        for _ in range(10):
            assert (status(server.url, ended), status(server.url, other)) == (401, 200)
            assert status(server.url, ended, "/console") == 303
            assert status(server.url, ended, "/metrics") == 401
        again = httpx.post(f"{server.url}/console/sign-out", headers=ended, timeout=HANG_TIMEOUT)
        assert again.status_code == 303
    with serving(tmp_path, kind=store_kind, workers=workers, admin_key=ADMIN_KEY) as server:
        assert (status(server.url, ended), status(server.url, other)) == (401, 200)
