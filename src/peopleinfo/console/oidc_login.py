"""Signing in at an OpenID provider. Its token goes into the sealed cookie, where a key would be, and is checked as one at every request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from peopleinfo.auth.oidc import ProviderUnavailable
from peopleinfo.auth.oidc_login import PendingLogin, SignInFailed
from peopleinfo.console.login import ask, page_of
from peopleinfo.console.pages import PROVIDER
from peopleinfo.errors import InvalidJson, NotAuthenticated
from peopleinfo.http.middleware.rate_limit import count_failures
from peopleinfo.http.sessions import is_over_tls
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.auth.authenticator import Authenticator
    from peopleinfo.auth.oidc_login import AuthorizationCodeFlow
    from peopleinfo.http.middleware.rate_limit import RateLimiter
    from peopleinfo.http.sessions import Content, Sessions

_BACK: Final = f"{PROVIDER}/back"
_log = structlog.get_logger("peopleinfo.console")


class ProviderResource:
    """/console/sign-in/provider leads to the provider; /console/sign-in/provider/back is where the browser comes back with a code."""

    def __init__(
        self, flow: AuthorizationCodeFlow, gate: Authenticator, sessions: Sessions, limits: RateLimiter | None
    ) -> None:
        self._flow = flow
        self._gate = gate
        self._sessions = sessions
        self._limits = limits

    async def on_get(self, req: Request, resp: Response) -> None:
        """Lead to the provider, and have the browser keep what shows that it was asked from here."""
        where = page_of(req.get_param("next"))
        try:
            leads_to, begun = await self._flow.start(_back(req), where)
        except ProviderUnavailable as error:
            self._refuse(req, resp, where, 503, "the provider does not answer", error)
            return
        self._sessions.pending.set(req, resp, msgspec.json.encode(begun).decode())
        resp.status = 303
        resp.set_header("Location", leads_to)
        resp.set_header("Cache-Control", "no-store")

    async def on_get_back(self, req: Request, resp: Response) -> None:
        """Begin a session for the token that the code is good for."""
        pending = _begun_in(self._sessions.pending.content(req))
        self._sessions.pending.clear(resp)
        begun = pending or PendingLogin("", "", "/console")
        try:
            if pending is None:
                raise SignInFailed("it took too long, or was not begun in this browser")
            answer = {name: value for name, value in req.params.items() if isinstance(value, str)}
            with count_failures(self._limits, req, SignInFailed, ProviderUnavailable, NotAuthenticated):
                token = await self._flow.finish(begun, answer, _back(req))
                await self._gate.authenticate(token)
        except SignInFailed as error:
            self._refuse(req, resp, begun.return_to, 400, str(error), error)
        except NotAuthenticated as error:
            self._refuse(req, resp, begun.return_to, 403, "the provider's token is not meant for this service", error)
        except ProviderUnavailable as error:
            self._refuse(req, resp, begun.return_to, 503, "the provider does not answer", error)
        else:
            self._sessions.start(req, resp, token)
            resp.status = 303
            resp.set_header("Location", begun.return_to)
            resp.set_header("Cache-Control", "no-store")

    def _refuse(self, req: Request, resp: Response, where: str, status: int, why: str, error: Exception) -> None:
        _log.warning("sign_in_failed", reason=str(error) or why)
        resp.status = status
        ask(req, resp, where, has_provider=True, failed=why)


def _begun_in(content: Content | None) -> PendingLogin | None:
    """Return what the browser was given when signing in began; None for a cookie that has expired, or that another release made."""
    try:
        return strict_json.decode(content.text.encode(), PendingLogin) if content else None
    except InvalidJson:
        return None


def _back(req: Request) -> str:
    """Return where the provider is to lead back to: this service, as the browser knows it."""
    return f"{'https' if is_over_tls(req) else 'http'}://{req.get_header('Host', default='')}{_BACK}"
