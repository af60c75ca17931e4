"""The gate: from what somebody shows to who they are."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from peopleinfo.auth.api_keys import hash_key, is_well_formed
from peopleinfo.auth.principal import ANONYMOUS, BOOTSTRAP_ADMIN
from peopleinfo.errors import NotAuthenticated, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from peopleinfo.auth.api_keys import ApiKeyStore
    from peopleinfo.auth.principal import Principal

KEY_CACHE_TTL: Final = 2.0  # that a key is believed without asking the store again: so long a revoked one goes on
STALE_KEY_TTL: Final = 60.0  # that it is believed while the store does not answer
# The same for figures: nobody's data is in them, and they are needed most while the store is away.
STALE_METRICS_TTL: Final = 86_400.0
LOOKUP_TIMEOUT: Final = 0.25  # after which the store does not answer: whoever was let in before need not wait for it
_REMEMBERED: Final = 8 * 1024 * 1024  # bytes of credentials; beyond that all are forgotten, and asked for again
_KNOWN_SIZE: Final = 500  # bytes of what is known of one, beside its text
_DOTS: Final = 2  # in a token (JWT), and in no key
_FOR_EVER: Final = float("inf")


class TokenVerifier(Protocol):
    """Checks credentials that somebody else has given out."""

    async def principal(self, token: str) -> tuple[Principal, float]:
        """Return whom a token names, and for how many seconds it is valid. Raises NotAuthenticated."""


class _CacheEntry(NamedTuple):
    """Who shows a key, until when that is believed unasked, and until when while the store does not answer."""

    principal: Principal
    until: float
    at_most: float
    for_figures: float


class Authenticator:
    """Tells who is asking by the credential that they show.

    What the store said of a key is believed for `REMEMBERED_SECONDS`, so a key that is made, revoked or rotated anywhere is so everywhere
    within that time and one read of the store; while that takes longer than `PATIENCE_SECONDS`, or fails, within `GRACE_SECONDS`.
    """

    def __init__(
        self,
        keys: ApiKeyStore,
        *,
        now: Callable[[], datetime],
        admin_key: str = "",
        allow_anonymous: bool = False,
        allow_anonymous_until_first_key: bool = False,
        tokens: TokenVerifier | None = None,
    ) -> None:
        """Let in who shows a valid key, `admin_key` (none when empty), or a token that `tokens` finds good.

        Whoever shows nothing is let in with `open_to_all`, and with `open_until_keys` as long as no key was ever made.
        """
        self._keys = keys
        self._tokens = tokens
        self._now = now
        self._open_to_all = allow_anonymous
        self._open_until_keys = allow_anonymous_until_first_key
        self._keyless = _always(ANONYMOUS) if allow_anonymous else None  # whoever shows nothing
        self._known = {admin_key: _always(BOOTSTRAP_ADMIN)} if admin_key else {}
        self._fixed = dict(self._known)
        self._size = 0  # bytes of what is known
        self._asking: set[asyncio.Future[Principal]] = set()

    @property
    def allows_anonymous(self) -> bool:
        """Whether those who show nothing were let in when it was last looked at."""
        return self._open_to_all or self._open_until_keys

    def cached_principal(self, credential: str | None) -> Principal | None:
        """Return who shows this credential (None: nothing was shown) if that is known without asking anybody, else None."""
        known = self._keyless if credential is None else self._known.get(credential)
        return known.principal if known is not None and monotonic() < known.until else None

    def is_cached(self, credential: str) -> bool:
        """Say whether a credential was good not long ago."""
        return credential in self._known

    async def authenticate(self, credential: str | None, *, for_metrics: bool = False) -> Principal:
        """Return who shows this credential; it may be for figures alone, which hold nobody's data.

        Raises NotAuthenticated, StoreUnavailable.
        """
        if principal := self.cached_principal(credential):
            return principal
        if credential is None:
            return await self._confirm(self._keyless, self._authenticate_anonymous(), for_figures=for_metrics)
        if self._tokens is not None and credential.count(".") == _DOTS:
            principal, seconds = await self._tokens.principal(credential)
            self._remember(credential, principal, min(seconds, STALE_KEY_TTL), 0)
            return principal
        if not is_well_formed(credential):
            raise NotAuthenticated
        known = self._known.get(credential)
        if known is not None:  # while we ask, others need not ask too
            self._known[credential] = known._replace(until=min(monotonic() + KEY_CACHE_TTL, known.at_most))
        return await self._confirm(known, self._look_up(credential), for_figures=for_metrics)

    async def _confirm(
        self, known: _CacheEntry | None, asking: Coroutine[Any, Any, Principal], *, for_figures: bool
    ) -> Principal:
        """Return whom the store says it is; when it does not answer, or not soon, whom it has said it is before. Then its answer is heard later."""
        if known is None or monotonic() >= (known.for_figures if for_figures else known.at_most):
            return await asking
        task = asyncio.ensure_future(asking)
        self._asking.add(task)
        task.add_done_callback(self._answered)
        done, _ = await asyncio.wait((task,), timeout=LOOKUP_TIMEOUT)
        try:
            return task.result() if done else known.principal
        except StoreUnavailable:
            return known.principal

    def _answered(self, task: asyncio.Future[Principal]) -> None:
        self._asking.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits hears of it, and there may be nobody any more

    async def _authenticate_anonymous(self) -> Principal:
        if self._open_until_keys and await self._keys.any_exist():
            self._open_until_keys = False  # for good: a service must not open itself because its keys have expired
            self._keyless = None
        if not self._open_until_keys:
            raise NotAuthenticated
        self._keyless = _known(ANONYMOUS, KEY_CACHE_TTL, _FOR_EVER)
        return ANONYMOUS

    async def _look_up(self, credential: str) -> Principal:
        key = await self._keys.find(hash_key(credential))
        moment = self._now()
        if key is None or key.state(moment) != "valid":
            self._forget(credential)
            raise NotAuthenticated
        left = (key.expires_at - moment).total_seconds() if key.expires_at else _FOR_EVER
        self._remember(credential, key.principal, min(KEY_CACHE_TTL, left), left)
        return key.principal

    def _forget(self, credential: str) -> None:
        if self._known.pop(credential, None) is not None:
            self._size -= _KNOWN_SIZE + len(credential)

    def _remember(self, credential: str, principal: Principal, seconds: float, left: float) -> None:
        if credential not in self._known:
            self._size += _KNOWN_SIZE + len(credential)
        if self._size > _REMEMBERED:
            self._known = dict(self._fixed)
            self._size = _KNOWN_SIZE + len(credential)
        self._known[credential] = _known(principal, seconds, left)


def _always(principal: Principal) -> _CacheEntry:
    return _CacheEntry(principal, _FOR_EVER, _FOR_EVER, _FOR_EVER)


def _known(principal: Principal, seconds: float, left: float) -> _CacheEntry:
    """Return what was learned just now of a credential that is good for `left` seconds, to be believed unasked for `seconds`."""
    now = monotonic()
    return _CacheEntry(principal, now + seconds, now + min(STALE_KEY_TTL, left), now + min(STALE_METRICS_TTL, left))
