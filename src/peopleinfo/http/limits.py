"""How much each may ask for over HTTP: what a request costs, and what is said of it (RateLimit headers, draft-ietf-httpapi-ratelimit-headers)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from peopleinfo.access import ANYBODY, Scope
from peopleinfo.http.addresses import client_address, network
from peopleinfo.rates import Rates

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.access import Principal
    from peopleinfo.http.contract import Operation

GUESSES: Final = 30  # a minute and network: credentials that turn out to be none
_OF_MANY: Final = {"exportPeople": 100, "exportFound": 100, "importPeople": 100, "exportPerson": 100}
_OF_ONE: Final = frozenset({"getPerson", "getMetrics"})


def units(operation: Operation) -> int:
    """Return how many units a request for an operation costs."""
    if operation.name in _OF_MANY:
        return _OF_MANY[operation.name]
    if operation.scope in (Scope.WRITE, Scope.ADMIN):
        return 10
    return 1 if operation.name in _OF_ONE else 5


class Limits:
    """Counts what principals ask for, and what networks guess."""

    def __init__(self, per_minute: int, *, anybody: bool, proxies: int) -> None:
        """Grant `per_minute` units; `anybody`: those who show nothing are counted too, by their address."""
        self.rates = Rates(per_minute)
        """What principals may take."""
        self._guesses = Rates(GUESSES)
        self._anybody = anybody
        self._proxies = proxies
        self._policy = f'"default";q={per_minute};w=60'
        self._half = per_minute / 2

    def count(self, req: Request, resp: Response, principal: Principal, units: int) -> None:
        """Count a request that costs so many units, and say in the answer what is left when it is less than half. Raises RateExceeded.

        Each header costs about as much as the counting itself, and who asks for little has no use for them: the draft leaves it to the server.
        """
        if principal is ANYBODY:
            if not self._anybody:
                return
            who = "@" + self.network(req)
        else:
            who = principal.name
        left = self.rates.take(who, units)
        if left < self._half:
            seconds = self.rates.seconds_until(left, self.rates.per_minute)
            resp.set_header("RateLimit-Policy", self._policy)
            resp.set_header("RateLimit", f'"default";r={int(left)};t={seconds}')

    def guess(self, network: str) -> None:
        """Count a credential that turned out to be none. Raises RateExceeded when there were too many from there."""
        self._guesses.take(network, 1)

    def require_guess(self, network: str) -> None:
        """Raise RateExceeded when a network has guessed too often to be listened to now."""
        self._guesses.require(network, 1)

    def network(self, req: Request) -> str:
        """Return the network that a request came from: an IPv4 address, or the /64 of an IPv6 address."""
        return network(client_address(req, self._proxies))
