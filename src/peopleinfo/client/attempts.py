"""When a call is made again, and when that would not be safe: the rules of both clients. No I/O, no clock but the given one."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, NamedTuple

import httpx

from peopleinfo.client.errors import UNKNOWN_OUTCOME, OutcomeUnknown, Unreachable, kind_of, problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from peopleinfo.client.calls import Call

_FIRST_DELAY: Final = 0.1  # seconds; doubles with every attempt
_LONGEST_DELAY: Final = 5.0
_SHORTEST: Final = 0.05  # seconds: a shorter attempt ends before a connection is refused
_OK: Final = range(200, 300)
_GONE: Final = 404
_CONFLICT: Final = 412
# Answers after which the same request may be answered: slow body, throttled, a proxy without a server, the service without its store.
_AGAIN: Final = frozenset({408, 425, 429, 502, 503, 504})
# Of those the ones that come from the service, or a proxy that did not reach it: surely nothing was done.
_REFUSED: Final = frozenset({408, 425, 429, 503})
# The request had not left, or not whole.
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class Answer(NamedTuple):
    """What the service answered; `body` is whole, but for streams that are still to be read."""

    status: int
    retry_after: str | None
    body: bytes


class Attempts:
    """The attempts of one call, within `seconds` in all."""

    def __init__(self, call: Call, seconds: float, clock: Callable[[], float]) -> None:
        self._call = call
        self._clock = clock
        self._deadline = clock() + seconds
        self._longest = max(seconds / 3, 1.0)
        self._delay = _FIRST_DELAY
        self._unheard = False  # whether an attempt may have been done without our hearing of it

    @property
    def left(self) -> float:
        """The seconds that the next attempt may take: not all that are left, so that there is time for another one."""
        return max(min(self._deadline - self._clock(), self._longest), _SHORTEST)

    def failed(self, error: httpx.TransportError | TimeoutError) -> float:
        """Note that no answer came, and return the seconds to wait before the next attempt.

        Raises Unreachable, and OutcomeUnknown when a change may have been made.
        """
        sent = not isinstance(error, _NOT_SENT)
        self._unheard = self._unheard or sent
        told = f"no answer to {self._call.method} {self._call.path}: {type(error).__name__}"
        if sent and not self._call.repeatable:
            raise OutcomeUnknown(told) from error
        pause = self._pause(None)
        if pause is None:
            raise (OutcomeUnknown if self._unheard and not self._reads else Unreachable)(told) from error
        return pause

    def answered(self, answer: Answer, *, final: bool = False) -> float | None:
        """Return the seconds to wait before the next attempt, None when the answer is the one that was asked for.

        `final`: there will be no other attempt.
        Raises the ProblemError of the answer, and OutcomeUnknown when an attempt that was not heard of may have been done.
        """
        if answer.status in _OK:
            return None
        if self._unheard and self._call.method == "DELETE" and answer.status == _GONE:
            return None  # an attempt of ours was done, or somebody else has erased the person: it is gone
        refused = problem(answer.status, answer.body)
        if final or answer.status not in _AGAIN:
            if answer.status == _CONFLICT and self._unheard and self._call.conditional:
                raise OutcomeUnknown("the person has changed, perhaps by an attempt whose answer was lost") from refused
            raise refused
        done = answer.status not in _REFUSED or kind_of(answer.body) == UNKNOWN_OUTCOME
        self._unheard = self._unheard or done
        pause = self._pause(answer.retry_after) if self._call.repeatable or not done else None
        if pause is None:
            if self._unheard and not self._reads:
                raise OutcomeUnknown(str(refused)) from refused
            raise refused
        return pause

    def _pause(self, asked: str | None) -> float | None:
        """Return how long to wait, at least as long as the service asked; None when there is no time for another attempt."""
        delay = random.uniform(self._delay / 2, self._delay)  # noqa: S311 - spreads retries
        self._delay = min(2 * self._delay, _LONGEST_DELAY)
        if asked is not None and asked.isdigit():
            delay += float(asked)
        return delay if self._clock() + delay + _SHORTEST < self._deadline else None

    @property
    def _reads(self) -> bool:
        return self._call.method == "GET" or self._call.path.endswith(("/search", "/export"))
