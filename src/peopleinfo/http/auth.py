"""Who is asking, found out before anything is done for them; what no rule allows is refused."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from peopleinfo.access import Scope
from peopleinfo.errors import MembersHidden, NotAuthenticated
from peopleinfo.http.contract import MASKED, OPEN_FORMS, OPEN_PAGES, OPERATIONS

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.access import Principal
    from peopleinfo.gate import Gate
    from peopleinfo.http.limits import Limits
    from peopleinfo.http.sessions import Sessions

_NEEDED: Final[dict[tuple[str | None, str], Scope | None]] = {
    (operation.path, operation.method.upper()): operation.scope for operation in OPERATIONS
}
_NEEDED.update({(page, "GET"): None for page in OPEN_PAGES})
_NEEDED.update({(form, "POST"): None for form in OPEN_FORMS})
_NEEDED.update({(path, "HEAD"): scope for (path, method), scope in tuple(_NEEDED.items()) if method == "GET"})
_MASKED: Final = {
    (operation.path, method)
    for operation in OPERATIONS
    if operation.name in MASKED
    for method in (operation.method.upper(), *(("HEAD",) if operation.method == "get" else ()))
}
_SCHEME: Final = "bearer "


class Authentication:
    """Puts the principal into `req.context.principal`, None where everybody is answered, and refuses who may not do what is asked.

    From whom members are hidden, it is refused what does not know how to hide them.

    The scope that an operation needs stands in the contract; a route that does not stand there needs that of an administrator.
    """

    def __init__(self, gate: Gate, limits: Limits | None, sessions: Sessions, *, open_metrics: bool) -> None:
        self._gate = gate
        self._limits = limits
        self._sessions = sessions
        self._needed = _NEEDED | ({("/metrics", "GET"): None, ("/metrics", "HEAD"): None} if open_metrics else {})

    async def process_resource(self, req: Request, resp: Response, _: object, __: object) -> None:
        """Raise NotAuthenticated, AccessDenied, MembersHidden, RateExceeded."""
        needed = self._needed.get((req.uri_template, req.method), Scope.ADMIN)
        if needed is None:
            req.context.principal = None
            return
        header = req.get_header("Authorization")
        credential = self._sessions.credential(req) if header is None else _bearer(header)
        principal = self._gate.recognise(credential) or await self._ask(req, credential, needed)
        req.context.principal = principal
        if self._limits is not None:
            self._limits.count(req, resp, principal)
        principal.require(needed)
        if principal.hidden and (req.uri_template, req.method) not in _MASKED:
            raise MembersHidden(sorted(principal.hidden))

    async def _ask(self, req: Request, credential: str | None, needed: Scope) -> Principal:
        """Ask the gate, but not for networks that guess: each guess costs a read of the store. Whoever was let in before is asked for."""
        if self._limits is None or credential is None or self._gate.knows(credential):
            return await self._gate.ask(credential, for_figures=needed is Scope.METRICS)
        network = self._limits.network(req)
        self._limits.require_guess(network)
        try:
            return await self._gate.ask(credential)
        except NotAuthenticated:
            self._limits.guess(network)
            raise


@lru_cache(maxsize=1_000)  # as `digest`
def _bearer(header: str) -> str:
    """Return what is shown as a bearer token (RFC 6750); what is shown in another way is no credential, and is refused as such."""
    return header[len(_SCHEME) :].strip() if header[: len(_SCHEME)].lower() == _SCHEME else ""
