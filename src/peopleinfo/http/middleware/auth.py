"""Who is asking, found out before anything is done for them; what no rule allows is refused."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import falcon

from peopleinfo.auth.principal import Scope
from peopleinfo.errors import FieldAccessDenied, NotAuthenticated
from peopleinfo.http.middleware.rate_limit import cost
from peopleinfo.http.operations import FIELD_ACCESS_OPERATIONS, OPERATIONS, PUBLIC_FORMS, PUBLIC_PAGES

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.auth.authenticator import Authenticator
    from peopleinfo.auth.principal import Principal
    from peopleinfo.http.middleware.rate_limit import RateLimiter
    from peopleinfo.http.sessions import Sessions


class _OperationPolicy(NamedTuple):
    """What an operation asks for: a scope (None: of nobody), units of the caller's rate, and whether it knows how to hide members."""

    scope: Scope | None
    units: int = 0
    masked: bool = False


_DEMANDS: Final[dict[tuple[str | None, str], _OperationPolicy]] = {
    (operation.path, operation.method.upper()): _OperationPolicy(
        operation.scope, cost(operation), operation.name in FIELD_ACCESS_OPERATIONS
    )
    for operation in OPERATIONS
}
_DEMANDS.update({(page, "GET"): _OperationPolicy(None) for page in PUBLIC_PAGES})
_DEMANDS.update({(form, "POST"): _OperationPolicy(None) for form in PUBLIC_FORMS})
_DEMANDS.update({(path, "HEAD"): demand for (path, method), demand in tuple(_DEMANDS.items()) if method == "GET"})
_DEFAULT_POLICY: Final = _OperationPolicy(Scope.ADMIN, 1)  # of routes that do not stand in the contract
_SCHEME: Final = "bearer "
_SHORT: Final = 300  # characters of a header that holds a key


class AuthMiddleware:
    """Puts the principal into `req.context.principal`, None where everybody is answered, and refuses who may not do what is asked.

    From whom members are hidden, it is refused what does not know how to hide them.

    The scope that an operation needs stands in the contract; a route that does not stand there needs that of an administrator.
    """

    def __init__(
        self, gate: Authenticator, limits: RateLimiter | None, sessions: Sessions, *, open_metrics: bool
    ) -> None:
        self._gate = gate
        self._limits = limits
        self._sessions = sessions
        opened = [("/metrics", "GET"), ("/metrics", "HEAD")] if open_metrics else []
        self._demands = _DEMANDS | dict.fromkeys(opened, _OperationPolicy(None))

    async def process_resource(self, req: Request, resp: Response, _: object, __: object) -> None:
        """Raise NotAuthenticated, AccessDenied, MembersHidden, RateExceeded, and falcon's error for 400 if the target cannot be read."""
        if "unreadable" in req.scope:
            raise falcon.HTTPBadRequest(description=req.scope["unreadable"])
        needed, units, masked = self._demands.get((req.uri_template, req.method), _DEFAULT_POLICY)
        if needed is None:
            req.context.principal = None
            if self._limits is not None:
                self._limits.count_open(req)
            return
        header = req.auth
        credential = (
            (_remembered if len(header) <= _SHORT else _bearer)(header)
            if header is not None
            else await self._sessions.credential(req)
        )
        principal = self._gate.cached_principal(credential) or await self._ask(req, credential, needed)
        req.context.principal = principal
        if self._limits is not None:
            self._limits.charge(req, resp, principal, units)
        if needed not in principal.scopes:  # which an administrator need not have
            principal.require_scope(needed)
        if principal.hidden_fields and not masked:
            raise FieldAccessDenied(sorted(principal.hidden_fields))

    async def _ask(self, req: Request, credential: str | None, needed: Scope) -> Principal:
        """Ask the gate, but not for networks that guess: each guess costs a read of the store. Whoever was let in before is asked for."""
        if self._limits is None or credential is None or self._gate.is_cached(credential):
            return await self._gate.authenticate(credential, for_metrics=needed is Scope.METRICS)
        with self._limits.guessing(req, NotAuthenticated):
            return await self._gate.authenticate(credential)


def _bearer(header: str) -> str:
    """Return what is shown as a bearer token (RFC 6750); what is shown in another way is no credential, and is refused as such."""
    return header[len(_SCHEME) :].strip() if header[: len(_SCHEME)].lower() == _SCHEME else ""


_remembered: Final = lru_cache(maxsize=1_000)(_bearer)  # at most 300 KB; busy clients show theirs at every request
