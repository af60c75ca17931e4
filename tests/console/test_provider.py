"""Signing in at an OpenID provider: a real one on this machine, which checks everything that a provider checks."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from playwright.sync_api import expect

from peopleinfo.app import open_people
from peopleinfo.http.sessions import Sessions
from peopleinfo.settings import Settings
from tests.console import browsing
from tests.console.test_signing_in import encrypted_cookie
from tests.http.serving import HANG_TIMEOUT, Server, serving
from tests.http.test_oidc import AUDIENCE, PROVIDER_KEY, jwk
from tests.store_kinds import NoEndedSessions, store_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

CLIENT = "people console"
SECRET = "s:cr/t"


class Provider(ThreadingHTTPServer):
    """Lets everybody in whom the browser brings, once for each code, and gives a token to who shows the code, the secret and the verifier."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.issuer = f"http://localhost:{self.server_port}"  # another site than the service, for a browser
        self.codes: dict[str, dict[str, str]] = {}
        self.claims: dict[str, Any] = {}
        self.refuses = False

    def token(self) -> str:
        import time

        import jwt

        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "anna",
            "iat": now,
            "exp": now + 300,
            "scope": "people:read people:write",
        }
        return jwt.encode(claims | self.claims, PROVIDER_KEY, algorithm="RS256", headers={"kid": "ours"})


class _Asked(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        issuer = self.server.issuer
        if url.path == "/authorize":
            self._authorize(dict(parse_qsl(url.query)))
        elif url.path == "/keys":
            self._answer({"keys": [jwk(PROVIDER_KEY, "ours", use="sig", alg="RS256")]})
        else:
            endpoints = {"authorization_endpoint": f"{issuer}/authorize", "token_endpoint": f"{issuer}/token"}
            self._answer({"issuer": issuer, "jwks_uri": f"{issuer}/keys", **endpoints})

    def _authorize(self, asked: dict[str, str]) -> None:
        known = (asked["response_type"], asked["client_id"], asked["code_challenge_method"], asked["scope"])
        assert known == ("code", CLIENT, "S256", "openid people:read people:write")
        code = secrets.token_urlsafe(8)
        self.server.codes[code] = asked
        answer = {"error": "access_denied"} if self.server.refuses else {"code": code, "iss": self.server.issuer}
        self.send_response(302)
        self.send_header("Location", f"{asked['redirect_uri']}?{urlencode({**answer, 'state': asked['state']})}")
        self.end_headers()

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        asked = self.server.codes.pop(form["code"], {})
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        shown = base64.b64decode(self.headers["Authorization"].partition(" ")[2]).decode()
        good = (
            asked.get("code_challenge") == challenge.decode()
            and asked.get("redirect_uri") == form["redirect_uri"]
            and (form["grant_type"], shown) == ("authorization_code", "people%20console:s%3Acr%2Ft")
        )
        self._answer(
            {"access_token": self.server.token(), "token_type": "Bearer"} if good else {}, 200 if good else 400
        )

    def _answer(self, document: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def everlasting() -> Iterator[Provider]:
    with Provider() as provider:
        thread = threading.Thread(target=provider.serve_forever)
        thread.start()
        yield provider
        provider.shutdown()
        thread.join()


@pytest.fixture
def provider(everlasting: Provider) -> Provider:
    everlasting.claims, everlasting.refuses = {}, False
    return everlasting


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("provided")


@pytest.fixture(scope="module")
def server(everlasting: Provider, folder: Path) -> Iterator[Server]:
    settings: dict[str, Any] = {
        "oidc_issuer": everlasting.issuer,
        "oidc_audience": AUDIENCE,
        "oidc_client_id": CLIENT,
        "oidc_client_secret": SECRET,
        "oidc_scopes": "openid people:read people:write",
    }
    with serving(folder, **settings) as server:
        yield server


@pytest.fixture
def browser_of_ours(server: Server) -> Iterator[httpx.Client]:
    """As much of a browser as the flow needs: it keeps cookies, and goes where it is told when it is told to."""
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
        yield client


def come_back(client: httpx.Client, where: str = "/console") -> str:
    """Begin to sign in, and return where the provider leads back to."""
    led = client.get(f"/console/sign-in/provider?next={where}")
    assert led.status_code == 303
    return httpx.get(led.headers["Location"], timeout=HANG_TIMEOUT).headers["Location"]


def is_signed_in(client: httpx.Client) -> bool:
    return client.get("/v1/people?surname=a").status_code == 200


def test_whoever_signs_in_at_the_provider_can_use_the_console(
    browser: Browser, server: Server, provider: Provider
) -> None:
    with browsing.window(browser, server.url, also=(provider.issuer,)) as page:
        page.goto("/console/people/new")
        page.get_by_role("link", name="Sign in with OpenID").click()
        page.get_by_label("Surname").fill("Provided")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", name="Provided")).to_be_visible()
        expect(page.get_by_text("oidc:anna")).to_be_visible()
        cookies = {cookie.get("name"): cookie for cookie in page.context.cookies()}
        assert set(cookies) == {"peopleinfo_session"}
        assert cookies["peopleinfo_session"].get("httpOnly")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_session_ends_with_its_token_and_what_was_typed_stays(
    browser: Browser, server: Server, folder: Path, provider: Provider
) -> None:
    provider.claims = {"exp": 1}
    expired = provider.token()
    provider.claims = {}
    with browsing.window(browser, server.url, also=(provider.issuer,)) as page:
        page.goto("/console/people/new")
        page.get_by_role("link", name="Sign in with OpenID").click()
        page.get_by_label("Surname").fill("Afterwards")
        with ThreadPoolExecutor() as elsewhere:  # the browser's loop runs here
            secret = elsewhere.submit(asyncio.run, secret_of(folder)).result()
        sessions = Sessions(secret, NoEndedSessions(), now=lambda: datetime.now(UTC))
        page.context.add_cookies(
            [
                {
                    "name": "peopleinfo_session",
                    "value": encrypted_cookie(sessions, expired),
                    "url": server.url,
                    "httpOnly": True,
                }
            ]
        )
        page.get_by_role("button", name="Save").click()
        dialog = page.get_by_role("dialog", name="Sign in again")
        with page.expect_popup() as opened:
            dialog.get_by_role("link", name="Sign in with OpenID").click()
        expect(opened.value.get_by_role("heading", name="People")).to_be_visible()
        dialog.get_by_role("button", name="go on here").click()
        expect(page.get_by_role("heading", name="Afterwards")).to_be_visible()


async def secret_of(folder: Path) -> bytes:
    async with open_people(Settings.load({}, store_url=store_url("sqlite", folder)), create=True) as people:
        return people.store.secret


def test_signing_in_leads_to_the_page_that_was_asked_for(browser_of_ours: httpx.Client, provider: Provider) -> None:
    answer = browser_of_ours.get(come_back(browser_of_ours, "/console/health"))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/health")
    assert is_signed_in(browser_of_ours)


@pytest.mark.parametrize("to", ["https://example.org", "//example.org", "/v1/people"])
def test_signing_in_leads_nowhere_else(browser_of_ours: httpx.Client, provider: Provider, to: str) -> None:
    assert browser_of_ours.get(come_back(browser_of_ours, to)).headers["Location"] == "/console"


def refused(client: httpx.Client, url: str, status: int, why: str) -> None:
    answer = client.get(url, headers={"Accept": "text/html"})
    assert (answer.status_code, why in answer.text) == (status, True), answer.text
    assert not is_signed_in(client)


def test_an_answer_that_was_asked_for_in_another_browser_signs_nobody_in(
    server: Server, browser_of_ours: httpx.Client, provider: Provider
) -> None:
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as attacker:
        theirs = come_back(attacker)
    refused(browser_of_ours, theirs, 400, "not begun in this browser")
    come_back(browser_of_ours)
    refused(browser_of_ours, theirs, 400, "was not started in this browser")


def test_a_code_is_good_once(server: Server, browser_of_ours: httpx.Client, provider: Provider) -> None:
    back = come_back(browser_of_ours)
    kept = dict(browser_of_ours.cookies)
    assert browser_of_ours.get(back).status_code == 303
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, cookies=kept) as again:
        refused(again, back, 400, "rejected the authorization code")


def test_an_answer_of_another_provider_is_refused(browser_of_ours: httpx.Client, provider: Provider) -> None:
    url = httpx.URL(come_back(browser_of_ours))
    refused(browser_of_ours, str(url.copy_set_param("iss", "https://example.org")), 400, "another provider")


def test_whom_the_provider_does_not_let_in_is_told(browser_of_ours: httpx.Client, provider: Provider) -> None:
    provider.refuses = True
    refused(browser_of_ours, come_back(browser_of_ours), 400, "rejected the sign-in")


@pytest.mark.parametrize("claims", [{"aud": "another service"}, {"exp": 1}, {"iss": "https://example.org"}], ids=str)
def test_a_token_that_is_not_for_us_signs_nobody_in(
    browser_of_ours: httpx.Client, provider: Provider, claims: dict[str, Any]
) -> None:
    provider.claims = claims
    refused(browser_of_ours, come_back(browser_of_ours), 403, "not meant for this service")


def test_a_token_that_no_cookie_holds_is_refused(browser_of_ours: httpx.Client, provider: Provider) -> None:
    provider.claims = {"groups": "x" * 4_000}
    refused(browser_of_ours, come_back(browser_of_ours), 400, "too long for a cookie")


def test_nothing_of_it_is_offered_without_a_client(tmp_path: Any) -> None:
    with serving(tmp_path, admin_key="k" * 43) as server:
        assert "OpenID" not in httpx.get(f"{server.url}/console/sign-in", timeout=HANG_TIMEOUT).text
        assert httpx.get(f"{server.url}/console/sign-in/provider", timeout=HANG_TIMEOUT).status_code == 404
