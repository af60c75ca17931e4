"""Entry point of the command `peopleinfo` and of `python -m peopleinfo`."""

import os
import sys

from peopleinfo import signals


def main() -> None:
    """Run the command. Signal handlers are installed first, because importing the command takes up to a second."""
    signals.install(_exit_before_start)
    exit_codes: list[int] = []
    import atexit  # noqa: PLC0415 - not before the signal handlers

    atexit.register(_skip_finalization, exit_codes)  # registered first, so it runs last
    from peopleinfo.cli import main as run  # noqa: PLC0415 - see above

    try:
        run()
    except SystemExit as exit_:
        if isinstance(exit_.code, int | None):
            exit_codes.append(exit_.code or 0)
        raise


def _exit_before_start(number: int) -> None:
    """Exit on a signal that arrives before the command has started."""
    terminated = signals.Terminated(number)
    if terminated.exit_code:
        os.write(2, f"peopleinfo: {terminated}; nothing was done\n".encode())
    os._exit(terminated.exit_code)


def _skip_finalization(exit_codes: list[int]) -> None:
    """If pyreqwest was used, exit without finalizing the interpreter.

    A thread of pyreqwest may still release the last response during finalization, which would abort the process.
    """
    from contextlib import suppress  # noqa: PLC0415 - as above

    if "pyreqwest" not in sys.modules or not exit_codes:
        return
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the stream is closed, or its reader has exited
            stream.flush()
    os._exit(exit_codes[0])


if __name__ == "__main__":
    main()
