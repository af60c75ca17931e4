"""`peopleinfo audit`: check what was written down, and print it as it comes."""

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

_POLL_SECONDS: Final = 0.2
_SETTLED_SECONDS: Final = 1.0  # a writer that had the file open when it was moved away has written by then
_PIECE: Final = 1024 * 1024

app = typer.Typer(
    name="audit",
    help="Check the audit (who read or changed whom; PEOPLEINFO_AUDIT_LOG), and print it as it is written.",
    no_args_is_help=True,
)


@app.command()
def verify(
    files: Annotated[list[Path], typer.Argument(help="The files of the audit, oldest first; - is stdin.")],
) -> None:
    """Check that no line was changed, left out, cut off or added; exits 1 when one was.

    Each line has the hash of the previous one of the same process, so this needs every file from its start: give rotated files too, oldest
    first. The register beside the file (audit.jsonl.heads) shows that all lines of a process, or its last ones, were removed. Whoever may
    write both files can rewrite them as a whole: send the audit elsewhere as it is written (`peopleinfo audit follow`).

    Example: peopleinfo audit verify audit.jsonl.1 audit.jsonl
    """
    from peopleinfo.privacy.audit_verify import verify as check

    heads = _heads(files)
    found = check((line for file in files for line in _lines(file)), heads)
    for problem in found.problems:
        print(f"FAIL  {problem}")
    if found.problems:
        raise typer.Exit(1)
    ended = sum(chain.ended for chain in found.chains.values())
    print(f"ok    {found.lines} lines of {len(found.chains)} writers, {ended} of which ended in good order")
    if not heads:
        print(
            "note  there is no register (.heads) beside the files: a missing writer or a cut-off end would not be found"
        )


@app.command()
def follow(
    file: Annotated[Path, typer.Argument(help="The file that the service writes; it need not be there yet.")],
    rotate_mb: Annotated[
        int, typer.Option(min=0, help="Move the file away to FILE.1, over the one before, when so many MB are printed.")
    ] = 0,
) -> None:
    """Print the audit from its beginning and then as it is written, across rotation, until it is told to end (SIGTERM, Ctrl-C).

    With --rotate-mb the file is a queue and no archive: what was printed is kept by whoever takes it, and the disk never fills.

    Example: peopleinfo audit follow /audit/audit.jsonl --rotate-mb 64
    """
    for piece in _followed(file, lambda: bool(signals.received), rotate_mb * _PIECE):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


def _heads(files: list[Path]) -> dict[str, Head]:
    """Return the registered writers. They are read before the lines: a service may go on writing."""
    from peopleinfo.privacy.audit_sink import read_heads

    heads: dict[str, Head] = {}
    for file in files:
        try:
            heads |= read_heads(file)
        except OSError as error:
            raise typer.BadParameter(f"cannot read the register of {file}: {error.strerror}") from error
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


def _followed(path: Path, is_over: Callable[[], bool], most: int) -> Iterator[bytes]:
    """Yield what is in the file, whole lines at a time, and what comes, until `is_over`; what is there by then is yielded still.

    A file of which `most` bytes were yielded is moved away (0: none is).
    """
    reading: IO[bytes] | None = None
    part = b""
    while True:
        last = is_over()
        # Asked before the file is read to its end: what was written to it before it was moved away is read first.
        moved = reading is not None and not _is_at(path, reading)
        if moved:
            time.sleep(_SETTLED_SECONDS)
        if reading is None and path.exists():
            reading = path.open("rb")
        if reading is not None:
            while piece := reading.read(_PIECE):
                whole, newline, rest = (part + piece).rpartition(b"\n")
                part = rest
                if newline:
                    yield whole + newline
        if moved and reading is not None:
            reading.close()
            reading = None
        elif last:
            return
        elif most and reading is not None and reading.tell() >= most and path.exists() and _is_at(path, reading):
            path.replace(path.with_name(f"{path.name}.1"))
        else:
            time.sleep(_POLL_SECONDS)


def _is_at(path: Path, reading: IO[bytes]) -> bool:
    try:
        there, open_ = path.stat(), os.fstat(reading.fileno())
    except FileNotFoundError:
        return True  # moved away, and the new one is not there yet: the old one may still be written to
    return os.path.samestat(there, open_) and there.st_size >= reading.tell()
