"""The pages at /console. They contain no personal data: their scripts call the public API (ADR 13)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon

from peopleinfo.console.rendering import ANONYMOUS_VISITOR, LOGIN_PATH, Page, render_page
from peopleinfo.errors import NotAuthenticated, Unavailable

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.auth.authenticator import Authenticator
    from peopleinfo.http.sessions import Sessions

PAGES: Final = {
    "/console": Page("search.html", "search.js", "people"),
    "/console/people/new": Page("edit.html", "edit.js", "people"),
    "/console/people/{person_id}": Page("person.html", "person.js", "people"),
    "/console/people/{person_id}/edit": Page("edit.html", "edit.js", "people"),
    "/console/import-export": Page("import_export.html", "import_export.js", "import-export"),
    "/console/imports": Page("imports.html", "imports.js", "import-export"),
    "/console/duplicates": Page("duplicates.html", "duplicates.js", "duplicates"),
    "/console/trash": Page("trash.html", "trash.js", "trash"),
    "/console/health": Page("health.html", "health.js", "health"),
}
_RELOAD: Final = Page("reload.html")
_NOT_FOUND: Final = Page("page_not_found.html")
_OTHER_ORIGINS: Final = ("cross-site", "same-site")


class RootResource:
    """/: redirects to the console."""

    async def on_get(self, _: Request, __: Response) -> None:
        """Redirect to the console."""
        raise falcon.HTTPTemporaryRedirect("/console")

    on_head = on_get


class PageResource:
    """A page for signed-in users, with the actions that their scopes permit."""

    def __init__(self, page: Page, authenticator: Authenticator, sessions: Sessions, *, has_provider: bool) -> None:
        self._page = page
        self._has_provider = has_provider
        self._authenticator = authenticator
        self._sessions = sessions

    async def on_get(self, req: Request, resp: Response, **_: str) -> None:
        """Return the page, or redirect an anonymous user to the login page."""
        try:
            principal = await self._authenticator.authenticate(await self._sessions.peek(req))
        except NotAuthenticated:
            if req.get_header("Sec-Fetch-Site") not in _OTHER_ORIGINS:
                raise falcon.HTTPSeeOther(f"{LOGIN_PATH}?next={req.path}") from None
            # Browsers omit a SameSite=Strict cookie when a link of another site opens the page; a reload sends it.
            render_page(req, resp, _RELOAD, ANONYMOUS_VISITOR)
        except Unavailable:  # the page's script waits for the store
            render_page(req, resp, self._page, ANONYMOUS_VISITOR, has_provider=self._has_provider)
        else:
            render_page(req, resp, self._page, principal, has_provider=self._has_provider)

    on_head = on_get


class PageNotFoundResource:
    """All other paths below /console."""

    async def on_get(self, req: Request, resp: Response, **_: str) -> None:
        """Return the page of the error 404."""
        resp.status = 404
        render_page(req, resp, _NOT_FOUND, ANONYMOUS_VISITOR)

    on_head = on_get
