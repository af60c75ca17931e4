"""Signing in at an OpenID provider: the authorization-code flow (RFC 6749) with PKCE (RFC 7636). No browser and no script holds a token."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from base64 import b64encode, urlsafe_b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import msgspec
import structlog
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from peopleinfo.auth.oidc import JWKS_REFETCH_INTERVAL, JWKS_TTL, ProviderUnavailable
from peopleinfo.errors import InvalidJson
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PATIENCE: Final = timedelta(seconds=5)  # to wait for the provider
_LONGEST: Final = 2_800  # characters of a token; a browser keeps cookies of 4,096 bytes, and it is sealed there
_FORM: Final = "application/x-www-form-urlencoded"
_OK: Final = 200
_log = structlog.get_logger("peopleinfo.auth.oidc")


class SignInFailed(Exception):
    """Nobody was signed in. The message says why, and holds nothing that the browser or the provider sent."""


class PendingLogin(msgspec.Struct, frozen=True):
    """What has to be known when the browser comes back from the provider, and to nobody else."""

    state: str
    verifier: str
    return_to: str
    """The page that was asked for in the beginning."""


class AuthorizationCodeFlow:
    """Has people sign in at one provider, as one of its clients."""

    def __init__(
        self,
        issuer: str,
        client: str,
        *,
        secret: str,
        scopes: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`client` and `secret` (empty for a public client) are what the provider knows this service by; `scopes` is what it is asked for."""
        self._issuer = issuer
        self._client = client
        self._secret = secret
        self._scopes = scopes
        self._monotonic = monotonic
        self._described: dict[str, Any] = {}  # the provider's configuration
        self._tried = -float("inf")
        self._fetching = asyncio.Lock()

    async def start(self, redirect_uri: str, return_to: str) -> tuple[str, PendingLogin]:
        """Return where at the provider the browser is to go, and what is to be kept until it comes back to `back`. Raises ProviderUnavailable."""
        endpoint = await self._endpoint("authorization_endpoint")
        begun = PendingLogin(secrets.token_urlsafe(32), secrets.token_urlsafe(48), return_to)
        challenge = urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self._client,
            "redirect_uri": redirect_uri,
            "scope": self._scopes,
            "state": begun.state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}", begun

    async def finish(self, begun: PendingLogin, answer: Mapping[str, str], redirect_uri: str) -> str:
        """Return the access token for what the browser brought back from the provider. Raises SignInFailed, ProviderUnavailable."""
        if not secrets.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
            raise SignInFailed("this is not the answer to a question that was asked from here")
        if answer.get("iss", self._issuer) != self._issuer:  # RFC 9207
            raise SignInFailed("another provider answered")
        if "code" not in answer:
            raise SignInFailed("the provider did not let you in")
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": redirect_uri,
            "client_id": self._client,
            "code_verifier": begun.verifier,
        }
        told = await _post(await self._endpoint("token_endpoint"), form, self._credentials)
        token = told.get("access_token")
        if not isinstance(token, str):
            raise SignInFailed("the provider gave no token")
        if len(token) > _LONGEST:
            raise SignInFailed("the provider's token is too long for a cookie: let it name fewer claims")
        return token

    @property
    def _credentials(self) -> dict[str, str]:
        if not self._secret:
            return {}
        pair = f"{quote(self._client, safe='')}:{quote(self._secret, safe='')}"  # RFC 6749, 2.3.1
        return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}

    async def _configuration(self) -> dict[str, Any]:
        """Return the provider's configuration, which is fetched at intervals, whether or not the provider answers.

        Raises ProviderUnavailable when it was never fetched.
        """
        async with self._fetching:  # concurrent requests wait for one fetch
            interval = JWKS_TTL if self._described else JWKS_REFETCH_INTERVAL
            if self._monotonic() - self._tried >= interval:
                self._tried = self._monotonic()
                try:
                    self._described = await _post(self._issuer.rstrip("/") + "/.well-known/openid-configuration")
                except ProviderUnavailable as error:
                    if not self._described:
                        raise
                    _log.warning("oidc_configuration_not_renewed", reason=str(error))
        if not self._described:
            raise ProviderUnavailable("its configuration could not be fetched")
        return self._described

    async def _endpoint(self, name: str) -> str:
        described = await self._configuration()
        endpoint = described.get(name)
        if described.get("issuer") != self._issuer or not isinstance(endpoint, str):
            raise ProviderUnavailable(f"its configuration is not that of the issuer, or names no {name}")
        if self._issuer.startswith("https://") and not endpoint.startswith("https://"):
            raise ProviderUnavailable(f"its {name} is not offered over https")
        return endpoint


async def _post(
    url: str, form: dict[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    building = ClientBuilder().no_proxy().follow_redirects(enable=False).timeout(_PATIENCE)
    try:
        async with building.build() as client:
            asking = client.get(url)
            if form is not None:
                asking = client.post(url).headers({"Content-Type": _FORM, **(headers or {})}).body_text(urlencode(form))
            answer = await asking.build().send()
            if form is not None and answer.status != _OK:
                raise SignInFailed("the provider takes back what it said")
            if answer.status != _OK:
                raise ProviderUnavailable(f"{url} answers {answer.status}")
            return strict_json.decode(bytes(await answer.bytes()), dict[str, Any])
    except (
        PyreqwestError,
        InvalidJson,
        ValueError,
    ) as error:  # ValueError: the provider names an endpoint that is no URL
        raise ProviderUnavailable(str(error) or type(error).__name__) from error
