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
_EXPOSED_HEADERS: Final = "Cache-Status, Changes-Token, Duplicates, ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
_FORBIDDEN: Final = problems.ProblemType(403, "forbidden", "Forbidden")
_FORBIDDEN_DETAIL: Final = "pages of this origin cannot call the API; add the origin to PEOPLEINFO_CORS_ORIGINS"


class Cors:
    """Allows pages of some origins to call the API with their own credentials, never with the console's cookies.

    It rejects pages of other origins with an error that they can read. Without CORS headers, a browser hides the response from the page,
    which then sees only a network error.
    """

    def __init__(self, origins: frozenset[str]) -> None:
        """Allow these origins; `*` allows every origin."""
        self._origins = origins
        self._allows_any = ANY_ORIGIN in origins
        self._varies = bool(origins) and not self._allows_any

    async def process_request(self, req: Request, resp: Response) -> None:
        """Set the CORS headers. Respond to a preflight request, which has no credential and reveals only what /docs lists."""
        if self._varies:
            resp.append_header("Vary", "Origin")
        origin: str | None = req.get_header("Origin")
        if origin is None:
            return
        if self._allows_any or origin in self._origins:
            resp.set_header("Access-Control-Allow-Origin", ANY_ORIGIN if self._allows_any else origin)
            resp.set_header("Access-Control-Expose-Headers", _EXPOSED_HEADERS)
            if req.method == "OPTIONS" and req.get_header("Access-Control-Request-Method"):
                _allow_request(resp)
        elif req.get_header("Sec-Fetch-Mode") == "cors" and req.get_header("Sec-Fetch-Site") != "same-origin":
            resp.set_headers({"Access-Control-Allow-Origin": origin, "Vary": "Origin"})
            if req.method == "OPTIONS":
                _allow_request(resp)
            else:
                problems.respond(req, resp, _FORBIDDEN, _FORBIDDEN_DETAIL)
                resp.complete = True


def _allow_request(resp: Response) -> None:
    """Respond to a preflight request."""
    resp.status = 204
    resp.set_headers(_PREFLIGHT_HEADERS)
    resp.complete = True
