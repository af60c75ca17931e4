"""What browsers are told: which pages of other origins may ask, and what a page of ours must not do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

ANY_ORIGIN: Final = "*"
PAGE_HEADERS: Final = {
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # ids stand in the paths; with "no-referrer" forms would not say their origin
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_ALLOWED: Final = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Cache-Control, Content-Type, Idempotency-Key, If-Match, If-None-Match",
    "Access-Control-Max-Age": "600",
}
_EXPOSED: Final = "Cache-Status, ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"


class Cors:
    """Lets pages of some other origins ask (CORS, as the Fetch standard has it), with what they show themselves: never with our cookies."""

    def __init__(self, origins: frozenset[str]) -> None:
        """Let pages of these origins ask, of every origin when `*` is among them."""
        self._origins = origins
        self._everybody = ANY_ORIGIN in origins

    async def process_request(self, req: Request, resp: Response) -> None:
        """Answer the question that a browser asks before the request itself. It has no key with it, and learns what the docs say."""
        if req.method == "OPTIONS" and self._let_in(req) and req.get_header("Access-Control-Request-Method"):
            resp.status = 204
            resp.set_headers(_ALLOWED)
            resp.complete = True

    async def process_response(self, req: Request, resp: Response, _: object, __: bool) -> None:
        """Let the browser hand the answer to the page."""
        if not self._everybody:
            resp.append_header("Vary", "Origin")
        if origin := self._let_in(req):
            resp.set_header("Access-Control-Allow-Origin", ANY_ORIGIN if self._everybody else origin)
            resp.set_header("Access-Control-Expose-Headers", _EXPOSED)

    def _let_in(self, req: Request) -> str | None:
        """Return the origin of the page that asks, None when there is none or it may not."""
        origin: str | None = req.get_header("Origin")
        return origin if self._everybody or origin in self._origins else None
