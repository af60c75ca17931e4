"""Termination signals (SIGTERM and SIGINT) during the whole run of a command.

One handler receives them at all times, and calls the current reaction, which depends on the phase of the command. A signal that arrives
while there is no reaction is pending until the next one, so none is lost. This module imports little, because the command imports it first.
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
"""The termination signals that this process has received."""
_pending: list[int] = []
_reaction: Reaction = None


class Terminated(SystemExit):
    """A termination signal ends the command. The exit code is 0 for a service, else 128 plus the signal number."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.exit_code = 0 if is_service() else 128 + number
        super().__init__(self.exit_code)

    def __str__(self) -> str:
        return "; ".join([f"ended by {signal.Signals(self.number).name}", *getattr(self, "__notes__", ())])


def is_service() -> bool:
    """Return whether the command runs until a signal ends it."""
    return sys.argv[1:2] == ["serve"] or sys.argv[1:3] == ["audit", "follow"]


def install(reaction: Reaction) -> None:
    """Install the handler of termination signals, and unblock them if the parent process had blocked them."""
    react(reaction)
    for number in TERMINATION:
        signal.signal(number, _receive)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, TERMINATION)


def react(reaction: Reaction) -> Reaction:
    """Replace the reaction (None: signals are pending) and return the previous one. The new one gets pending signals at once."""
    global _reaction
    previous, _reaction = _reaction, reaction
    _deliver()
    return previous


def terminate(number: int) -> None:
    """Raise Terminated: the reaction of a command that is not a service."""
    raise Terminated(number)


def check() -> None:
    """Raise Terminated if a signal was received."""
    if received:
        terminate(received[0])


def exit_by_signal(number: int) -> NoReturn:
    """End the process with the default action of a signal."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)  # for PID 1 of a container, which the kernel protects from its own signals


def _receive(number: int, _: FrameType | None) -> None:
    received.append(number)
    if len(received) > 1:
        exit_by_signal(number)
    _pending.append(number)
    _deliver()


def _deliver() -> None:
    while _pending and _reaction is not None:
        _reaction(_pending.pop())
