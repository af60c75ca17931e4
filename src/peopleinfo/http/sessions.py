"""Sessions of the console: the credential of whoever signed in, sealed in a cookie that no script can read and no other server can make."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import falcon
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peopleinfo.ids import subkey

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from falcon.asgi import Request, Response

LASTS: Final = timedelta(
    hours=8
)  # a working day; whether the credential is good is asked at every request all the same
_COOKIE: Final = "peopleinfo_session"
_NONCE: Final = 12
_TIME: Final = 8
_SAFE: Final = ("GET", "HEAD")


class Sessions:
    """Begins and ends sessions, and finds the credential of a request's. Every process of a deployment opens them alike."""

    def __init__(self, secret: bytes, *, now: Callable[[], datetime]) -> None:
        self._cipher = AESGCM(subkey(secret, "sessions"))
        self._now = now

    def begin(self, req: Request, resp: Response, credential: str) -> None:
        """Give the browser a session of `LASTS`. Raises falcon's error for 403 when another site's page asks for it."""
        refuse_others(req)
        ends = int((self._now() + LASTS).timestamp()).to_bytes(_TIME)
        nonce = os.urandom(_NONCE)
        sealed = urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, ends + credential.encode(), None)).decode()
        self._set(req, resp, sealed, int(LASTS.total_seconds()))

    def end(self, req: Request, resp: Response) -> None:
        """Take the session from the browser. Raises falcon's error for 403 when another site's page asks for it."""
        refuse_others(req)
        self._set(req, resp, "", 0)

    def credential(self, req: Request) -> str | None:
        """Return the credential of the request's session, None when there is no session or it has ended.

        Raises falcon's error for 403 when it is a page of another site's that makes the browser send it.
        """
        credential = self.peek(req)
        if credential is not None:
            refuse_others(req)
        return credential

    def peek(self, req: Request) -> str | None:
        """Return the credential of the request's session whoever makes the browser send it: for pages that hold nobody's data."""
        if req.get_header("Cookie") is None:
            return None
        sealed = req.get_cookie_values(_COOKIE)
        return self._open(sealed[0]) if sealed else None

    def _open(self, sealed: str) -> str | None:
        try:
            box = urlsafe_b64decode(sealed.encode("ascii"))
            content = self._cipher.decrypt(box[:_NONCE], box[_NONCE:], None)
        except (ValueError, InvalidTag):
            return None
        ends = int.from_bytes(content[:_TIME])
        return content[_TIME:].decode() if self._now().timestamp() < ends else None

    def _set(self, req: Request, resp: Response, value: str, seconds: int) -> None:
        # Before a proxy that speaks TLS for us the scheme is plain here.
        secure = "https" in (req.scheme, req.get_header("X-Forwarded-Proto"))
        resp.set_cookie(_COOKIE, value, max_age=seconds, path="/", secure=secure, http_only=True, same_site="Strict")


def refuse_others(req: Request) -> None:
    """Raise falcon's error for 403 unless a page of our own, or whoever sits at the browser, makes this request.

    The cookie is SameSite=Strict, so that browsers do not send it for other sites' pages; this holds for sites beside ours (same-site),
    and for browsers that know nothing of it.
    """
    site = req.get_header("Sec-Fetch-Site")
    if req.method in _SAFE:
        ours = site in (None, "same-origin", "none")
    elif site is None:
        origin = req.get_header("Origin") or ""
        ours = origin.partition("://")[2] == req.get_header("Host")
    else:
        ours = site == "same-origin"
    if not ours:
        raise falcon.HTTPForbidden(description="pages of other origins are not answered")
