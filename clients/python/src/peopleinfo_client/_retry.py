"""Retry rules of both clients: which failed requests are sent again, and after which delay. No I/O."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, NamedTuple

import httpx

from peopleinfo_client.errors import OUTCOME_UNKNOWN, ConnectionFailed, OutcomeUnknown, problem, problem_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from peopleinfo_client._requests import Request

_FIRST_DELAY: Final = 0.1  # seconds; doubles with every attempt
_MAX_DELAY: Final = 5.0
_MIN_TIMEOUT: Final = 0.05  # seconds: a refused connection is reported only after some milliseconds
_SUCCESS: Final = range(200, 300)
_NOT_FOUND: Final = 404
_PRECONDITION_FAILED: Final = 412
# Statuses of a temporary condition: slow request, rate limit, proxy without a server, server without its store.
_RETRYABLE: Final = frozenset({408, 425, 429, 502, 503, 504})
# Of those, the statuses that guarantee that the server has not processed the request.
_NOT_PROCESSED: Final = frozenset({408, 425, 429, 503})
# Errors that guarantee that the server did not receive the whole request.
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class Response(NamedTuple):
    """A response with its whole body."""

    status: int
    retry_after: str | None
    body: bytes


class RetryState:
    """The attempts of one request, which share a timeout."""

    def __init__(self, request: Request, timeout: float, clock: Callable[[], float]) -> None:
        self._request = request
        self._clock = clock
        self._deadline = clock() + timeout
        self._max_timeout = max(timeout / 3, 1.0)
        self._delay = _FIRST_DELAY
        self._maybe_done = False  # whether the server may have processed an attempt

    @property
    def timeout(self) -> float:
        """Timeout of the next attempt in seconds; it leaves time for another attempt."""
        return max(min(self._deadline - self._clock(), self._max_timeout), _MIN_TIMEOUT)

    def on_error(self, error: httpx.TransportError) -> float:
        """Return the delay before the next attempt in seconds, after an attempt without a response.

        Raises ConnectionFailed when no time is left, and OutcomeUnknown when the server may have made a change.
        """
        sent = not isinstance(error, _NOT_SENT)
        self._maybe_done = self._maybe_done or sent
        message = f"no response to {self._request.method} {self._request.path}: {type(error).__name__}"
        if sent and not self._request.repeatable:
            raise OutcomeUnknown(message) from error
        delay = self._next_delay(None)
        if delay is None:
            raise (OutcomeUnknown if self._maybe_changed else ConnectionFailed)(message) from error
        return delay

    def on_response(self, response: Response, *, final: bool = False) -> float | None:
        """Return the delay before the next attempt in seconds, or None when the request succeeded.

        `final` permits no further attempt.
        Raises the ProblemError of the response, and OutcomeUnknown when the server may have made a change.
        """
        if response.status in _SUCCESS or self._already_deleted(response):
            return None
        error = problem(response.status, response.body)
        if final or response.status not in _RETRYABLE:
            if response.status == _PRECONDITION_FAILED and self._maybe_done and self._request.conditional:
                raise OutcomeUnknown("the person changed, perhaps by an earlier attempt without a response") from error
            raise error
        maybe_done = response.status not in _NOT_PROCESSED or problem_type(response.body) == OUTCOME_UNKNOWN
        self._maybe_done = self._maybe_done or maybe_done
        delay = self._next_delay(response.retry_after) if self._request.repeatable or not maybe_done else None
        if delay is not None:
            return delay
        if self._maybe_changed:
            raise OutcomeUnknown(str(error)) from error
        raise error

    def _already_deleted(self, response: Response) -> bool:
        return self._maybe_done and self._request.method == "DELETE" and response.status == _NOT_FOUND

    @property
    def _maybe_changed(self) -> bool:
        return self._maybe_done and not self._is_read

    @property
    def _is_read(self) -> bool:
        return self._request.method == "GET" or self._request.path.endswith(("/search", "/export"))

    def _next_delay(self, retry_after: str | None) -> float | None:
        """Return the next delay, at least `retry_after` seconds, or None when no time is left for another attempt."""
        delay = random.uniform(self._delay / 2, self._delay)  # noqa: S311 - spreads the retries of many clients
        self._delay = min(2 * self._delay, _MAX_DELAY)
        if retry_after is not None and retry_after.isdigit():
            delay += float(retry_after)
        return delay if self._clock() + delay + _MIN_TIMEOUT < self._deadline else None
