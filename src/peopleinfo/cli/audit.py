"""`peopleinfo audit`: verify the audit log, or print it as it grows."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Final

import typer

from peopleinfo import signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from peopleinfo.privacy.audit_sink import Head

_POLL_INTERVAL: Final = 0.2  # seconds
_ROTATION_DELAY: Final = 1.0  # seconds for writers that still have the rotated file open
_CHUNK_SIZE: Final = 1024 * 1024  # bytes

app = typer.Typer(
    name="audit",
    help="Verify or follow the audit log (PEOPLEINFO_AUDIT_LOG).",
    no_args_is_help=True,
)


@app.command()
def verify(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Audit log files, oldest first; - reads stdin.", show_default=False),
    ],
) -> None:
    """Verify that no line of the audit log was changed, removed or added. Exit 1 on a violation.

    Each line holds the hash of the previous line of the same process. Pass every file, including rotated ones. The file
    audit.jsonl.heads detects the removal of all or the last lines of a process. A user with write access to both files can forge
    them: ship the log to another system with `peopleinfo audit follow`.

    Example: peopleinfo audit verify audit.jsonl.1 audit.jsonl
    """
    from peopleinfo.privacy.audit_verify import verify as check

    heads = _heads(files)
    result = check((line for file in files for line in _lines(file)), heads)
    for problem in result.problems:
        print(f"FAIL  {problem}")
    if result.problems:
        raise typer.Exit(1)
    complete = sum(chain.ended for chain in result.chains.values())
    print(f"ok    {result.lines} lines of {len(result.chains)} writers, {complete} of them shut down gracefully")
    if not heads:
        print("note  no .heads file: the removal of a writer or of its last lines cannot be detected")


@app.command()
def follow(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Audit log file of the service; it may not exist yet.", show_default=False),
    ],
    rotate_mb: Annotated[
        int,
        typer.Option(
            min=0, help="Rename the file to FILE.1 after this many MB, replacing the previous FILE.1. 0: never."
        ),
    ] = 0,
) -> None:
    """Print the audit log from the start and follow it across rotation until SIGTERM or Ctrl-C.

    With --rotate-mb the file is a queue: the log collector keeps the lines and the disk does not fill up.

    Example: peopleinfo audit follow /audit/audit.jsonl --rotate-mb 64
    """
    for chunk in _follow(file, lambda: bool(signals.received), rotate_mb * _CHUNK_SIZE):
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


def _heads(files: list[Path]) -> dict[str, Head]:
    """Return the last hash of each writer. Read it before the lines: a running service may append to both."""
    from peopleinfo.privacy.audit_sink import read_heads

    heads: dict[str, Head] = {}
    for file in files:
        try:
            heads |= read_heads(file)
        except OSError as error:
            raise typer.BadParameter(f"cannot read {file}.heads: {error.strerror}") from error
    return heads


def _lines(file: Path) -> Iterator[bytes]:
    if file == Path("-"):
        yield from sys.stdin.buffer
        return
    try:
        with file.open("rb") as lines:
            yield from lines
    except OSError as error:
        raise typer.BadParameter(f"cannot read {file}: {error.strerror}") from error


def _follow(path: Path, is_stopped: Callable[[], bool], rotate_size: int) -> Iterator[bytes]:
    """Yield complete lines of the file as they are appended. After `is_stopped`, yield the rest and return.

    Rename the file after `rotate_size` bytes (0: never).
    """
    file: IO[bytes] | None = None
    partial_line = b""
    while True:
        stopped = is_stopped()
        # Check before reading: lines written before the rotation must be read first.
        rotated = file is not None and not _is_current(path, file)
        if rotated:
            time.sleep(_ROTATION_DELAY)
        if file is None and path.exists():
            file = path.open("rb")
        if file is not None:
            while chunk := file.read(_CHUNK_SIZE):
                lines, newline, partial_line = (partial_line + chunk).rpartition(b"\n")
                if newline:
                    yield lines + newline
        if rotated and file is not None:
            file.close()
            file = None
        elif stopped:
            return
        elif (
            rotate_size
            and file is not None
            and file.tell() >= rotate_size
            and path.exists()
            and _is_current(path, file)
        ):
            path.replace(path.with_name(f"{path.name}.1"))
        else:
            time.sleep(_POLL_INTERVAL)


def _is_current(path: Path, file: IO[bytes]) -> bool:
    try:
        current, opened = path.stat(), os.fstat(file.fileno())
    except FileNotFoundError:
        return True  # renamed, and not replaced yet: writers may still append to it
    return os.path.samestat(current, opened) and current.st_size >= file.tell()
