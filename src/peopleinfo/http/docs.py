"""/openapi.json and /docs: the contract to read and to try, from this machine alone."""

from __future__ import annotations

from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

import falcon

from peopleinfo.http.middleware.compression import send_document
from peopleinfo.http.middleware.cors import PAGE_HEADERS
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
# Where each asset lies in the package that carries Swagger UI, and its media type.
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
        """Answer the OpenAPI 3.1 document."""
        resp.content_type = falcon.MEDIA_JSON
        await send_document(req, resp, openapi_json())

    on_head = on_get


class DocsResource:
    """/docs: Swagger UI without a request to any other host."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Answer the page."""
        resp.content_type = falcon.MEDIA_HTML
        resp.set_headers(PAGE_HEADERS)
        resp.set_header("Content-Security-Policy", _POLICY)
        await send_document(req, resp, _PAGE)

    async def on_get_asset(self, req: Request, resp: Response, name: str) -> None:
        """Answer a script or style sheet of the page."""
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
    # Without an import of the package, which brings 40 MB of other libraries.
    package = distribution("offapi")
    return Path(str(package.locate_file(f"offapi/{file}"))).read_bytes()
