"""Verification of the tokens (JWT, RFC 7519) of an OpenID provider."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jwt
import structlog

from peopleinfo.auth.principal import Principal, Scope
from peopleinfo.auth.provider import (
    DOCUMENT_TTL,
    REFETCH_INTERVAL,
    ProviderUnavailable,
    endpoint,
    fetch_configuration,
    fetch_json,
)
from peopleinfo.errors import NotAuthenticated

if TYPE_CHECKING:
    from collections.abc import Callable

# Only asymmetric algorithms: with a symmetric one, every verifier could also sign tokens. `none` is excluded.
ALGORITHMS: Final = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
)
LEEWAY: Final = 30  # seconds of clock difference to the provider
STALE_KEYS_TTL: Final = 3_600.0  # seconds that keys are accepted while the provider is unavailable
_SUBJECT: Final = re.compile(r"[!-~]{1,200}", re.ASCII)
_SCOPES: Final = {scope.value: scope for scope in Scope}
_log = structlog.get_logger("peopleinfo.auth.oidc")


class OidcTokenVerifier:
    """Verifies the tokens of one issuer for one audience."""

    def __init__(
        self, issuer: str, audience: str, *, scopes_claim: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Read the scopes from `scopes_claim`; dots separate nested claims, for example `realm_access.roles`."""
        self._issuer = issuer
        self._audience = audience
        self._claim = scopes_claim
        self._keys = _JwksCache(issuer, monotonic)

    async def principal(self, token: str) -> tuple[Principal, float]:
        """Return the principal of a token and its remaining lifetime in seconds. Raises NotAuthenticated."""
        try:
            header = jwt.get_unverified_header(token)
            algorithm, kid = header.get("alg"), header.get("kid")
            if algorithm not in ALGORITHMS or not isinstance(kid, str):
                raise NotAuthenticated
            key = await self._keys.find(kid, algorithm)
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
            )
            lifetime = claims["exp"] + LEEWAY - time.time()  # TypeError for a string, which the library accepts
        except ProviderUnavailable as error:
            _log.warning("oidc_provider_unavailable", reason=str(error))
            raise NotAuthenticated from None
        except (jwt.PyJWTError, TypeError, ValueError):
            raise NotAuthenticated from None
        return self._principal_from_claims(claims), lifetime

    def _principal_from_claims(self, claims: dict[str, Any]) -> Principal:
        subject = claims["sub"]
        if not isinstance(subject, str) or _SUBJECT.fullmatch(subject) is None:
            raise NotAuthenticated
        # The colon prevents a collision with the name of an API key.
        return Principal(name=f"oidc:{subject}", scopes=frozenset(self._scopes(claims)))

    def _scopes(self, claims: dict[str, Any]) -> list[Scope]:
        """Return the scopes of this service in the claim, a list or a string separated by spaces (RFC 8693)."""
        value: Any = claims.get(self._claim)
        if value is None:
            value = claims
            for name in self._claim.split("."):
                value = value.get(name) if isinstance(value, dict) else None
        names = value.split() if isinstance(value, str) else value
        if not isinstance(names, list):
            return []
        return [_SCOPES[name] for name in names if isinstance(name, str) and name in _SCOPES]


class _SigningKey(NamedTuple):
    key: Any
    algorithms: frozenset[str]


class _JwksCache:
    """A cache of the signing keys of the provider (JSON Web Key Set)."""

    def __init__(self, issuer: str, monotonic: Callable[[], float]) -> None:
        self._issuer = issuer
        self._monotonic = monotonic
        self._keys: dict[str, _SigningKey] = {}
        self._fetched = self._attempted = -float("inf")
        self._fetching = asyncio.Lock()

    async def find(self, kid: str, algorithm: str) -> Any:
        """Return the key with this id for this algorithm. Raises NotAuthenticated, ProviderUnavailable."""
        if kid not in self._keys or self._age > DOCUMENT_TTL:
            async with self._fetching:  # concurrent requests share one fetch
                if (kid not in self._keys or self._age > DOCUMENT_TTL) and self._may_refetch:
                    await self._refresh()
        if self._age > STALE_KEYS_TTL:
            raise ProviderUnavailable("the keys of the provider could not be fetched")
        key = self._keys.get(kid)
        if key is None or algorithm not in key.algorithms:
            raise NotAuthenticated
        return key.key

    @property
    def _age(self) -> float:
        return self._monotonic() - self._fetched

    @property
    def _may_refetch(self) -> bool:
        return self._monotonic() - self._attempted >= REFETCH_INTERVAL

    async def _refresh(self) -> None:
        self._attempted = self._monotonic()
        try:
            keys = await _fetch_keys(self._issuer)
        except ProviderUnavailable as error:
            if not self._keys:
                raise
            _log.warning("jwks_refresh_failed", reason=str(error))
        else:
            self._keys, self._fetched = keys, self._monotonic()


def _algorithms(jwk: dict[str, Any]) -> frozenset[str]:
    """Return the algorithms that a key permits: its `alg`, or all algorithms of its key type."""
    if jwk.get("use", "sig") != "sig":
        return frozenset()
    prefixes = {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("EdDSA",)}.get(jwk.get("kty", ""), ())
    algorithms = frozenset(name for name in ALGORITHMS if name.startswith(prefixes)) if prefixes else frozenset[str]()
    return algorithms & {jwk["alg"]} if "alg" in jwk else algorithms


async def _fetch_keys(issuer: str) -> dict[str, _SigningKey]:
    jwks = (await fetch_json(endpoint(await fetch_configuration(issuer), "jwks_uri"))).get("keys")
    keys: dict[str, _SigningKey] = {}
    for jwk in jwks if isinstance(jwks, list) else []:
        try:
            key = jwt.PyJWK(jwk)
            algorithms = _algorithms(jwk)
        except Exception:  # noqa: BLE001, S112 - an unsupported key; the errors depend on the library of its type
            continue
        if isinstance(key.key_id, str) and key.key_id:
            keys[key.key_id] = _SigningKey(key.key, algorithms)
    return keys
