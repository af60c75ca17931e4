"""Login at an OpenID provider: a local server that validates requests like a real provider."""

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

from peopleinfo.http.sessions import Sessions
from peopleinfo.settings import Settings
from peopleinfo.stores.registry import open_service_store
from tests.console import browsing
from tests.console.test_login import session_cookie
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
    """Provider that accepts every user and exchanges each code once, with its secret and its verifier, for a token."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.issuer = f"http://localhost:{self.server_port}"  # a different site than the service
        self.codes: dict[str, dict[str, str]] = {}
        self.claims: dict[str, Any] = {}
        self.denies = False

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


class _Handler(BaseHTTPRequestHandler):
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

    def _authorize(self, params: dict[str, str]) -> None:
        known = (params["response_type"], params["client_id"], params["code_challenge_method"], params["scope"])
        assert known == ("code", CLIENT, "S256", "openid people:read people:write")
        code = secrets.token_urlsafe(8)
        self.server.codes[code] = params
        answer = {"error": "access_denied"} if self.server.denies else {"code": code, "iss": self.server.issuer}
        self.send_response(302)
        self.send_header("Location", f"{params['redirect_uri']}?{urlencode({**answer, 'state': params['state']})}")
        self.end_headers()

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        params = self.server.codes.pop(form["code"], {})
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        credentials = base64.b64decode(self.headers["Authorization"].partition(" ")[2]).decode()
        is_valid = (
            params.get("code_challenge") == challenge.decode()
            and params.get("redirect_uri") == form["redirect_uri"]
            and (form["grant_type"], credentials) == ("authorization_code", "people%20console:s%3Acr%2Ft")
        )
        self._answer(
            {"access_token": self.server.token(), "token_type": "Bearer"} if is_valid else {}, 200 if is_valid else 400
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
def running_provider() -> Iterator[Provider]:
    with Provider() as provider:
        thread = threading.Thread(target=provider.serve_forever)
        thread.start()
        yield provider
        provider.shutdown()
        thread.join()


@pytest.fixture
def provider(running_provider: Provider) -> Provider:
    running_provider.claims, running_provider.denies = {}, False
    return running_provider


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("provided")


@pytest.fixture(scope="module")
def server(running_provider: Provider, folder: Path) -> Iterator[Server]:
    settings: dict[str, Any] = {
        "oidc_issuer": running_provider.issuer,
        "oidc_audience": AUDIENCE,
        "oidc_client_id": CLIENT,
        "oidc_client_secret": SECRET,
        "oidc_scopes": "openid people:read people:write",
    }
    with serving(folder, **settings) as server:
        yield server


@pytest.fixture
def user_agent(server: Server) -> Iterator[httpx.Client]:
    """Return a client that stores cookies and does not follow redirects."""
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
        yield client


def callback_url(client: httpx.Client, return_to: str = "/console") -> str:
    """Start a login and return the callback URL of the provider."""
    redirect = client.get(f"/console/sign-in/provider?next={return_to}")
    assert redirect.status_code == 303
    return httpx.get(redirect.headers["Location"], timeout=HANG_TIMEOUT).headers["Location"]


def is_signed_in(client: httpx.Client) -> bool:
    return client.get("/v1/people?surname=a").status_code == 200


def test_user_of_the_provider_can_use_the_console(browser: Browser, server: Server, provider: Provider) -> None:
    with browsing.window(browser, server.url, also=(provider.issuer,)) as page:
        page.goto("/console/people/new")
        page.get_by_role("link", name="Sign in with your organization").click()
        page.get_by_label("Surname").fill("Provided")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", name="Provided")).to_be_visible()
        expect(page.get_by_text("oidc:anna")).to_be_visible()
        cookies = {cookie.get("name"): cookie for cookie in page.context.cookies()}
        assert set(cookies) == {"peopleinfo_session"}
        assert cookies["peopleinfo_session"].get("httpOnly")
        browsing.open_menu(page)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_session_expires_with_its_token_and_input_is_kept(
    browser: Browser, server: Server, folder: Path, provider: Provider
) -> None:
    provider.claims = {"exp": 1}
    expired = provider.token()
    provider.claims = {}
    with browsing.window(browser, server.url, also=(provider.issuer,)) as page:
        page.goto("/console/people/new")
        page.get_by_role("link", name="Sign in with your organization").click()
        page.get_by_label("Surname").fill("Afterwards")
        with ThreadPoolExecutor() as executor:  # this thread already runs the browser's event loop
            secret = executor.submit(asyncio.run, secret_of(folder)).result()
        sessions = Sessions(secret, NoEndedSessions(), now=lambda: datetime.now(UTC))
        page.context.add_cookies(
            [
                {
                    "name": "peopleinfo_session",
                    "value": session_cookie(sessions, expired),
                    "url": server.url,
                    "httpOnly": True,
                }
            ]
        )
        page.get_by_role("button", name="Save").click()
        dialog = page.get_by_role("dialog", name="Sign in again")
        with page.expect_popup() as opened:
            dialog.get_by_role("link", name="Sign in with your organization").click()
        expect(opened.value.get_by_role("heading", name="People")).to_be_visible()
        dialog.get_by_role("button", name="continue here").click()
        expect(page.get_by_role("heading", name="Afterwards")).to_be_visible()


async def secret_of(folder: Path) -> bytes:
    async with open_service_store(Settings.load({}, store_url=store_url("sqlite", folder)), create=True) as store:
        return store.secret


def test_login_redirects_to_the_requested_page(user_agent: httpx.Client, provider: Provider) -> None:
    answer = user_agent.get(callback_url(user_agent, "/console/health"))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/health")
    assert is_signed_in(user_agent)


@pytest.mark.parametrize("to", ["https://example.org", "//example.org", "/v1/people"])
def test_login_redirects_to_console_pages_only(user_agent: httpx.Client, provider: Provider, to: str) -> None:
    assert user_agent.get(callback_url(user_agent, to)).headers["Location"] == "/console"


def assert_rejected(client: httpx.Client, url: str, status: int, reason: str) -> None:
    answer = client.get(url, headers={"Accept": "text/html"})
    assert (answer.status_code, reason in answer.text) == (status, True), answer.text
    assert not is_signed_in(client)


def test_callback_of_another_browser_is_rejected(server: Server, user_agent: httpx.Client, provider: Provider) -> None:
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as attacker:
        other_callback = callback_url(attacker)
    assert_rejected(user_agent, other_callback, 400, "not started in this browser")
    callback_url(user_agent)
    assert_rejected(user_agent, other_callback, 400, "was not started in this browser")


def test_code_is_valid_once(server: Server, user_agent: httpx.Client, provider: Provider) -> None:
    callback = callback_url(user_agent)
    cookies = dict(user_agent.cookies)
    assert user_agent.get(callback).status_code == 303
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, cookies=cookies) as other_agent:
        assert_rejected(other_agent, callback, 400, "rejected the authorization code")


def test_callback_of_another_issuer_is_rejected(user_agent: httpx.Client, provider: Provider) -> None:
    url = httpx.URL(callback_url(user_agent))
    assert_rejected(user_agent, str(url.copy_set_param("iss", "https://example.org")), 400, "another provider")


def test_denied_login_shows_a_message(user_agent: httpx.Client, provider: Provider) -> None:
    provider.denies = True
    assert_rejected(user_agent, callback_url(user_agent), 400, "rejected the sign-in")


@pytest.mark.parametrize("claims", [{"aud": "another service"}, {"exp": 1}, {"iss": "https://example.org"}], ids=str)
def test_invalid_token_is_rejected(user_agent: httpx.Client, provider: Provider, claims: dict[str, Any]) -> None:
    provider.claims = claims
    assert_rejected(user_agent, callback_url(user_agent), 403, "not valid for this service")


def test_token_that_exceeds_the_cookie_size_is_rejected(user_agent: httpx.Client, provider: Provider) -> None:
    provider.claims = {"groups": "x" * 4_000}
    assert_rejected(user_agent, callback_url(user_agent), 400, "too long for a cookie")


def test_provider_login_is_absent_without_a_client_id(tmp_path: Any) -> None:
    with serving(tmp_path, admin_key="k" * 43) as server:
        assert "your organization" not in httpx.get(f"{server.url}/console/sign-in", timeout=HANG_TIMEOUT).text
        assert httpx.get(f"{server.url}/console/sign-in/provider", timeout=HANG_TIMEOUT).status_code == 404
