"""Run the command line: the command `peopleinfo`, and `python -m peopleinfo`."""

import atexit
import os
import signal
import sys
from contextlib import suppress


def main() -> None:
    """Run the command line."""
    if os.getpid() == 1:
        # The kernel drops a signal to the first process of a container that has no handler for it. A stop while the rest is still being
        # loaded would so be lost, and end in a kill.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from peopleinfo.cli import main as run  # noqa: PLC0415 - loading it takes ten times as long as all before

    try:
        run()
    except SystemExit as ending:
        _end(ending)
        raise


def _end(ending: SystemExit) -> None:
    """End at once, with everything done that is to be done at the end, when pyreqwest was in use.

    Its thread may still be letting go of the last answer while the interpreter is taken down, and that aborts the process.
    """
    if "pyreqwest" not in sys.modules or not isinstance(ending.code, int | None):
        return
    atexit._run_exitfuncs()  # noqa: SLF001 - there is no other way to run them
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # whoever read it has seen enough, or it is closed
            stream.flush()
    os._exit(ending.code or 0)


if __name__ == "__main__":
    main()
