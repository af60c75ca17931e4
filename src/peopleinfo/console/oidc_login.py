"""Login at an OpenID provider. The encrypted session cookie holds the token, which every request validates like a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from peopleinfo.auth.oidc_login import PendingLogin, SignInFailed
from peopleinfo.auth.provider import ProviderUnavailable
from peopleinfo.console.login import console_page, show_login_page
from peopleinfo.console.rendering import PROVIDER_PATH
from peopleinfo.errors import InvalidJson, NotAuthenticated
from peopleinfo.http.middleware.request_limits import count_failures
from peopleinfo.http.sessions import is_over_tls
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.auth.authenticator import Authenticator
    from peopleinfo.auth.oidc_login import AuthorizationCodeFlow
    from peopleinfo.http.middleware.request_limits import RateLimiter
    from peopleinfo.http.sessions import Content, Sessions

_CALLBACK: Final = f"{PROVIDER_PATH}/back"
_log = structlog.get_logger("peopleinfo.console")


class ProviderResource:
    """/console/sign-in/provider redirects to the provider, which redirects to /console/sign-in/provider/back with a code."""

    def __init__(
        self,
        flow: AuthorizationCodeFlow,
        authenticator: Authenticator,
        sessions: Sessions,
        rate_limiter: RateLimiter | None,
    ) -> None:
        self._flow = flow
        self._authenticator = authenticator
        self._sessions = sessions
        self._rate_limiter = rate_limiter

    async def on_get(self, req: Request, resp: Response) -> None:
        """Redirect to the provider and store the state of the login in a cookie."""
        return_to = console_page(req.get_param("next"))
        try:
            location, login = await self._flow.start(_redirect_uri(req), return_to)
        except ProviderUnavailable as error:
            self._fail(req, resp, return_to, 503, "the provider does not respond", error)
            return
        self._sessions.pending.set(req, resp, msgspec.json.encode(login).decode())
        resp.status = 303
        resp.set_header("Location", location)
        resp.set_header("Cache-Control", "no-store")

    async def on_get_back(self, req: Request, resp: Response) -> None:
        """Exchange the code for a token and start a session."""
        pending = _pending_login(self._sessions.pending.content(req))
        self._sessions.pending.clear(resp)
        login = pending or PendingLogin("", "", "/console")
        try:
            if pending is None:
                raise SignInFailed("the login took too long or was not started in this browser")
            response = {name: value for name, value in req.params.items() if isinstance(value, str)}
            with count_failures(self._rate_limiter, req, SignInFailed, ProviderUnavailable, NotAuthenticated):
                token = await self._flow.finish(login, response, _redirect_uri(req))
                await self._authenticator.authenticate(token)
        except SignInFailed as error:
            self._fail(req, resp, login.return_to, 400, str(error), error)
        except NotAuthenticated as error:
            self._fail(
                req, resp, login.return_to, 403, "the token of the provider is not valid for this service", error
            )
        except ProviderUnavailable as error:
            self._fail(req, resp, login.return_to, 503, "the provider does not respond", error)
        else:
            self._sessions.start(req, resp, token)
            resp.status = 303
            resp.set_header("Location", login.return_to)
            resp.set_header("Cache-Control", "no-store")

    def _fail(self, req: Request, resp: Response, return_to: str, status: int, reason: str, error: Exception) -> None:
        _log.warning("sign_in_failed", reason=str(error) or reason)
        resp.status = status
        show_login_page(req, resp, return_to, has_provider=True, problem=reason)


def _pending_login(content: Content | None) -> PendingLogin | None:
    """Return the state of the login in the cookie; None if it expired or comes from another release."""
    try:
        return strict_json.decode(content.text.encode(), PendingLogin) if content else None
    except InvalidJson:
        return None


def _redirect_uri(req: Request) -> str:
    """Return the redirect URI: the callback at the host that the browser uses."""
    return f"{'https' if is_over_tls(req) else 'http'}://{req.get_header('Host', default='')}{_CALLBACK}"
