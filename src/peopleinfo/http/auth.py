"""Who is asking, found out before anything is done for them; what no rule allows is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from peopleinfo.access import Scope
from peopleinfo.http.contract import OPEN_FORMS, OPEN_PAGES, OPERATIONS

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.gate import Gate
    from peopleinfo.http.sessions import Sessions

_NEEDED: Final[dict[tuple[str | None, str], Scope | None]] = {
    (operation.path, operation.method.upper()): operation.scope for operation in OPERATIONS
}
_NEEDED.update({(page, "GET"): None for page in OPEN_PAGES})
_NEEDED.update({(form, "POST"): None for form in OPEN_FORMS})
_NEEDED.update({(path, "HEAD"): scope for (path, method), scope in tuple(_NEEDED.items()) if method == "GET"})
_SCHEME: Final = "bearer "


class Authentication:
    """Puts the principal into `req.context.principal`, None where everybody is answered, and refuses who may not do what is asked.

    The scope that an operation needs stands in the contract; a route that does not stand there needs that of an administrator.
    """

    def __init__(self, gate: Gate, sessions: Sessions, *, open_metrics: bool) -> None:
        self._gate = gate
        self._sessions = sessions
        self._needed = _NEEDED | ({("/metrics", "GET"): None, ("/metrics", "HEAD"): None} if open_metrics else {})

    async def process_resource(self, req: Request, _: Response, __: object, ___: object) -> None:
        """Raise NotAuthenticated, AccessDenied."""
        needed = self._needed.get((req.uri_template, req.method), Scope.ADMIN)
        if needed is None:
            req.context.principal = None
            return
        credential = _credential(req)
        if credential is None:
            credential = self._sessions.credential(req)
        principal = self._gate.recognise(credential) or await self._gate.ask(credential)
        principal.require(needed)
        req.context.principal = principal


def _credential(req: Request) -> str | None:
    """Return what is shown as a bearer token (RFC 6750); what is shown in another way is no credential, and is refused as such."""
    header = req.get_header("Authorization")
    if header is None:
        return None
    return header[len(_SCHEME) :].strip() if header[: len(_SCHEME)].lower() == _SCHEME else ""
