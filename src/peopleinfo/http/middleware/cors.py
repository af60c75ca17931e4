"""Cross-origin resource sharing (CORS)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from peopleinfo.http import problems

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

ANY_ORIGIN: Final = "*"
_PREFLIGHT_HEADERS: Final = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Cache-Control, Content-Type, Idempotency-Key, If-Match, If-None-Match",
    "Access-Control-Max-Age": "600",
}
_EXPOSED_HEADERS: Final = "Cache-Status, ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
_FORBIDDEN: Final = problems.ProblemType(403, "forbidden", "Forbidden")


class ForeignOrigins:
    """Middleware that rejects pages of origins that are not allowed, with an error that these pages can read.

    Without CORS headers, a browser hides the response from the page, which then sees only a network error.
    """

    def __init__(self, origins: frozenset[str]) -> None:
        """Allow these origins, which do not include `*`."""
        self._origins = origins

    async def process_request(self, req: Request, resp: Response) -> None:
        """Respond with 403 to a cross-origin request, and with 204 to its preflight request."""
        if req.get_header("Sec-Fetch-Mode") != "cors":
            return
        origin: str | None = req.get_header("Origin")
        if origin is None or origin in self._origins or req.get_header("Sec-Fetch-Site") == "same-origin":
            return
        resp.set_headers({"Access-Control-Allow-Origin": origin, "Vary": "Origin"})
        if req.method == "OPTIONS":
            resp.status = 204
            resp.set_headers(_PREFLIGHT_HEADERS)
        else:
            detail = "pages of this origin cannot call the API; add the origin to PEOPLEINFO_CORS_ORIGINS"
            problems.respond(req, resp, _FORBIDDEN, detail)
        resp.complete = True


class Cors:
    """Allows pages of other origins to call the API with their own credentials, never with the console's cookies."""

    def __init__(self, origins: frozenset[str]) -> None:
        """Allow these origins; `*` allows every origin."""
        self._origins = origins
        self._allows_any = ANY_ORIGIN in origins

    async def process_request(self, req: Request, resp: Response) -> None:
        """Respond to a preflight request, which has no credential and reveals only what /docs lists."""
        if req.method == "OPTIONS" and self._allowed_origin(req) and req.get_header("Access-Control-Request-Method"):
            resp.status = 204
            resp.set_headers(_PREFLIGHT_HEADERS)
            resp.complete = True

    async def process_response(self, req: Request, resp: Response, _: object, __: bool) -> None:
        """Allow the page to read the response."""
        if not self._allows_any:
            resp.append_header("Vary", "Origin")
        if origin := self._allowed_origin(req):
            resp.set_header("Access-Control-Allow-Origin", ANY_ORIGIN if self._allows_any else origin)
            resp.set_header("Access-Control-Expose-Headers", _EXPOSED_HEADERS)

    def _allowed_origin(self, req: Request) -> str | None:
        """Return the origin of the request, or None if it is missing or not allowed."""
        origin: str | None = req.get_header("Origin")
        return origin if self._allows_any or origin in self._origins else None
