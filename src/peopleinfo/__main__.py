"""Run the command line: the command `peopleinfo`, and `python -m peopleinfo`."""

import os
import sys

from peopleinfo import signals


def main() -> None:
    """Run the command line. The first instruction installs the handler of termination signals: loading the rest takes a second."""
    signals.install(_leave)
    from peopleinfo.cli import main as run  # noqa: PLC0415 - see above

    try:
        run()
    except SystemExit as ending:
        _end(ending)
        raise


def _leave(number: int) -> None:
    """End a command that has not started its work."""
    ended = signals.Terminated(number)
    if ended.exit_code:
        os.write(2, f"peopleinfo: {ended}; nothing was done\n".encode())
    os._exit(ended.exit_code)


def _end(ending: SystemExit) -> None:
    """End at once, with everything done that is to be done at the end, when pyreqwest was in use.

    Its thread may still be letting go of the last answer while the interpreter is taken down, and that aborts the process.
    """
    import atexit  # noqa: PLC0415 - not before the signals
    from contextlib import suppress  # noqa: PLC0415 - likewise

    if "pyreqwest" not in sys.modules or not isinstance(ending.code, int | None):
        return
    atexit._run_exitfuncs()  # noqa: SLF001 - there is no other way to run them
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # whoever read it has seen enough, or it is closed
            stream.flush()
    os._exit(ending.code or 0)


if __name__ == "__main__":
    main()
