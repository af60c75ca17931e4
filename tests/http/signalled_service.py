"""`peopleinfo serve` that sends itself a signal at its n-th function call: `python signalled_service.py N SIGNAL`.

The number of calls does not depend on the speed of the machine. The process prints it at exit.
"""

from __future__ import annotations

import os
import signal
import sys

from peopleinfo import __main__ as command
from peopleinfo import signals


def main() -> None:
    at_call, signal_number = int(sys.argv[1]), signal.Signals[sys.argv[2]]
    sys.argv[1:] = ["serve"]
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"
        if calls == at_call and event == "call":
            os.kill(os.getpid(), signal_number)

    install = signals.install

    def installed(reaction: signals.Reaction) -> None:
        install(reaction)
        sys.setprofile(count)

    skip = command._skip_finalization

    def print_calls(exit_codes: list[int]) -> None:
        print(calls, flush=True)  # noqa: T201 - for the test
        skip(exit_codes)

    signals.install, command._skip_finalization = installed, print_calls
    command.main()


if __name__ == "__main__":
    main()
