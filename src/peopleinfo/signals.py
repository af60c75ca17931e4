"""Termination signals (SIGTERM and SIGINT) of a command, from its first instruction to its last.

One handler receives them all the time; a reaction says what they do in each phase of the command. A signal that arrives while there is no
reaction waits for the next one, so none is lost. This module imports next to nothing: the command needs it before everything else.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn

    Reaction = Callable[[int], None] | None

TERMINATION = (signal.SIGINT, signal.SIGTERM)

received: list[int] = []
"""The termination signals of this process so far."""
_waiting: list[int] = []
_reaction: Reaction = None


class Terminated(SystemExit):
    """A termination signal ends the command: with 0 when that is its purpose, else with the code that a shell reports."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.exit_code = 0 if is_service() else 128 + number
        super().__init__(self.exit_code)

    def __str__(self) -> str:
        return "; ".join([f"ended by {signal.Signals(self.number).name}", *getattr(self, "__notes__", ())])


def is_service() -> bool:
    """Say whether the command runs until a signal ends it."""
    return sys.argv[1:2] == ["serve"] or sys.argv[1:3] == ["audit", "follow"]


def install(reaction: Reaction) -> None:
    """Receive termination signals from now on, including those that were blocked since before the process started."""
    react(reaction)
    for number in TERMINATION:
        signal.signal(number, _receive)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, TERMINATION)


def react(reaction: Reaction) -> Reaction:
    """Replace the reaction to signals (None: they wait) and return the previous one; waiting signals reach the new one at once."""
    global _reaction
    previous, _reaction = _reaction, reaction
    _deliver()
    return previous


def terminate(number: int) -> None:
    """End the command from wherever it is: the reaction of a command that does not serve."""
    raise Terminated(number)


def check() -> None:
    """Raise Terminated when a signal has arrived."""
    if received:
        terminate(received[0])


def exit_by_signal(number: int) -> NoReturn:
    """End the process as the signal does by default."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)  # PID 1 of a container is not ended by its own signal


def _receive(number: int, _: FrameType | None) -> None:
    received.append(number)
    if len(received) > 1:
        exit_by_signal(number)
    _waiting.append(number)
    _deliver()


def _deliver() -> None:
    while _waiting and _reaction is not None:
        _reaction(_waiting.pop())
