"""Signing in with an API key, and out. The key goes into a sealed cookie; no page and no script holds it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import falcon

from peopleinfo.console.pages import ANONYMOUS_VISITOR, SIGN_IN, Page, render_page
from peopleinfo.errors import NotAuthenticated
from peopleinfo.http.bodies import read_form
from peopleinfo.http.middleware.rate_limit import count_failures
from peopleinfo.http.sessions import reject_cross_site

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.auth.authenticator import Authenticator
    from peopleinfo.http.middleware.rate_limit import RateLimiter
    from peopleinfo.http.sessions import Sessions

_PAGE: Final = Page("sign-in.html", "frame.js")
_FIELDS: Final = ("user", "key", "next")  # a user name makes password managers offer the key
_OURS: Final = re.compile(r"/console(?:/[\w-]+)*", re.ASCII)


class SignInResource:
    """/console/sign-in."""

    def __init__(
        self,
        gate: Authenticator,
        sessions: Sessions,
        limits: RateLimiter | None,
        *,
        has_provider: bool,
        body_timeout: float,
    ) -> None:
        self._has_provider = has_provider
        self._gate = gate
        self._sessions = sessions
        self._limits = limits
        self._body_seconds = body_timeout

    async def on_get(self, req: Request, resp: Response) -> None:
        """Answer the page that asks for a key."""
        ask(req, resp, page_of(req.get_param("next")), has_provider=self._has_provider)

    async def on_post(self, req: Request, resp: Response) -> None:
        """Begin a session for a key that is good; to a script (which asks for JSON) say no more than whether it is."""
        reject_cross_site(req)
        form = await read_form(req, _FIELDS, seconds=self._body_seconds)
        key, where = form["key"].strip(), page_of(form["next"])
        to_script = req.get_header("Accept") == falcon.MEDIA_JSON
        try:
            with count_failures(self._limits, req, NotAuthenticated):
                await self._gate.authenticate(key)
        except NotAuthenticated:
            if to_script:
                raise
            resp.status = 401
            ask(req, resp, where, has_provider=self._has_provider, wrong=True)
            return
        self._sessions.start(req, resp, key)
        resp.status = 204
        if not to_script:
            resp.status = 303
            resp.set_header("Location", where)

    async def on_post_out(self, req: Request, resp: Response) -> None:
        """End the session, and have the browser forget what it kept."""
        await self._sessions.end(req, resp)
        resp.set_header("Clear-Site-Data", '"cache", "storage"')
        resp.status = 303
        resp.set_header("Location", SIGN_IN)

    on_head = on_get


def ask(req: Request, resp: Response, where: str, *, has_provider: bool, wrong: bool = False, failed: str = "") -> None:
    """Answer the page that asks for a key, or leads to the provider, and then to `where`."""
    render_page(req, resp, _PAGE, ANONYMOUS_VISITOR, next=where, wrong=wrong, failed=failed, has_provider=has_provider)


def page_of(path: str | None) -> str:
    """Return where to go after signing in: a page of the console, whatever was asked for."""
    return path if path and _OURS.fullmatch(path) else "/console"
