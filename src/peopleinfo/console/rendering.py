"""Rendering of the console's pages from their templates."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import falcon

from peopleinfo import __version__
from peopleinfo.auth.principal import ANONYMOUS, Principal, Scope
from peopleinfo.console import static_files
from peopleinfo.formats import headings
from peopleinfo.http.html_headers import HTML_HEADERS
from peopleinfo.http.request_headers import cookie

if TYPE_CHECKING:
    from falcon.asgi import Request, Response
    from jinja2 import Environment

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store", **HTML_HEADERS}
_THEMES: Final = ("light", "dark")
LOGIN_PATH: Final = "/console/sign-in"
PROVIDER_PATH: Final = f"{LOGIN_PATH}/provider"
ANONYMOUS_VISITOR: Final = Principal(name="", scopes=frozenset())


class Page(NamedTuple):
    """A template, its script besides that of the layout, and its section of the navigation."""

    template: str
    script: str = ""
    section: str = ""


def render_page(
    req: Request, resp: Response, page: Page, principal: Principal, *, has_provider: bool = False, **values: Any
) -> None:
    """Make the response a page with the actions that the principal may use.

    With `has_provider` the page links to the login at the identity provider.
    """
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
            user="" if principal in (ANONYMOUS, ANONYMOUS_VISITOR) else principal.name,
            may_read=principal.has_scope(Scope.READ),
            may_write=principal.has_scope(Scope.WRITE),
            may_merge=principal.has_scope(Scope.MERGE),
            may_admin=principal.has_scope(Scope.ADMIN),
            may_read_metrics=principal.has_scope(Scope.METRICS),
            aliases=headings.keys_by_field(),
            provider=PROVIDER_PATH if has_provider else "",
            **values,
        )
    )


@cache
def _templates() -> Environment:
    # A server that renders no page does not load Jinja.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    return Environment(
        loader=PackageLoader("peopleinfo.console"),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
