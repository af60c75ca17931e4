"""API documentation: /openapi.json, and Swagger UI at /docs without requests to other hosts."""

from __future__ import annotations

from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

import falcon

from peopleinfo.http.html_headers import HTML_HEADERS
from peopleinfo.http.middleware.compression import send_document
from peopleinfo.http.openapi.document import document
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

_PAGE: Final = b"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>PeopleInfo API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger.css">
<link rel="stylesheet" href="/docs/page.css">
</head>
<body>
<header>
  <a class="brand" href="/console"><svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true"><rect width="32" height="32" rx="8" fill="#2857c5"/><circle cx="16" cy="12" r="5" fill="#fff"/><path d="M6.5 26c1.2-5.2 4.9-8 9.5-8s8.3 2.8 9.5 8z" fill="#fff"/></svg>PeopleInfo</a>
  <nav aria-label="Console"><a href="/console">People</a><a href="/docs" aria-current="page">API</a></nav>
</header>
<div id="swagger-ui"></div>
<script src="/docs/swagger.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
# The colours, the font and the header of the console.
_STYLE: Final = b""":root { color-scheme: light dark; }
:root:not(.dark-mode) { color-scheme: light; }
body { margin: 0; background: light-dark(#f6f6f3, #121417); }
header { display: flex; align-items: center; gap: 28px; padding: 10px 24px; position: sticky; top: 0; z-index: 5;
  background: light-dark(#fff, #1a1d21); border-bottom: 1px solid light-dark(#e2e2dc, #2c3137); }
header, .swagger-ui, .swagger-ui :is(.info .title, .opblock-tag, .opblock .opblock-summary-description, .btn, label, table, .info :is(li, p, a)) {
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif; }
.brand { display: inline-flex; align-items: center; gap: 10px; min-height: 44px; color: light-dark(#1b1d21, #e9ebee); font-weight: 680; text-decoration: none; }
nav { display: flex; gap: 4px; }
nav a { padding: 10px 12px; border-radius: 8px; color: light-dark(#5a5f69, #a3abb6); font-size: 15px; font-weight: 520; text-decoration: none; }
nav a[aria-current] { color: light-dark(#2857c5, #9dbcff); background: light-dark(#e8eefc, #1f2b45); }
:focus-visible { outline: 3px solid light-dark(#2857c5, #9dbcff); outline-offset: 2px; }
html.dark-mode .swagger-ui, .swagger-ui { background: light-dark(#f6f6f3, #121417); }
.swagger-ui .wrapper { max-width: 1240px; }
.swagger-ui .info { margin: 28px 0; }
.swagger-ui .info .title { font-size: 28px; }
.swagger-ui .scheme-container, html.dark-mode .swagger-ui .scheme-container { padding: 16px 0; background: none; box-shadow: none; }
.swagger-ui :is(.info a, .info__license a, a.nostyle) { color: light-dark(#2857c5, #9dbcff); }
.swagger-ui .btn.authorize { color: light-dark(#2857c5, #9dbcff); border: 1px solid light-dark(#85888f, #737b86); border-radius: 10px; }
.swagger-ui .btn.authorize svg { fill: currentColor; }
.swagger-ui .servers, .swagger-ui .servers-title { display: none; }
html:not(.dark-mode) .swagger-ui .info .title small { background: #5a5f69; }
html:not(.dark-mode) .swagger-ui .info .title small.version-stamp { background: #3f6b00; }
html:not(.dark-mode) .swagger-ui .opblock-summary-method { background: #1d6b41 !important; }
html:not(.dark-mode) .swagger-ui .opblock-get .opblock-summary-method { background: #1c5fb8 !important; }
html:not(.dark-mode) .swagger-ui .opblock-put .opblock-summary-method { background: #8f4d00 !important; }
html:not(.dark-mode) .swagger-ui .opblock-patch .opblock-summary-method { background: #00695c !important; }
html:not(.dark-mode) .swagger-ui .opblock-delete .opblock-summary-method { background: #b3261e !important; }
html:not(.dark-mode) .swagger-ui .json-schema-2020-12-expand-deep-button { color: #5a5f69; }
"""
_START: Final = b"""const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = /peopleinfo_theme=(\\w+)/.exec(document.cookie)?.[1];
const show = () => document.documentElement.classList.toggle("dark-mode", theme ? theme === "dark" : dark.matches);
dark.onchange = show;
show();
window.onload = () => {
  SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, tryItOutEnabled: true });
};
"""
# The file of each asset in the package that bundles Swagger UI, and its media type.
_ASSETS: Final = {
    "swagger.css": ("swagger_style.css", "text/css"),
    "swagger.js": ("swagger_bundle.js", "text/javascript"),
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class OpenApiResource:
    """/openapi.json."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Return the OpenAPI 3.1 document."""
        resp.content_type = falcon.MEDIA_JSON
        await send_document(req, resp, openapi_json())

    on_head = on_get


class DocsResource:
    """/docs: Swagger UI."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Return the page."""
        resp.content_type = falcon.MEDIA_HTML
        resp.set_headers(HTML_HEADERS)
        resp.set_header("Content-Security-Policy", _POLICY)
        await send_document(req, resp, _PAGE)

    async def on_get_asset(self, req: Request, resp: Response, name: str) -> None:
        """Return a script or style sheet of the page."""
        if name == "start.js":
            resp.content_type = "text/javascript"
            await send_document(req, resp, _START)
        elif name == "page.css":
            resp.content_type = "text/css"
            await send_document(req, resp, _STYLE)
        elif name in _ASSETS:
            file, resp.content_type = _ASSETS[name]
            resp.set_header("Cache-Control", "public, max-age=3600")
            await send_document(req, resp, _asset(file))
        else:
            raise falcon.HTTPNotFound

    on_head = on_get
    on_head_asset = on_get_asset


@cache
def openapi_json() -> bytes:
    """Return the OpenAPI document as JSON."""
    return strict_json.encode(document())


@cache
def _asset(file: str) -> bytes:
    # An import of the package would load 40 MB of other libraries.
    package = distribution("offapi")
    return Path(str(package.locate_file(f"offapi/{file}"))).read_bytes()
