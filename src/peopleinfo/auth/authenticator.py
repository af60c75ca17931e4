"""Authentication: resolves a credential to a principal."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from peopleinfo.auth.api_keys import hash_key, is_well_formed
from peopleinfo.auth.principal import ANONYMOUS, BOOTSTRAP_ADMIN
from peopleinfo.errors import NotAuthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from peopleinfo.auth.api_keys import ApiKeyStore
    from peopleinfo.auth.principal import Principal

KEY_CACHE_TTL: Final = 2.0  # seconds; a revoked key may be accepted for so long
STALE_KEY_TTL: Final = 60.0  # seconds that a cached key is accepted while the store is unavailable
# The same for metrics, which contain no personal data and are needed most during an outage of the store.
STALE_METRICS_TTL: Final = 86_400.0
LOOKUP_TIMEOUT: Final = 0.25  # seconds that a request with a cached key waits for the store
MAX_CACHE_SIZE: Final = 8 * 1024 * 1024  # bytes of all entries; then the cache is cleared
_ENTRY_SIZE: Final = 500  # bytes of an entry without its credential
_JWT_DOTS: Final = 2  # an API key contains none
_NEVER: Final = float("inf")


class TokenVerifier(Protocol):
    """Verifies the tokens of an identity provider."""

    async def principal(self, token: str) -> tuple[Principal, float]:
        """Return the principal of a token and its remaining lifetime in seconds. Raises NotAuthenticated."""


class _CacheEntry(NamedTuple):
    """A cached principal with its expiry times: without a lookup, while the store is unavailable, and then for metrics."""

    principal: Principal
    fresh_until: float
    stale_until: float
    stale_metrics_until: float


class Authenticator:
    """Resolves credentials to principals, with a cache.

    A key that is created, revoked or rotated by any process changes the result within `KEY_CACHE_TTL` and one read of the store. If that
    read fails or exceeds `LOOKUP_TIMEOUT`, the cached principal remains valid for `STALE_KEY_TTL`.
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
        max_cache_size: int = MAX_CACHE_SIZE,
    ) -> None:
        """Accept the valid keys in `keys`, the `admin_key` (empty: none) and the tokens that `tokens` verifies.

        Accept clients without a credential with `allow_anonymous`, or with `allow_anonymous_until_first_key` until a key is created.
        """
        self._keys = keys
        self._tokens = tokens
        self._now = now
        self._allow_anonymous = allow_anonymous
        self._allow_until_first_key = allow_anonymous_until_first_key
        self._anonymous = _permanent_entry(ANONYMOUS) if allow_anonymous else None
        self._entries = {admin_key: _permanent_entry(BOOTSTRAP_ADMIN)} if admin_key else {}
        self._permanent_entries = dict(self._entries)
        self._size = 0  # bytes of the cache
        self._max_cache_size = max_cache_size
        self._lookups: set[asyncio.Future[Principal]] = set()

    @property
    def allows_anonymous(self) -> bool:
        """Whether the last lookup accepted clients without a credential."""
        return self._allow_anonymous or self._allow_until_first_key

    def cached_principal(self, credential: str | None) -> Principal | None:
        """Return the cached principal of a credential (None: no credential) if it is fresh, else None."""
        entry = self._anonymous if credential is None else self._entries.get(credential)
        return entry.principal if entry is not None and monotonic() < entry.fresh_until else None

    def is_cached(self, credential: str) -> bool:
        """Return whether the cache contains a credential, fresh or not."""
        return credential in self._entries

    async def authenticate(self, credential: str | None, *, for_metrics: bool = False) -> Principal:
        """Return the principal of a credential. `for_metrics`: the request reads metrics only, which allows an older cache entry.

        Raises NotAuthenticated, StoreUnavailable.
        """
        if principal := self.cached_principal(credential):
            return principal
        if credential is None:
            return await self._look_up_or_stale(
                self._anonymous, self._authenticate_anonymous(), for_metrics=for_metrics
            )
        if self._tokens is not None and credential.count(".") == _JWT_DOTS:
            principal, lifetime = await self._tokens.principal(credential)
            self._cache(credential, principal, min(lifetime, STALE_KEY_TTL), 0)
            return principal
        if not is_well_formed(credential):
            raise NotAuthenticated
        entry = self._entries.get(credential)
        if entry is not None:  # concurrent requests use the cached principal during this lookup
            self._entries[credential] = entry._replace(fresh_until=min(monotonic() + KEY_CACHE_TTL, entry.stale_until))
        return await self._look_up_or_stale(entry, self._look_up(credential), for_metrics=for_metrics)

    async def _look_up_or_stale(
        self, entry: _CacheEntry | None, lookup: Coroutine[Any, Any, Principal], *, for_metrics: bool
    ) -> Principal:
        """Return the result of a lookup, or the cached principal if the lookup fails or times out. The lookup then continues."""
        if entry is None or monotonic() >= (entry.stale_metrics_until if for_metrics else entry.stale_until):
            return await lookup
        task = asyncio.ensure_future(lookup)
        self._lookups.add(task)
        task.add_done_callback(self._on_lookup_done)
        done, _ = await asyncio.wait((task,), timeout=LOOKUP_TIMEOUT)
        try:
            return task.result() if done else entry.principal
        except Unavailable:
            return entry.principal

    def _on_lookup_done(self, task: asyncio.Future[Principal]) -> None:
        self._lookups.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as retrieved: after a timeout no request awaits the task

    async def _authenticate_anonymous(self) -> Principal:
        if self._allow_until_first_key and await self._keys.any_exist():
            self._allow_until_first_key = False  # permanently: expired keys must not open the service again
            self._anonymous = None
        if not self._allow_until_first_key:
            raise NotAuthenticated
        self._anonymous = _entry(ANONYMOUS, KEY_CACHE_TTL, _NEVER)
        return ANONYMOUS

    async def _look_up(self, credential: str) -> Principal:
        key = await self._keys.find(hash_key(credential))
        now = self._now()
        if key is None or key.state(now) != "valid":
            self._evict(credential)
            raise NotAuthenticated
        lifetime = (key.expires_at - now).total_seconds() if key.expires_at else _NEVER
        self._cache(credential, key.principal, min(KEY_CACHE_TTL, lifetime), lifetime)
        return key.principal

    def _evict(self, credential: str) -> None:
        if self._entries.pop(credential, None) is not None:
            self._size -= _ENTRY_SIZE + len(credential)

    def _cache(self, credential: str, principal: Principal, ttl: float, lifetime: float) -> None:
        if credential not in self._entries:
            self._size += _ENTRY_SIZE + len(credential)
        if self._size > self._max_cache_size:
            self._entries = dict(self._permanent_entries)
            self._size = _ENTRY_SIZE + len(credential)
        self._entries[credential] = _entry(principal, ttl, lifetime)


def _permanent_entry(principal: Principal) -> _CacheEntry:
    return _CacheEntry(principal, _NEVER, _NEVER, _NEVER)


def _entry(principal: Principal, ttl: float, lifetime: float) -> _CacheEntry:
    """Return a cache entry of a credential that expires in `lifetime` seconds; it is fresh for `ttl` seconds."""
    now = monotonic()
    return _CacheEntry(principal, now + ttl, now + min(STALE_KEY_TTL, lifetime), now + min(STALE_METRICS_TTL, lifetime))
