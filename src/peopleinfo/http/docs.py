"""API documentation: /openapi.json, and Swagger UI at /docs without requests to other hosts."""

from __future__ import annotations

from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

import falcon

from peopleinfo.http.middleware.compression import send_document
from peopleinfo.http.middleware.security_headers import PAGE_HEADERS
from peopleinfo.http.openapi import document
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
</head>
<body>
<main id="swagger-ui"></main>
<script src="/docs/swagger.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START: Final = b"""window.onload = () => {
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
        resp.set_headers(PAGE_HEADERS)
        resp.set_header("Content-Security-Policy", _POLICY)
        await send_document(req, resp, _PAGE)

    async def on_get_asset(self, req: Request, resp: Response, name: str) -> None:
        """Return a script or style sheet of the page."""
        if name == "start.js":
            resp.content_type = "text/javascript"
            await send_document(req, resp, _START)
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
