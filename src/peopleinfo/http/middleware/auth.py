"""Authentication and authorization of every request, before its resource handles it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import falcon

from peopleinfo.auth.principal import Scope
from peopleinfo.errors import FieldAccessDenied, NotAuthenticated
from peopleinfo.http.middleware.request_limits import cost
from peopleinfo.http.openapi.operations import FIELD_ACCESS_OPERATIONS, OPERATIONS, PUBLIC_FORMS, PUBLIC_PAGES
from peopleinfo.http.paced_protocol import AUTHENTICATED

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.auth.authenticator import Authenticator
    from peopleinfo.auth.principal import Principal
    from peopleinfo.http.middleware.request_limits import RateLimiter
    from peopleinfo.http.sessions import Sessions


class _OperationPolicy(NamedTuple):
    """The required scope (None: public), the cost in rate-limit units, and whether the operation redacts hidden fields."""

    scope: Scope | None
    units: int = 0
    redacts: bool = False


_POLICIES: Final[dict[tuple[str | None, str], _OperationPolicy]] = {
    (operation.path, operation.method.upper()): _OperationPolicy(
        operation.scope, cost(operation), operation.name in FIELD_ACCESS_OPERATIONS
    )
    for operation in OPERATIONS
}
_POLICIES.update({(page, "GET"): _OperationPolicy(None) for page in PUBLIC_PAGES})
_POLICIES.update({(form, "POST"): _OperationPolicy(None) for form in PUBLIC_FORMS})
_POLICIES.update({(path, "HEAD"): policy for (path, method), policy in tuple(_POLICIES.items()) if method == "GET"})
_DEFAULT_POLICY: Final = _OperationPolicy(Scope.ADMIN, 1)  # for routes that are not in OPERATIONS
_SCHEME: Final = "bearer "
_CACHED_LENGTH: Final = 300  # characters of a header; longer headers are not cached


class AuthMiddleware:
    """Sets `req.context.principal` (None on public routes) and rejects requests without the required scope.

    `OPERATIONS` defines the scope of each operation; every other route requires the admin scope. A principal with
    hidden fields can call only the operations that redact them.
    """

    def __init__(
        self, authenticator: Authenticator, rate_limiter: RateLimiter | None, sessions: Sessions, *, open_metrics: bool
    ) -> None:
        self._authenticator = authenticator
        self._rate_limiter = rate_limiter
        self._sessions = sessions
        public = [("/metrics", "GET"), ("/metrics", "HEAD")] if open_metrics else []
        self._policies = _POLICIES | dict.fromkeys(public, _OperationPolicy(None))

    async def process_resource(self, req: Request, resp: Response, _: object, __: object) -> None:
        """Raise NotAuthenticated, AccessDenied, FieldAccessDenied, RateLimitExceeded, or HTTPBadRequest for an invalid target."""
        if "unreadable" in req.scope:
            raise falcon.HTTPBadRequest(description=req.scope["unreadable"])
        needed, units, redacts = self._policies.get((req.uri_template, req.method), _DEFAULT_POLICY)
        if needed is None:
            req.context.principal = None
            if self._rate_limiter is not None:
                self._rate_limiter.count_public(req)
            return
        header = req.auth
        credential = (
            (_cached_bearer if len(header) <= _CACHED_LENGTH else bearer)(header)
            if header is not None
            else await self._sessions.credential(req)
        )
        principal = self._authenticator.cached_principal(credential) or await self._authenticate(
            req, credential, needed
        )
        req.context.principal = principal
        req.scope[AUTHENTICATED] = True
        if self._rate_limiter is not None:
            self._rate_limiter.charge(req, resp, principal, units)
        if needed not in principal.scopes:  # the admin scope includes it
            principal.require_scope(needed)
        if principal.hidden_fields and not redacts:
            raise FieldAccessDenied(sorted(principal.hidden_fields))

    async def _authenticate(self, req: Request, credential: str | None, needed: Scope) -> Principal:
        """Authenticate a credential that is not cached; count failures per network, because each costs a read of the store."""
        if self._rate_limiter is None or credential is None or self._authenticator.is_cached(credential):
            return await self._authenticator.authenticate(credential, for_metrics=needed is Scope.METRICS)
        with self._rate_limiter.count_failures(req, NotAuthenticated):
            return await self._authenticator.authenticate(credential)


async def credential_of(req: Request, sessions: Sessions) -> str | None:
    """Return the credential of a request, None without one. Raises StoreUnavailable, and HTTPForbidden for a cross-site request."""
    header = req.auth
    return await sessions.credential(req) if header is None else bearer(header)


def bearer(header: str) -> str:
    """Return the bearer token (RFC 6750), or "", an invalid credential, for any other scheme."""
    return header[len(_SCHEME) :].strip() if header[: len(_SCHEME)].lower() == _SCHEME else ""


_cached_bearer: Final = lru_cache(maxsize=1_000)(
    bearer
)  # at most 300 KB; a client sends the same header with every request
