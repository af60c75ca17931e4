"""How much each may ask for over HTTP: what a request costs, and what is said of it (RateLimit headers, draft-ietf-httpapi-ratelimit-headers)."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from peopleinfo.auth.principal import ANONYMOUS, Scope
from peopleinfo.auth.rate_limit import TokenBuckets
from peopleinfo.http.client_address import client_address, network

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from falcon.asgi import Request, Response

    from peopleinfo.auth.principal import Principal
    from peopleinfo.http.operations import Operation

GUESSES: Final = 30  # a minute and network: credentials that turn out to be none
OPEN_REQUESTS: Final = 6_000  # a minute and network: requests of routes that need no credential
_OF_MANY: Final = {"exportPeople": 100, "exportFound": 100, "importPeople": 100, "exportPerson": 100}
_OF_ONE: Final = frozenset({"getPerson", "getMetrics"})


def cost(operation: Operation) -> int:
    """Return how many units a request for an operation costs."""
    if operation.name in _OF_MANY:
        return _OF_MANY[operation.name]
    if operation.scope in (Scope.WRITE, Scope.ADMIN):
        return 10
    return 1 if operation.name in _OF_ONE else 5


class RateLimiter:
    """Counts what principals ask for, and what networks guess."""

    def __init__(self, per_minute: int, *, anybody: bool, proxies: int) -> None:
        """Grant `per_minute` units; `anybody`: those who show nothing are counted too, by their address."""
        self.rates = TokenBuckets(per_minute)
        """What principals may take."""
        self._guesses = TokenBuckets(GUESSES)
        self._open = TokenBuckets(OPEN_REQUESTS)
        self._anybody = anybody
        self._proxies = proxies
        self._policy = f'"default";q={per_minute};w=60'
        self._half = per_minute / 2

    def charge(self, req: Request, resp: Response, principal: Principal, units: int) -> None:
        """Count a request that costs so many units, and say in the answer what is left when it is less than half. Raises RateExceeded.

        Each header costs about as much as the counting itself, and who asks for little has no use for them: the draft leaves it to the server.
        """
        if principal is ANONYMOUS:
            if not self._anybody:
                return
            who = "@" + self.network(req)
        else:
            who = principal.name
        left = self.rates.consume(who, units)
        if left < self._half:
            seconds = self.rates.seconds_until(left, self.rates.per_minute)
            resp.set_header("RateLimit-Policy", self._policy)
            resp.set_header("RateLimit", f'"default";r={int(left)};t={seconds}')

    def count_open(self, req: Request) -> None:
        """Count a request of a route that needs no credential by its network. Raises RateExceeded."""
        self._open.consume(self.network(req), 1)

    @contextmanager
    def guessing(self, req: Request, *failures: type[Exception]) -> Iterator[None]:
        """Count what is done meanwhile as a guess of the request's network if one of these `failures` ends it.

        Raises RateExceeded when the network has guessed too often: nothing is done then.
        """
        network = self.network(req)
        self._guesses.check(network, 1)
        try:
            yield
        except failures:
            self._guesses.consume(network, 1)
            raise

    def network(self, req: Request) -> str:
        """Return the network that a request came from: an IPv4 address, or the /64 of an IPv6 address."""
        return network(client_address(req, self._proxies))


def guessing(limits: RateLimiter | None, req: Request, *failures: type[Exception]) -> AbstractContextManager[None]:
    """Count a guess as `Limits.guessing` does, where there are limits."""
    return nullcontext() if limits is None else limits.guessing(req, *failures)
