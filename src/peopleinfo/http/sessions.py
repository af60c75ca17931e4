"""Sessions of the console: the credential of whoever signed in, sealed in a cookie that no script can read and no other server can make."""

from __future__ import annotations

import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import falcon
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peopleinfo.auth.authenticator import STALE_KEY_TTL
from peopleinfo.crypto.ids import derive_key
from peopleinfo.errors import StoreUnavailable
from peopleinfo.http.bodies import cookie

if TYPE_CHECKING:
    from collections.abc import Callable

    from falcon.asgi import Request, Response

    from peopleinfo.auth.ended_sessions import EndedSessionStore

LIFETIME: Final = timedelta(
    hours=8
)  # a working day; whether the credential is good is asked at every request all the same
PENDING: Final = timedelta(minutes=15)  # that signing in at a provider may take
_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
_COOKIE: Final = "peopleinfo_session"
_PENDING: Final = "peopleinfo_signing_in"
_REMEMBERED: Final = 10_000  # sessions; beyond that all are forgotten, and looked up again
_NONCE: Final = 12
_TIME: Final = 8
_SAFE: Final = ("GET", "HEAD")


class Content(NamedTuple):
    """What a sealed cookie holds; its random nonce tells it from every other one."""

    nonce: bytes
    expires_at: datetime
    text: str


class EncryptedCookie:
    """A cookie that holds a text for a while, which nobody reads or makes but the processes of this deployment."""

    def __init__(
        self,
        key: bytes,
        name: str,
        *,
        lasts: timedelta,
        now: Callable[[], datetime],
        path: str = "/",
        same_site: str = "Strict",
    ) -> None:
        self._cipher = AESGCM(key)
        self._name = name
        self._lasts = lasts
        self._now = now
        self._path = path
        self._same_site = same_site

    def set(self, req: Request, resp: Response, text: str) -> None:
        """Have the browser keep a text."""
        ends = int((self._now() + self._lasts).timestamp()).to_bytes(_TIME)
        nonce = os.urandom(_NONCE)
        sealed = urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, ends + text.encode(), None)).decode()
        resp.set_cookie(
            self._name,
            sealed,
            max_age=int(self._lasts.total_seconds()),
            path=self._path,
            secure=is_over_tls(req),
            http_only=True,
            same_site=self._same_site,
        )

    def clear(self, resp: Response) -> None:
        """Have the browser forget it."""
        # Long ago: a browser corrects the time by our Date, which may be late by a second (falcon's unset_cookie goes back by one).
        resp.set_cookie(
            self._name, "", expires=_LONG_AGO, path=self._path, secure=False, http_only=True, same_site=self._same_site
        )

    def content(self, req: Request) -> Content | None:
        """Return what a request's cookie holds, None when it has none, or an expired one."""
        sealed = cookie(req, self._name)
        return self._open(sealed) if sealed else None

    def _open(self, sealed: str) -> Content | None:
        try:
            box = urlsafe_b64decode(sealed.encode("ascii"))
            content = self._cipher.decrypt(box[:_NONCE], box[_NONCE:], None)
            ends = int.from_bytes(content[:_TIME])
            if self._now().timestamp() >= ends:
                return None
            return Content(box[:_NONCE], datetime.fromtimestamp(ends, UTC), content[_TIME:].decode())
        except (ValueError, OverflowError, OSError, InvalidTag):  # no cookie of ours, or one of another release
            return None


class Sessions:
    """Begins and ends sessions, and finds the credential of a request's. Every process of a deployment opens them alike.

    A session ends for every process when it is ended or its cookie expires: each request asks the store. While the store does not answer,
    a session that was good within `GRACE_SECONDS` goes on, as keys do.
    `pending` is what is kept while somebody signs in at a provider, whose page leads back here: so it cannot be SameSite=Strict.
    """

    def __init__(
        self,
        secret: bytes,
        ended: EndedSessionStore,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cookie = EncryptedCookie(derive_key(secret, "sessions"), _COOKIE, lasts=LIFETIME, now=now)
        self._ended = ended
        self._monotonic = monotonic
        self._good: dict[bytes, float] = {}  # sessions → when the store last said that they have not ended
        self.pending = EncryptedCookie(
            derive_key(secret, "signing in"), _PENDING, lasts=PENDING, now=now, path="/console/sign-in", same_site="Lax"
        )

    def begin(self, req: Request, resp: Response, credential: str) -> None:
        """Give the browser a session of `LASTS`; that nobody else's page asks for it is seen to by the caller."""
        self._cookie.set(req, resp, credential)

    async def end(self, req: Request, resp: Response) -> None:
        """End the session for every process, and take it from the browser.

        Raises StoreUnavailable when it has not ended, and falcon's error for 403 when another site's page asks for it.
        """
        reject_cross_site(req)
        session = self._cookie.content(req)
        if session is not None:
            self._good.pop(session.nonce, None)
            await self._ended.add(session.nonce, expires_at=session.expires_at)
        self._cookie.clear(resp)

    async def credential(self, req: Request) -> str | None:
        """Return the credential of the request's session, None when there is no session or it has ended.

        Raises StoreUnavailable, and falcon's error for 403 when it is a page of another site's that makes the browser send it.
        """
        credential = await self.peek(req)
        if credential is not None:
            reject_cross_site(req)
        return credential

    async def peek(self, req: Request) -> str | None:
        """Return the credential of the request's session whoever makes the browser send it: for pages that hold nobody's data.

        Raises StoreUnavailable.
        """
        session = self._cookie.content(req)
        return None if session is None or await self._has_ended(session.nonce) else session.text

    async def _has_ended(self, session_id: bytes) -> bool:
        try:
            ended = await self._ended.contains(session_id)
        except StoreUnavailable:
            if self._monotonic() - self._good.get(session_id, -STALE_KEY_TTL) >= STALE_KEY_TTL:
                raise
            return False
        if ended:
            return True
        if len(self._good) >= _REMEMBERED:
            self._good.clear()
        self._good[session_id] = self._monotonic()
        return False


def is_over_tls(req: Request) -> bool:
    """Say whether the browser speaks TLS; before a proxy that does so for us the scheme is plain here."""
    return "https" in (req.scheme, req.get_header("X-Forwarded-Proto"))


def reject_cross_site(req: Request) -> None:
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
