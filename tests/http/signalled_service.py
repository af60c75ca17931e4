"""`peopleinfo serve` that sends itself a signal at its n-th call of a function: `python signalled.py N SIGNAL`.

Calls are moments that do not depend on how fast the machine is. At its end it prints how many there were.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys

from peopleinfo import __main__ as command
from peopleinfo import signals


def main() -> None:
    moment, number = int(sys.argv[1]), signal.Signals[sys.argv[2]]
    sys.argv[1:] = ["serve"]
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"
        if calls == moment and event == "call":
            os.kill(os.getpid(), number)

    install = signals.install

    def installed(reaction: signals.Reaction) -> None:
        install(reaction)
        atexit.register(lambda: print(calls, flush=True))  # noqa: T201 - for the test
        sys.setprofile(count)

    signals.install = installed
    command.main()


if __name__ == "__main__":
    main()
