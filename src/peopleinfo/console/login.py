"""Login with an API key, and logout. Only the encrypted session cookie holds the key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import falcon

from peopleinfo.console.rendering import ANONYMOUS_VISITOR, LOGIN_PATH, Page, render_page
from peopleinfo.errors import NotAuthenticated
from peopleinfo.http.bodies import read_form
from peopleinfo.http.middleware.request_limits import count_failures
from peopleinfo.http.sessions import reject_cross_site

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.auth.authenticator import Authenticator
    from peopleinfo.http.middleware.request_limits import RateLimiter
    from peopleinfo.http.sessions import Sessions

_PAGE: Final = Page("sign-in.html")
_FIELDS: Final = ("user", "key", "next")  # the user name makes password managers offer the key
_CONSOLE_PATH: Final = re.compile(r"/console(?:/[\w-]+)*", re.ASCII)


class LoginResource:
    """/console/sign-in and /console/sign-out."""

    def __init__(
        self,
        authenticator: Authenticator,
        sessions: Sessions,
        rate_limiter: RateLimiter | None,
        *,
        has_provider: bool,
        body_timeout: float,
    ) -> None:
        self._has_provider = has_provider
        self._authenticator = authenticator
        self._sessions = sessions
        self._rate_limiter = rate_limiter
        self._body_timeout = body_timeout

    async def on_get(self, req: Request, resp: Response) -> None:
        """Return the login page."""
        show_login_page(req, resp, console_page(req.get_param("next")), has_provider=self._has_provider)

    async def on_post(self, req: Request, resp: Response) -> None:
        """Start a session for a valid key. A script, which accepts JSON, gets 204 or 401 instead of a page."""
        reject_cross_site(req)
        form = await read_form(req, _FIELDS, seconds=self._body_timeout)
        key, return_to = form["key"].strip(), console_page(form["next"])
        is_script = req.get_header("Accept") == falcon.MEDIA_JSON
        try:
            with count_failures(self._rate_limiter, req, NotAuthenticated):
                await self._authenticator.authenticate(key)
        except NotAuthenticated:
            if is_script:
                raise
            resp.status = 401
            show_login_page(req, resp, return_to, has_provider=self._has_provider, wrong_key=True)
            return
        self._sessions.start(req, resp, key)
        resp.status = 204
        if not is_script:
            resp.status = 303
            resp.set_header("Location", return_to)

    async def on_post_out(self, req: Request, resp: Response) -> None:
        """End the session and clear the browser's cache and storage."""
        await self._sessions.end(req, resp)
        resp.set_header("Clear-Site-Data", '"cache", "storage"')
        resp.status = 303
        resp.set_header("Location", LOGIN_PATH)

    on_head = on_get


def show_login_page(
    req: Request, resp: Response, return_to: str, *, has_provider: bool, wrong_key: bool = False, problem: str = ""
) -> None:
    """Return the login page, which leads to the console page `return_to`."""
    render_page(
        req, resp, _PAGE, ANONYMOUS_VISITOR,
        next=return_to, wrong_key=wrong_key, problem=problem, has_provider=has_provider,
    )  # fmt: skip


def console_page(path: str | None) -> str:
    """Return the path if it is a page of the console, else the start page; prevents open redirects."""
    return path if path and _CONSOLE_PATH.fullmatch(path) else "/console"
