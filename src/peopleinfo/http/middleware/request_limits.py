"""Rate limits of requests and failed authentications: the costs, and the headers (draft-ietf-httpapi-ratelimit-headers)."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from peopleinfo.auth.principal import ANONYMOUS, Scope
from peopleinfo.auth.rate_limit import MAX_FAILURES, MAX_PUBLIC_REQUESTS, TokenBuckets
from peopleinfo.http.client_address import client_address, network

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from falcon.asgi import Request, Response

    from peopleinfo.auth.principal import Principal
    from peopleinfo.http.openapi.operation_types import Operation

_BULK_COSTS: Final = {
    "exportPeople": 100,
    "exportFound": 100,
    "importPeople": 100,
    "undoImport": 100,
    "exportPerson": 100,
}
_CHEAP_OPERATIONS: Final = frozenset({"getPerson", "getPeople", "getMetrics", "readPatient"})


def cost(operation: Operation) -> int:
    """Return the cost of an operation in units."""
    if operation.name in _BULK_COSTS:
        return _BULK_COSTS[operation.name]
    if operation.scope in (Scope.WRITE, Scope.MERGE, Scope.ADMIN):
        return 10
    return 1 if operation.name in _CHEAP_OPERATIONS else 5


class RateLimiter:
    """Limits the requests of principals and the failed authentications of networks."""

    def __init__(self, per_minute: int, *, limit_anonymous: bool, proxies: int) -> None:
        """Grant `per_minute` units to each principal; with `limit_anonymous`, also to each anonymous network."""
        self.rates = TokenBuckets(per_minute)
        """The units of principals."""
        self._failures = TokenBuckets(MAX_FAILURES)
        self._public = TokenBuckets(MAX_PUBLIC_REQUESTS)
        self._limit_anonymous = limit_anonymous
        self._proxies = proxies
        self._policy = f'"default";q={per_minute};w=60'
        self._half = per_minute / 2

    def charge(self, req: Request, resp: Response, principal: Principal, units: int) -> None:
        """Charge the cost of a request to its principal. Raises RateLimitExceeded.

        The response has RateLimit headers only if less than half of the quota is left; setting them costs as much as counting.
        """
        if principal is ANONYMOUS:
            if not self._limit_anonymous:
                return
            bucket = "@" + self.network(req)
        else:
            bucket = principal.name
        left = self.rates.consume(bucket, units)
        if left < self._half:
            seconds = self.rates.seconds_until(left, self.rates.per_minute)
            resp.set_header("RateLimit-Policy", self._policy)
            resp.set_header("RateLimit", f'"default";r={int(left)};t={seconds}')

    def spend(self, principal: Principal, units: int, client: str) -> bool:
        """Charge a principal, or the network of an anonymous `client`, if its response needs no RateLimit headers; return whether."""
        if principal is not ANONYMOUS:
            return self.rates.spend(principal.name, units, keeping=self._half)
        return not self._limit_anonymous or self.rates.spend("@" + network(client), units, keeping=self._half)

    def refund(self, principal: Principal, units: int, client: str) -> None:
        """Return units that `spend` charged."""
        if principal is not ANONYMOUS:
            self.rates.refund(principal.name, units)
        elif self._limit_anonymous:
            self.rates.refund("@" + network(client), units)

    def count_public(self, req: Request) -> None:
        """Count a request of a public route for its network. Raises RateLimitExceeded."""
        self._public.consume(self.network(req), 1)

    @contextmanager
    def count_failures(self, req: Request, *failures: type[Exception]) -> Iterator[None]:
        """Count the enclosed block as a failed authentication of the request's network if it raises one of `failures`.

        Raises RateLimitExceeded before the block if the network has failed too often.
        """
        network = self.network(req)
        self._failures.check(network, 1)
        try:
            yield
        except failures:
            self._failures.consume(network, 1)
            raise

    def network(self, req: Request) -> str:
        """Return the network of the client: an IPv4 address, or the /64 of an IPv6 address."""
        return network(client_address(req, self._proxies))


def count_failures(
    rate_limiter: RateLimiter | None, req: Request, *failures: type[Exception]
) -> AbstractContextManager[None]:
    """Return `RateLimiter.count_failures`, or a null context without rate rate_limiter."""
    return nullcontext() if rate_limiter is None else rate_limiter.count_failures(req, *failures)
