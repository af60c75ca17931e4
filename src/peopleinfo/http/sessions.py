"""Sessions of the console: the user's credential in an encrypted cookie that scripts cannot read."""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import falcon

from peopleinfo.auth.authenticator import STALE_KEY_TTL
from peopleinfo.crypto.cipher import Cipher
from peopleinfo.crypto.person_ids import derive_key
from peopleinfo.errors import DecryptionFailed, Unavailable
from peopleinfo.http.request_headers import cookie

if TYPE_CHECKING:
    from collections.abc import Callable

    from falcon.asgi import Request, Response

    from peopleinfo.auth.ended_sessions import EndedSessionStore

LIFETIME: Final = timedelta(hours=8)  # each request still checks whether the credential is valid
PENDING: Final = timedelta(minutes=15)  # time limit for a login at an identity provider
_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
_COOKIE: Final = "peopleinfo_session"
_PENDING: Final = "peopleinfo_signing_in"
_MAX_CACHED: Final = 10_000  # sessions; the cache is cleared beyond that
_TIME_SIZE: Final = 8
_SAFE_METHODS: Final = ("GET", "HEAD")


class Content(NamedTuple):
    """The content of an encrypted cookie; the random nonce identifies it."""

    nonce: bytes
    expires_at: datetime
    text: str


class EncryptedCookie:
    """A cookie with an expiring text that only the processes of this deployment can read or create."""

    def __init__(
        self,
        key: bytes,
        name: str,
        *,
        lifetime: timedelta,
        now: Callable[[], datetime],
        path: str = "/",
        same_site: str = "Strict",
    ) -> None:
        self._cipher = Cipher(key)
        self._name = name
        self._lifetime = lifetime
        self._now = now
        self._path = path
        self._same_site = same_site

    def set(self, req: Request, resp: Response, text: str) -> None:
        """Store a text in the browser."""
        expiry = int((self._now() + self._lifetime).timestamp()).to_bytes(_TIME_SIZE)
        encrypted = urlsafe_b64encode(self._cipher.encrypt(expiry + text.encode())).decode()
        resp.set_cookie(
            self._name,
            encrypted,
            max_age=int(self._lifetime.total_seconds()),
            path=self._path,
            secure=is_over_tls(req),
            http_only=True,
            same_site=self._same_site,
        )

    def clear(self, resp: Response) -> None:
        """Delete the cookie from the browser."""
        # Browsers adjust the expiry by the Date header, which may be a second late; Falcon's unset_cookie subtracts only one second.
        resp.set_cookie(
            self._name, "", expires=_LONG_AGO, path=self._path, secure=False, http_only=True, same_site=self._same_site
        )

    def content(self, req: Request) -> Content | None:
        """Return the content of a request's cookie, or None if it is missing, expired or invalid."""
        encrypted = cookie(req, self._name)
        return self._decrypt(encrypted) if encrypted else None

    def _decrypt(self, encrypted: str) -> Content | None:
        try:
            ciphertext = urlsafe_b64decode(encrypted.encode("ascii"))
            content = self._cipher.decrypt(ciphertext)
            expiry = int.from_bytes(content[:_TIME_SIZE])
            if self._now().timestamp() >= expiry:
                return None
            nonce = self._cipher.nonce(ciphertext)
            return Content(nonce, datetime.fromtimestamp(expiry, UTC), content[_TIME_SIZE:].decode())
        except (ValueError, OverflowError, OSError, DecryptionFailed):  # forged, damaged or from another release
            return None


class Sessions:
    """Starts and ends sessions, and returns the credential of a session. All processes of a deployment share the key.

    A session ends for every process at sign-out or when its cookie expires; each request queries the store. While the store is
    unavailable, a session that was valid within the last `STALE_KEY_TTL` seconds remains valid, like an API key.
    `pending` is the cookie of a login at an identity provider. The provider redirects back, so it cannot be SameSite=Strict.
    """

    def __init__(
        self,
        secret: bytes,
        ended: EndedSessionStore,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cookie = EncryptedCookie(derive_key(secret, "sessions"), _COOKIE, lifetime=LIFETIME, now=now)
        self._ended = ended
        self._monotonic = monotonic
        self._valid_at: dict[bytes, float] = {}  # session → time of the last check in the store
        self.pending = EncryptedCookie(
            derive_key(secret, "signing in"),
            _PENDING,
            lifetime=PENDING,
            now=now,
            path="/console/sign-in",
            same_site="Lax",
        )

    def start(self, req: Request, resp: Response, credential: str) -> None:
        """Start a session of `LIFETIME`. The caller must reject cross-site requests."""
        self._cookie.set(req, resp, credential)

    async def end(self, req: Request, resp: Response) -> None:
        """End the session for every process and delete its cookie.

        Raises StoreUnavailable if the session has not ended, and HTTPForbidden for a cross-site request.
        """
        reject_cross_site(req)
        session = self._cookie.content(req)
        if session is not None:
            self._valid_at.pop(session.nonce, None)
            await self._ended.add(session.nonce, expires_at=session.expires_at)
        self._cookie.clear(resp)

    async def credential(self, req: Request) -> str | None:
        """Return the credential of the request's session, or None without a valid session.

        Raises StoreUnavailable, and HTTPForbidden for a cross-site request.
        """
        credential = await self.peek(req)
        if credential is not None:
            reject_cross_site(req)
        return credential

    async def peek(self, req: Request) -> str | None:
        """Return the credential of the request's session, also for cross-site requests to pages without personal data.

        Raises Unavailable.
        """
        session = self._cookie.content(req)
        return None if session is None or await self._has_ended(session.nonce) else session.text

    async def _has_ended(self, session_id: bytes) -> bool:
        try:
            ended = await self._ended.contains(session_id)
        except Unavailable:
            if self._monotonic() - self._valid_at.get(session_id, -STALE_KEY_TTL) >= STALE_KEY_TTL:
                raise
            return False
        if ended:
            return True
        if len(self._valid_at) >= _MAX_CACHED:
            self._valid_at.clear()
        self._valid_at[session_id] = self._monotonic()
        return False


def is_over_tls(req: Request) -> bool:
    """Return whether the browser uses TLS, directly or through a proxy that terminates it."""
    return "https" in (req.scheme, req.get_header("X-Forwarded-Proto"))


def reject_cross_site(req: Request) -> None:
    """Raise HTTPForbidden unless a page of this origin, or the user directly, makes the request.

    The cookie is SameSite=Strict, which excludes other sites. This check also excludes other origins of the same site,
    and covers browsers without SameSite.
    """
    site = req.get_header("Sec-Fetch-Site")
    if req.method in _SAFE_METHODS:
        is_same_origin = site in (None, "same-origin", "none")
    elif site is None:
        origin = req.get_header("Origin") or ""
        is_same_origin = origin.partition("://")[2] == req.get_header("Host")
    else:
        is_same_origin = site == "same-origin"
    if not is_same_origin:
        raise falcon.HTTPForbidden(
            description="cross-origin requests cannot use a console session; send an API key instead"
        )
