"""Tokens of an OpenID provider (JWT, RFC 7519): who they name, once their signature, their issuer and their time have been checked."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import jwt
import structlog
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from peopleinfo.auth.principal import Principal, Scope
from peopleinfo.errors import InvalidJson, NotAuthenticated
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyreqwest.client import Client

# Asymmetric ones alone: with a symmetric one whoever can check a token can make one. `none` is none of them.
ALGORITHMS: Final = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
)
LEEWAY: Final = 30  # seconds by which the provider's clock may differ from ours
JWKS_REFETCH_INTERVAL: Final = (
    30.0  # between two looks at the provider's keys, however many unknown ones are named meanwhile
)
JWKS_TTL: Final = 600.0  # after which its keys are looked at again: so long a key that it withdrew is believed
JWKS_STALE_TTL: Final = 3_600.0  # that they are believed while the provider does not answer
_PATIENCE: Final = timedelta(seconds=5)  # to wait for the provider
_DOCUMENT: Final = 1024 * 1024  # bytes of what it answers, at most
_SUBJECT: Final = re.compile(r"[!-~]{1,200}", re.ASCII)
_SCOPES: Final = {scope.value: scope for scope in Scope}
_log = structlog.get_logger("peopleinfo.auth.oidc")


class ProviderUnavailable(Exception):
    """The provider's keys cannot be had now."""


class OidcTokenVerifier:
    """Checks tokens of one issuer for one audience."""

    def __init__(
        self, issuer: str, audience: str, *, scopes_claim: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Take scopes from the claim of this name; dots lead into objects (`realm_access.roles`)."""
        self._issuer = issuer
        self._audience = audience
        self._claim = scopes_claim
        self._keys = _JwksCache(issuer, monotonic)

    async def principal(self, token: str) -> tuple[Principal, float]:
        """Return whom a token names, and for how many seconds it is valid. Raises NotAuthenticated."""
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
            seconds = claims["exp"] + LEEWAY - time.time()  # the library takes a text for a time, too
        except ProviderUnavailable as error:
            _log.warning("oidc_provider_unavailable", reason=str(error))
            raise NotAuthenticated from None
        except (jwt.PyJWTError, TypeError, ValueError):
            raise NotAuthenticated from None
        return self._principal_from_claims(claims), seconds

    def _principal_from_claims(self, claims: dict[str, Any]) -> Principal:
        subject = claims["sub"]
        if not isinstance(subject, str) or _SUBJECT.fullmatch(subject) is None:
            raise NotAuthenticated
        # No API key has a colon in its name: nobody is taken for somebody else.
        return Principal(name=f"oidc:{subject}", scopes=frozenset(self._scopes(claims)))

    def _scopes(self, claims: dict[str, Any]) -> list[Scope]:
        """Return those scopes in the claim that are ours; a text has them with blanks between (RFC 8693), a list one by one."""
        told: Any = claims.get(self._claim)
        if told is None:
            told = claims
            for name in self._claim.split("."):
                told = told.get(name) if isinstance(told, dict) else None
        names = told.split() if isinstance(told, str) else told
        if not isinstance(names, list):
            return []
        return [_SCOPES[name] for name in names if isinstance(name, str) and name in _SCOPES]


class _JwksCache:
    """The keys that the provider signs with now."""

    def __init__(self, issuer: str, monotonic: Callable[[], float]) -> None:
        self._issuer = issuer
        self._monotonic = monotonic
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._tried = -float("inf")
        self._fetching = asyncio.Lock()

    async def find(self, kid: str, algorithm: str) -> Any:
        """Return the key of this name, for this algorithm. Raises NotAuthenticated, ProviderUnavailable."""
        if kid not in self._keys or self._age > JWKS_TTL:
            async with self._fetching:  # who waited finds what the one before has fetched
                if (kid not in self._keys or self._age > JWKS_TTL) and self._may_try:
                    await self._refresh()
        if self._age > JWKS_STALE_TTL:
            raise ProviderUnavailable("its keys could not be fetched")
        key = self._keys.get(kid)
        if key is None or algorithm not in _algorithms(key):
            raise NotAuthenticated
        return key.key

    @property
    def _age(self) -> float:
        return self._monotonic() - self._fetched

    @property
    def _may_try(self) -> bool:
        return self._monotonic() - self._tried >= JWKS_REFETCH_INTERVAL

    async def _refresh(self) -> None:
        self._tried = self._monotonic()
        try:
            keys = await _fetch_keys(self._issuer)
        except (PyreqwestError, TimeoutError, ProviderUnavailable, InvalidJson, ValueError) as error:
            if not self._keys:
                raise ProviderUnavailable(str(error) or type(error).__name__) from error
            _log.warning("jwks_refresh_failed", reason=str(error) or type(error).__name__)
        else:
            self._keys, self._fetched = keys, self._monotonic()


def _algorithms(key: jwt.PyJWK) -> frozenset[str]:
    """Return what a key may be used for: what it says itself, or everything that goes with its kind."""
    said: dict[str, Any] = key._jwk_data  # noqa: SLF001 - not offered otherwise
    if said.get("use", "sig") != "sig":
        return frozenset()
    kind = {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("EdDSA",)}.get(said.get("kty", ""), ())
    fitting = frozenset(name for name in ALGORITHMS if name.startswith(kind)) if kind else frozenset[str]()
    return fitting & {said["alg"]} if "alg" in said else fitting


async def _fetch_keys(issuer: str) -> dict[str, jwt.PyJWK]:
    building = ClientBuilder().no_proxy().follow_redirects(enable=False).timeout(_PATIENCE)
    async with building.build() as client:
        described = await _fetch(client, issuer.rstrip("/") + "/.well-known/openid-configuration")
        where = described.get("jwks_uri")
        if described.get("issuer") != issuer or not isinstance(where, str):
            raise ProviderUnavailable("its configuration is not that of the issuer, or names no keys")
        if issuer.startswith("https://") and not where.startswith("https://"):
            raise ProviderUnavailable("its keys are not offered over https")
        listed = (await _fetch(client, where)).get("keys")
    keys: dict[str, jwt.PyJWK] = {}
    for one in listed if isinstance(listed, list) else []:
        try:
            key = jwt.PyJWK(one)
        except Exception:  # noqa: BLE001, S112 - of a kind that is not known here; each library raises errors of its own
            continue
        if isinstance(key.key_id, str) and key.key_id:
            keys[key.key_id] = key
    return keys


async def _fetch(client: Client, url: str) -> dict[str, Any]:
    async with client.get(url).build_streamed() as answer:
        if answer.status != 200:  # noqa: PLR2004 - OK
            raise ProviderUnavailable(f"{url} answers {answer.status}")
        body = b""
        while len(body) <= _DOCUMENT and (piece := await answer.body_reader.read_chunk()):
            body += piece
    if len(body) > _DOCUMENT:
        raise ProviderUnavailable(f"{url} answers too much")
    return strict_json.decode(body, dict[str, Any])
