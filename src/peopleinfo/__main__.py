"""Run the command line: the command `peopleinfo`, and `python -m peopleinfo`."""

import os
import signal
import sys


def main() -> None:
    """Run the command line."""
    if os.getpid() == 1:
        # The kernel drops a signal to the first process of a container that has no handler for it. A stop while the rest is still being
        # loaded would so be lost, and end in a kill.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from peopleinfo.cli import main as run  # noqa: PLC0415 - loading it takes ten times as long as all before

    run()


if __name__ == "__main__":
    main()
