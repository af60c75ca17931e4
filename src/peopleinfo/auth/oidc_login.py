"""Sign-in via an OpenID provider: the authorization code flow (RFC 6749) with PKCE (RFC 7636). Scripts never see the token."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from base64 import b64encode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import msgspec
import structlog

from peopleinfo.auth.provider import (
    DOCUMENT_TTL,
    REFETCH_INTERVAL,
    ProviderUnavailable,
    UnexpectedStatus,
    endpoint,
    fetch_configuration,
    fetch_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MAX_TOKEN_LENGTH: Final = 2_800  # characters; encrypted, the token must fit into a cookie of 4,096 bytes
_log = structlog.get_logger("peopleinfo.auth.oidc")


class SignInFailed(Exception):
    """The sign-in failed. The message contains no data of the browser or the provider."""


class PendingLogin(msgspec.Struct, frozen=True):
    """The secrets of a sign-in in progress, for the callback from the provider."""

    state: str
    verifier: str
    return_to: str
    """The page that the browser requested before the sign-in."""


class AuthorizationCodeFlow:
    """The authorization code flow of one client at one provider."""

    def __init__(
        self,
        issuer: str,
        client: str,
        *,
        secret: str,
        scopes: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Sign in to `issuer` as the OAuth client `client` with its `secret` (empty: public client), requesting `scopes`."""
        self._issuer = issuer
        self._client = client
        self._secret = secret
        self._scopes = scopes
        self._monotonic = monotonic
        self._configuration: dict[str, Any] = {}
        self._attempted = -float("inf")
        self._fetching = asyncio.Lock()

    async def start(self, redirect_uri: str, return_to: str) -> tuple[str, PendingLogin]:
        """Return the authorization URL for the browser, and the pending login for `finish`. Raises ProviderUnavailable."""
        endpoint = await self._endpoint("authorization_endpoint")
        pending = PendingLogin(secrets.token_urlsafe(32), secrets.token_urlsafe(48), return_to)
        challenge = urlsafe_b64encode(hashlib.sha256(pending.verifier.encode()).digest()).rstrip(b"=").decode()
        parameters = {
            "response_type": "code",
            "client_id": self._client,
            "redirect_uri": redirect_uri,
            "scope": self._scopes,
            "state": pending.state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}", pending

    async def finish(self, pending: PendingLogin, callback: Mapping[str, str], redirect_uri: str) -> str:
        """Return the access token for the parameters of the provider's callback. Raises SignInFailed, ProviderUnavailable."""
        if not secrets.compare_digest(callback.get("state", "").encode(), pending.state.encode()):
            raise SignInFailed("the sign-in was not started in this browser: sign in again")
        if callback.get("iss", self._issuer) != self._issuer:  # RFC 9207
            raise SignInFailed("the response is from another provider: sign in again")
        if "code" not in callback:
            raise SignInFailed("the provider rejected the sign-in")
        form = {
            "grant_type": "authorization_code",
            "code": callback["code"],
            "redirect_uri": redirect_uri,
            "client_id": self._client,
            "code_verifier": pending.verifier,
        }
        token_endpoint = await self._endpoint("token_endpoint")
        try:
            response = await fetch_json(token_endpoint, form, self._credentials)
        except UnexpectedStatus as error:
            raise SignInFailed("the provider rejected the authorization code: sign in again") from error
        token = response.get("access_token")
        if not isinstance(token, str):
            raise SignInFailed("the provider returned no access token")
        if len(token) > _MAX_TOKEN_LENGTH:
            raise SignInFailed("the provider's token is too long for a cookie: configure fewer claims at the provider")
        return token

    @property
    def _credentials(self) -> dict[str, str]:
        if not self._secret:
            return {}
        pair = f"{quote(self._client, safe='')}:{quote(self._secret, safe='')}"  # RFC 6749, 2.3.1
        return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}

    async def _endpoint(self, name: str) -> str:
        """Return a URL of the provider. Raises ProviderUnavailable."""
        async with self._fetching:  # concurrent requests wait for one fetch
            interval = DOCUMENT_TTL if self._configuration else REFETCH_INTERVAL
            if self._monotonic() - self._attempted >= interval:
                await self._refresh()
        if not self._configuration:
            raise ProviderUnavailable("the provider's configuration could not be fetched")
        return endpoint(self._configuration, name)

    async def _refresh(self) -> None:
        """Fetch the configuration; keep the previous one while the provider is unavailable. Raises ProviderUnavailable."""
        self._attempted = self._monotonic()
        try:
            self._configuration = await fetch_configuration(self._issuer)
        except ProviderUnavailable as error:
            if not self._configuration:
                raise
            _log.warning("oidc_configuration_not_renewed", reason=str(error))
