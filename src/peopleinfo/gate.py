"""The gate: from what somebody shows to who they are."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from peopleinfo.access import ANYBODY, Principal, Scope
from peopleinfo.apikeys import digest, is_well_formed
from peopleinfo.errors import NotAuthenticated, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from peopleinfo.apikeys import ApiKeys

REMEMBERED_SECONDS: Final = 2.0  # that a key is believed without asking the store again: so long a revoked one goes on
GRACE_SECONDS: Final = 60.0  # that it is believed while the store does not answer
_REMEMBERED: Final = 10_000  # keys; beyond that all are forgotten, and asked for again
_ADMIN: Final = Principal(name="admin-key", scopes=frozenset({Scope.ADMIN}))
_DOTS: Final = 2  # in a token (JWT), and in no key
_FOR_EVER: Final = float("inf")


class Tokens(Protocol):
    """Checks credentials that somebody else has given out."""

    async def principal(self, token: str) -> tuple[Principal, float]:
        """Return whom a token names, and for how many seconds it is valid. Raises NotAuthenticated."""


class _Known(NamedTuple):
    """Who shows a key, until when that is believed unasked, and until when at all."""

    principal: Principal
    until: float
    at_most: float


class Gate:
    """Tells who is asking by the credential that they show.

    What the store said of a key is believed for `REMEMBERED_SECONDS`, so a key that is made, revoked or rotated anywhere is so everywhere
    within that time and one read of the store.
    """

    def __init__(
        self,
        keys: ApiKeys,
        *,
        now: Callable[[], datetime],
        admin_key: str = "",
        open_to_all: bool = False,
        open_until_keys: bool = False,
        tokens: Tokens | None = None,
    ) -> None:
        """Let in who shows a valid key, `admin_key` (none when empty), or a token that `tokens` finds good.

        Whoever shows nothing is let in with `open_to_all`, and with `open_until_keys` as long as no key was ever made.
        """
        self._keys = keys
        self._tokens = tokens
        self._now = now
        self._open_to_all = open_to_all
        self._open_until_keys = open_until_keys
        self._asked = -_FOR_EVER  # when it was last asked whether there are keys
        self._known = {digest(admin_key): _Known(_ADMIN, _FOR_EVER, _FOR_EVER)} if admin_key else {}
        self._fixed = dict(self._known)

    @property
    def is_open(self) -> bool:
        """Whether those who show nothing were let in when it was last looked at."""
        return self._open_to_all or self._open_until_keys

    def recognise(self, credential: str | None) -> Principal | None:
        """Return who shows this credential (None: nothing was shown) if that is known without asking anybody, else None."""
        if credential is None:
            return ANYBODY if self._open_to_all or monotonic() < self._asked + REMEMBERED_SECONDS else None
        known = self._known.get(digest(credential))
        return known.principal if known is not None and monotonic() < known.until else None

    def knows(self, credential: str) -> bool:
        """Say whether a credential was good not long ago."""
        return digest(credential) in self._known

    async def ask(self, credential: str | None) -> Principal:
        """Return who shows this credential. Raises NotAuthenticated, StoreUnavailable."""
        if credential is None:
            if self._open_to_all or await self._has_no_keys():
                return ANYBODY
            raise NotAuthenticated
        if principal := self.recognise(credential):
            return principal
        if self._tokens is not None and credential.count(".") == _DOTS:
            principal, seconds = await self._tokens.principal(credential)
            self._remember(credential, principal, min(seconds, GRACE_SECONDS), 0)
            return principal
        return await self._look_up(credential)

    async def _has_no_keys(self) -> bool:
        if self._open_until_keys and await self._keys.has_any():
            self._open_until_keys = False  # for good: a service must not open itself because its keys have expired
            self._asked = -_FOR_EVER
        if self._open_until_keys:
            self._asked = monotonic()
        return self._open_until_keys

    async def _look_up(self, credential: str) -> Principal:
        if not is_well_formed(credential):
            raise NotAuthenticated
        name = digest(credential)
        known = self._known.get(name)
        now = monotonic()
        if known is not None and now < known.at_most:
            # While we ask, others need not ask too.
            self._known[name] = known._replace(until=min(now + REMEMBERED_SECONDS, known.at_most))
        try:
            key = await self._keys.find(name)
        except StoreUnavailable:
            if known is not None and now < known.at_most:
                return known.principal
            raise
        moment = self._now()
        if key is None or key.state(moment) != "valid":
            self._known.pop(name, None)
            raise NotAuthenticated
        left = (key.expires_at - moment).total_seconds() if key.expires_at else _FOR_EVER
        self._remember(credential, key.principal, min(REMEMBERED_SECONDS, left), min(GRACE_SECONDS, left))
        return key.principal

    def _remember(self, credential: str, principal: Principal, seconds: float, at_most: float) -> None:
        if len(self._known) >= _REMEMBERED:
            self._known = dict(self._fixed)
        now = monotonic()
        self._known[digest(credential)] = _Known(principal, now + seconds, now + at_most)
