"""The pages at /console. They hold nobody's data: their scripts ask the people API, as everybody does (ADR 13)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import falcon

from peopleinfo import __version__
from peopleinfo.auth.principal import ANONYMOUS, Principal, Scope
from peopleinfo.console import static_files
from peopleinfo.errors import NotAuthenticated, StoreUnavailable
from peopleinfo.formats.column_mapping import HEADER_ALIASES
from peopleinfo.http.bodies import cookie
from peopleinfo.http.middleware.security_headers import PAGE_HEADERS

if TYPE_CHECKING:
    from falcon.asgi import Request, Response
    from jinja2 import Environment

    from peopleinfo.auth.authenticator import Authenticator
    from peopleinfo.auth.oidc_login import AuthorizationCodeFlow
    from peopleinfo.http.bodies import App
    from peopleinfo.http.middleware.rate_limit import RateLimiter
    from peopleinfo.http.sessions import Sessions

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    **PAGE_HEADERS,
}
_THEMES: Final = ("light", "dark")


class Page(NamedTuple):
    """A template, its script, and where it stands in the navigation."""

    template: str
    script: str
    section: str = ""  # of the navigation


_PAGES: Final = {
    "/console": Page("search.html", "search.js", "people"),
    "/console/people/new": Page("edit.html", "edit.js", "people"),
    "/console/people/{person_id}": Page("person.html", "person.js", "people"),
    "/console/people/{person_id}/edit": Page("edit.html", "edit.js", "people"),
    "/console/transfer": Page("transfer.html", "transfer.js", "transfer"),
    "/console/health": Page("health.html", "health.js", "health"),
}
_MISSING: Final = Page("missing.html", "frame.js")
_ELSEWHERE: Final = ("cross-site", "same-site")
SIGN_IN: Final = "/console/sign-in"
PROVIDER: Final = f"{SIGN_IN}/provider"


def add_routes(
    app: App,
    gate: Authenticator,
    sessions: Sessions,
    flow: AuthorizationCodeFlow | None,
    limits: RateLimiter | None,
    *,
    body_timeout: float,
) -> None:
    """Add the pages to the app, and lead to them from its root; with a `flow`, people may sign in at its provider."""
    from peopleinfo.console.login import SignInResource  # noqa: PLC0415 - which writes a page, too

    app.add_route("/", RootResource())
    for path, page in _PAGES.items():
        app.add_route(path, PageResource(page, gate, sessions, has_provider=flow is not None))
    sign_in = SignInResource(gate, sessions, limits, has_provider=flow is not None, body_timeout=body_timeout)
    app.add_route(SIGN_IN, sign_in)
    app.add_route("/console/sign-out", sign_in, suffix="out")
    if flow is not None:
        from peopleinfo.console.oidc_login import ProviderResource  # noqa: PLC0415 - likewise

        provider = ProviderResource(flow, gate, sessions, limits)
        app.add_route(PROVIDER, provider)
        app.add_route(f"{PROVIDER}/back", provider, suffix="back")
    app.add_route(static_files.ROOT + "/{digest}/{name}", static_files.AssetResource())
    app.add_route("/console/{missing:path}", MissingResource())


class RootResource:
    """/: where whoever opens the service in a browser begins."""

    async def on_get(self, _: Request, __: Response) -> None:
        """Lead to the console."""
        raise falcon.HTTPTemporaryRedirect("/console")

    on_head = on_get


class PageResource:
    """A page for whoever is signed in, with what they may do."""

    def __init__(self, page: Page, gate: Authenticator, sessions: Sessions, *, has_provider: bool) -> None:
        self._page = page
        self._has_provider = has_provider
        self._gate = gate
        self._sessions = sessions

    async def on_get(self, req: Request, resp: Response, **_: str) -> None:
        """Answer the page; lead to the one that asks for a key whoever has shown none."""
        try:
            principal = await self._gate.authenticate(await self._sessions.peek(req))
        except NotAuthenticated:
            if req.get_header("Sec-Fetch-Site") not in _ELSEWHERE:
                raise falcon.HTTPSeeOther(f"{SIGN_IN}?next={req.path}") from None
            # A link on another site's page leads here without the cookie. Loaded once more, by our own page, it comes with it.
            render_page(req, resp, Page("again.html", "frame.js"), ANONYMOUS_VISITOR)
        except StoreUnavailable:  # the page waits for the store, and says so
            render_page(req, resp, self._page, ANONYMOUS_VISITOR, has_provider=self._has_provider)
        else:
            render_page(req, resp, self._page, principal, has_provider=self._has_provider)

    on_head = on_get


class MissingResource:
    """Whatever is no page."""

    async def on_get(self, req: Request, resp: Response, **_: str) -> None:
        """Say so, in a page."""
        resp.status = 404
        render_page(req, resp, _MISSING, ANONYMOUS_VISITOR)

    on_head = on_get


ANONYMOUS_VISITOR: Final = Principal(name="", scopes=frozenset())


def render_page(
    req: Request, resp: Response, page: Page, principal: Principal, *, has_provider: bool = False, **values: Any
) -> None:
    """Make the response a page, with what the principal may do, and where to sign in at a provider when there is one."""
    resp.content_type = falcon.MEDIA_HTML
    for name, value in _HEADERS.items():
        resp.set_header(name, value)
    theme = cookie(req, "peopleinfo_theme")
    resp.text = (
        _templates()
        .get_template(page.template)
        .render(
            static=static_files.root(),
            version=__version__,
            script=page.script,
            section=page.section,
            theme=theme if theme in _THEMES else "",
            who="" if principal in (ANONYMOUS, ANONYMOUS_VISITOR) else principal.name,
            may_read=principal.has_scope(Scope.READ),
            may_write=principal.has_scope(Scope.WRITE),
            may_see_figures=principal.has_scope(Scope.METRICS),
            known=HEADER_ALIASES,
            provider=PROVIDER if has_provider else "",
            **values,
        )
    )


@cache
def _templates() -> Environment:
    # At the first page: whoever never opens one need not wait for it.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    return Environment(
        loader=PackageLoader("peopleinfo.console"),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
