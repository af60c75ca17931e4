"""The pages at /console. They hold nobody's data: their scripts ask the people API, as everybody does (ADR 13)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import falcon

from peopleinfo import __version__
from peopleinfo.console import assets

if TYPE_CHECKING:
    from falcon.asgi import Request, Response
    from jinja2 import Environment

    from peopleinfo.http.requests import App

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # ids stand in the paths; with "no-referrer" forms would not say their origin
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
_THEMES: Final = ("light", "dark")


class _Page(NamedTuple):
    template: str
    script: str
    section: str = ""  # of the navigation


_PAGES: Final = {
    "/console": _Page("search.html", "search.js", "people"),
    "/console/people/new": _Page("edit.html", "edit.js", "people"),
    "/console/people/{person_id}": _Page("person.html", "person.js", "people"),
    "/console/people/{person_id}/edit": _Page("edit.html", "edit.js", "people"),
}


def install(app: App) -> None:
    """Add the pages to the app, and lead to them from its root."""
    app.add_route("/", RootResource())
    for path, page in _PAGES.items():
        app.add_route(path, PageResource(page))
    app.add_route(assets.ROOT + "/{digest}/{name}", assets.AssetResource())
    app.add_route("/console/{missing:path}", PageResource(_Page("missing.html", "missing.js"), status=404))


class RootResource:
    """/: where whoever opens the service in a browser begins."""

    async def on_get(self, _: Request, __: Response) -> None:
        """Lead to the console."""
        raise falcon.HTTPTemporaryRedirect("/console")

    on_head = on_get


class PageResource:
    """A page."""

    def __init__(self, page: _Page, *, status: int = 200) -> None:
        self._page = page
        self._status = status

    async def on_get(self, req: Request, resp: Response, **_: str) -> None:
        """Answer the page."""
        resp.status = self._status
        theme = req.get_cookie_values("peopleinfo_theme") or [""]
        write(
            resp,
            self._page.template,
            script=self._page.script,
            section=self._page.section,
            theme=theme[0] if theme[0] in _THEMES else "",
        )

    on_head = on_get


def write(resp: Response, template: str, **values: Any) -> None:
    """Make the response a page."""
    resp.content_type = falcon.MEDIA_HTML
    for name, value in _HEADERS.items():
        resp.set_header(name, value)
    resp.text = _templates().get_template(template).render(static=assets.root(), version=__version__, **values)


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
