"""Login with a key, logout, and the protection of sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from falcon import testing
from falcon.asgi import Request, Response
from playwright.sync_api import expect

from tests.cli import commands
from tests.console import browsing
from tests.console.test_accessibility import violations_of
from tests.http.serving import HANG_TIMEOUT, Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from peopleinfo.http.sessions import Sessions

ADMIN = "an-admin-key-of-many-letters-0123456789"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guarded")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving(folder, admin_key=ADMIN) as server:
        headers = {"Authorization": f"Bearer {ADMIN}"}
        httpx.post(
            f"{server.url}/v1/people",
            json={"person_name": "Anna", "person_surname": "Müller"},
            headers=headers,
            timeout=HANG_TIMEOUT,
        )
        yield server


def keys(folder: Path, *arguments: str) -> str:
    result = commands.run(folder, "keys", *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout.decode()


def sign_in(page: Page, key: str, *, at: str = "/console") -> None:
    page.goto(at)
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def session(page: Page) -> dict[str, object]:
    return next(dict(cookie) for cookie in page.context.cookies() if cookie.get("name") == "peopleinfo_session")


def test_anonymous_user_signs_in_and_reaches_the_requested_page(page: Page) -> None:
    sign_in(page, ADMIN, at="/console/people/new")
    expect(page.get_by_role("heading", name="Add a person")).to_be_visible()
    page.get_by_role("link", name="People").last.click()
    expect(page.locator(".who")).to_have_text(["Müller, Anna"])


def test_search_in_the_address_is_shown_after_the_login(page: Page) -> None:
    sign_in(page, "pi_wrong", at="/console#q=mull&born_to=1950")
    expect(page.get_by_role("alert").filter(has_text="This key is invalid")).to_be_visible()
    page.get_by_label("API key").fill(ADMIN)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Name, birthdate, address, mail or phone")).to_have_value("mull")
    expect(page.get_by_label("Born to")).to_have_value("1950")
    expect(page.get_by_role("heading", name="No matches")).to_be_visible()


def test_invalid_key_shows_a_message(page: Page) -> None:
    sign_in(page, "pi_wrong")
    expect(page.get_by_role("alert").filter(has_text="This key is invalid")).to_be_visible()
    expect(page.get_by_label("API key")).to_have_value("")
    assert page.context.cookies() == []


def test_scripts_cannot_read_the_session(page: Page) -> None:
    sign_in(page, ADMIN)
    expect(page.locator(".who")).to_have_text(["Müller, Anna"])
    cookie = session(page)
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert ADMIN not in str(cookie["value"])
    seen = page.evaluate(
        "document.cookie + JSON.stringify({...localStorage, ...sessionStorage}) + document.documentElement.outerHTML"
    )
    assert ADMIN not in seen
    assert "peopleinfo_session" not in seen


def test_logout_ends_the_session(page: Page) -> None:
    sign_in(page, ADMIN)
    expect(page.locator(".who")).to_have_text(["Müller, Anna"])
    browsing.open_menu(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_text("Müller")).to_have_count(0)


def test_input_is_kept_when_the_session_expires(page: Page, server: Server) -> None:
    sign_in(page, ADMIN, at="/console/people/new")
    page.get_by_label("Surname").fill("Unterbrochen")
    page.context.clear_cookies()
    page.get_by_role("button", name="Save").click()
    dialog = page.get_by_role("dialog", name="Sign in again")
    expect(dialog.get_by_label("API key")).to_be_focused()
    dialog.get_by_label("API key").fill("wrong")
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog.get_by_text("This key is invalid")).to_be_visible()
    dialog.get_by_label("API key").fill(ADMIN)
    dialog.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Unterbrochen")).to_be_visible()


def test_login_on_another_tab_resumes_the_page(page: Page) -> None:
    sign_in(page, ADMIN, at="/console/people/new")
    page.get_by_label("Surname").fill("Elsewhere")
    page.get_by_label("Address").fill("A street\nA town")
    page.get_by_role("button", name="Add a field").click()
    page.get_by_label("Name", exact=True).fill("languages")
    page.get_by_label("Value").fill('["german", "turkish"]')
    page.get_by_label("Type").select_option("JSON")
    page.context.clear_cookies()
    page.get_by_role("button", name="Save").click()
    dialog = page.get_by_role("dialog", name="Sign in again")
    expect(dialog).to_be_visible()
    assert violations_of(page) == []
    with page.expect_response(lambda answer: answer.status == httpx.codes.UNAUTHORIZED):  # not signed in yet
        dialog.get_by_role("button", name="continue here").click()
    with page.expect_popup() as opened:
        dialog.get_by_role("link", name="sign in on a new tab").click()
    opened.value.get_by_label("API key").fill(ADMIN)
    opened.value.get_by_role("button", name="Sign in").click()
    expect(opened.value.get_by_role("heading", name="People")).to_be_visible()
    dialog.get_by_role("button", name="continue here").click()
    expect(page.get_by_role("heading", name="Elsewhere")).to_be_visible()
    expect(page.locator("#fields")).to_contain_text("A street\nA town")
    expect(page.locator("#more li")).to_have_text(["german", "turkish"])


@pytest.mark.parametrize("at", ["/console", "/console/people/new", "/console/health", "/console/import-export"])
def test_cancelled_login_shows_a_message(page: Page, tmp_path: Path, at: str) -> None:
    sign_in(page, ADMIN, at=at)
    page.wait_for_load_state("networkidle")
    page.context.clear_cookies()
    if at == "/console":
        page.get_by_label("Name, birthdate, address, mail or phone").fill("m")
    elif at == "/console/people/new":
        page.get_by_label("Surname").fill("Later")
        page.get_by_role("button", name="Save").click()
    elif at == "/console/import-export":
        (tmp_path / "people.csv").write_text("name\nLater\n")
        page.locator("#file").set_input_files(tmp_path / "people.csv")
    page.get_by_role("dialog").get_by_role("button", name="Not now").click()
    expect(page.get_by_text("You are not signed in").first).to_be_visible()
    if at == "/console/people/new":
        expect(page.get_by_label("Surname")).to_have_value("Later")


def test_export_resumes_after_a_new_login(page: Page) -> None:
    sign_in(page, ADMIN)
    expect(page.locator(".who").first).to_be_visible()
    page.context.clear_cookies()
    page.locator("#tools summary", has_text="Export").click()
    page.get_by_role("group", name="Export results").get_by_role("button", name="Plain CSV").click()
    with page.expect_download():
        page.get_by_role("dialog").get_by_label("API key").fill(ADMIN)
        page.get_by_role("dialog").get_by_role("button", name="Sign in").click()


def test_read_only_user_sees_no_editing_actions(page: Page, folder: Path) -> None:
    key = keys(folder, "create", f"reader-{id(page)}", "--scope", "people:read").split()[-1]
    sign_in(page, key)
    expect(page.locator(".who").first).to_be_visible()
    expect(page.get_by_role("link", name="Add a person")).to_have_count(0)
    page.locator(".row").first.click()
    expect(page.locator("#person")).to_be_visible()
    expect(page.get_by_role("link", name="Edit")).to_be_hidden()
    expect(page.get_by_role("button", name="Delete")).to_be_hidden()


def test_revoking_a_key_ends_its_sessions(page: Page, folder: Path) -> None:
    name = f"short-{id(page)}"
    sign_in(page, keys(folder, "create", name, "--scope", "people:read").split()[-1])
    expect(page.locator(".who").first).to_be_visible()
    keys(folder, "revoke", name)
    for _ in range(HANG_TIMEOUT * 2):  # the server caches a key for two seconds
        page.get_by_label("Name, birthdate, address, mail or phone").fill("m")
        page.get_by_label("Name, birthdate, address, mail or phone").fill("mu")
        page.wait_for_timeout(500)
        if page.get_by_role("dialog").is_visible():
            break
    expect(page.get_by_role("dialog", name="Sign in again")).to_be_visible()


@pytest.fixture
def cookie(server: Server) -> dict[str, str]:
    """Return the headers with a session cookie."""
    same_origin = {"Origin": server.url}
    answer = httpx.post(f"{server.url}/console/sign-in", data={"key": ADMIN}, headers=same_origin, timeout=HANG_TIMEOUT)
    assert answer.status_code == 303
    return {"Cookie": f"peopleinfo_session={answer.cookies['peopleinfo_session']}"}


def add(server: Server, **headers: str) -> int:
    return httpx.post(
        f"{server.url}/v1/people", json={"person_surname": "x"}, headers=headers, timeout=HANG_TIMEOUT
    ).status_code


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://example.org"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "same_origin"},
    ],
    ids=str,
)
def test_cross_site_write_with_a_session_is_rejected(
    server: Server, cookie: dict[str, str], headers: dict[str, str]
) -> None:
    same_origin = {name: server.url if value == "same_origin" else value for name, value in headers.items()}
    assert add(server, **cookie, **same_origin) == 403


def test_same_origin_write_with_a_session_is_accepted(server: Server, cookie: dict[str, str]) -> None:
    assert add(server, **cookie, **{"Sec-Fetch-Site": "same-origin"}) == 201
    assert add(server, **cookie, Origin=server.url) == 201


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_cross_site_read_with_a_session_is_rejected(server: Server, cookie: dict[str, str], site: str) -> None:
    answer = httpx.get(
        f"{server.url}/v1/people?surname=x", headers=cookie | {"Sec-Fetch-Site": site}, timeout=HANG_TIMEOUT
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/console/sign-in", "/console/sign-out"])
def test_cross_site_login_and_logout_are_rejected(server: Server, path: str) -> None:
    answer = httpx.post(
        f"{server.url}{path}", data={"key": ADMIN}, headers={"Origin": "https://example.org"}, timeout=HANG_TIMEOUT
    )
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


def test_form_of_another_site_changes_nothing(browser: Browser, server: Server, tmp_path: Path) -> None:
    with browsing.window(browser, server.url) as page:
        sign_in(page, ADMIN)
        expect(page.locator(".who").first).to_be_visible()
        before = httpx.get(
            f"{server.url}/v1/people/export", headers={"Authorization": f"Bearer {ADMIN}"}, timeout=HANG_TIMEOUT
        ).text
        attacker = page.context.new_page()
        attacker.set_content(
            f'<form method="post" enctype="text/plain" action="{server.url}/v1/people"><input name="x"></form>'
        )
        with attacker.expect_navigation():
            attacker.evaluate("document.forms[0].submit()")
        after = httpx.get(
            f"{server.url}/v1/people/export", headers={"Authorization": f"Bearer {ADMIN}"}, timeout=HANG_TIMEOUT
        ).text
    assert after == before


@pytest.mark.parametrize(
    "to",
    ["https://example.org", "//example.org", "/v1/people", "/console/../docs", "javascript:1", "/console/x?y", "\\\\x"],
)
def test_login_with_a_key_redirects_to_console_pages_only(server: Server, to: str) -> None:
    answer = httpx.post(
        f"{server.url}/console/sign-in",
        data={"key": ADMIN, "next": to},
        headers={"Origin": server.url},
        timeout=HANG_TIMEOUT,
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console")


def test_link_from_another_site_keeps_the_session(page: Page, server: Server) -> None:
    sign_in(page, ADMIN)
    expect(page.locator(".who").first).to_be_visible()
    other_site = page.context.new_page()
    other_site.set_content(f'<a href="{server.url}/console/people/new">there</a>')
    other_site.get_by_role("link", name="there").click()
    expect(other_site.get_by_role("heading", name="Add a person")).to_be_visible()


async def receive() -> dict[str, str]:
    """Return the event of a request without a body."""
    return {"type": "http.disconnect"}


def session_cookie(sessions: Sessions, credential: str = "a key") -> str:
    """Return the value of a session cookie."""
    response = Response()
    sessions.start(
        Request(testing.create_scope(method="POST", headers={"Sec-Fetch-Site": "same-origin"}), receive),
        response,
        credential,
    )
    assert response._cookies is not None
    return response._cookies["peopleinfo_session"].value
