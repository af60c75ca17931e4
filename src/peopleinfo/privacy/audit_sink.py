"""Output of the audit log: a file that several processes append to, or stdout, and a register of the writers."""

from __future__ import annotations

import errno
import os
import re
import select
import stat
import sys
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_UN, flock
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINE_SIZE: Final = 4_096  # bytes that a write to a pipe does not split (PIPE_BUF on Linux)
# Bytes that must be free before a change, for its lines and those of concurrent changes.
RESERVE_SIZE: Final = 64 * 1024
_FILE_MODE: Final = 0o600  # access for the owner only
_PIPE_TIMEOUT: Final = 100  # milliseconds to wait for the reader of a full pipe
_HEAD: Final = re.compile(r"([0-9a-f]{16}) ( *\d{1,20}) ([0-9a-f]{64})\n", re.ASCII)


class Sink:
    """Writes complete lines to a file, which it creates if missing, or to stdout if `path` is None. Methods raise OSError."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: int | None = None

    def open(self) -> bool:
        """Open the file unless it is open, and return whether it was opened now. After a rotation, create a new file."""
        path = self._path
        if path is None or (self._file is not None and is_same_file(path, self._file)):
            return False
        self.close()
        # O_NONBLOCK: open() would block on a named pipe without a reader. O_WRONLY: with O_RDWR it would succeed without one.
        access = os.O_WRONLY if path.is_fifo() else os.O_RDWR
        self._file = os.open(path, access | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, _FILE_MODE)
        return True

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def reserve(self) -> None:
        """Raise OSError unless `RESERVE_SIZE` bytes can be written."""
        file = self._descriptor()
        if _is_regular(file):
            free = os.fstatvfs(file)
            if free.f_bavail * free.f_frsize < RESERVE_SIZE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        else:
            _require_reader(file, timeout=0)

    def write(self, lines: list[bytes], *, wait: bool) -> int:
        """Write some of the lines, at least the first, and return how many. Never leaves a partial line.

        `wait`: wait for the reader of a full pipe.
        """
        file = self._descriptor()
        if not _is_regular(file):
            _require_reader(file, timeout=_PIPE_TIMEOUT if wait else 0)
            os.write(file, lines[0])
            return 1
        text = b"".join(lines)
        with _locked(file):
            _end_line(file)
            written = os.write(file, text)
            if written < len(text):  # disk full: undo this write, not those of other processes
                os.ftruncate(file, os.fstat(file).st_size - written)
                os.lseek(file, -written, os.SEEK_CUR)  # for a stdout without O_APPEND
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return len(lines)

    def _descriptor(self) -> int:
        self.open()
        if self._file is not None:
            return self._file
        sys.stdout.buffer.flush()  # buffered log lines come first
        return sys.stdout.fileno()


class Head(NamedTuple):
    """The last line of a writer: its number (0: no lines) and its SHA-256."""

    seq: int
    digest: str


class Heads:
    """The register of the writers of an audit file, with the last line of each, for example `audit.jsonl.heads`.

    It reveals that all lines of a writer, or the last ones, were removed.
    """

    def __init__(self, path: Path, writer: str) -> None:
        self._path = heads_path(path)
        self._writer = writer
        self._file: int | None = None
        self._offset = 0

    def open(self, head: Head) -> None:
        """Register the writer unless the current file contains it. Raises OSError."""
        if self._file is not None and is_same_file(self._path, self._file):
            return
        self.close()
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        with _locked(self._file):
            self._offset = os.fstat(self._file).st_size
            self.update(head)

    def update(self, head: Head) -> None:
        """Store the writer's last line. Raises OSError."""
        if self._file is not None:
            os.pwrite(self._file, f"{self._writer} {head.seq:20} {head.digest}\n".encode(), self._offset)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def heads_path(path: Path) -> Path:
    """Return the path of the register of an audit file."""
    return path.with_name(f"{path.name}.heads")


def read_heads(path: Path) -> dict[str, Head]:
    """Return the registered writers of an audit file with the last line of each; empty without a register. Raises OSError."""
    try:
        text = heads_path(path).read_text("ascii", errors="replace")
    except FileNotFoundError:
        return {}
    return {writer: Head(int(seq), digest) for writer, seq, digest in _HEAD.findall(text)}


def is_same_file(path: Path, file: int) -> bool:
    """Return whether a path leads to an open file. Raises OSError if the path cannot be resolved."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _is_regular(file: int) -> bool:
    return stat.S_ISREG(os.fstat(file).st_mode)


def _require_reader(file: int, *, timeout: int) -> None:
    """Raise OSError unless a write to a pipe would not block. `timeout` is in milliseconds."""
    poll = select.poll()
    poll.register(file, select.POLLOUT)
    events = poll.poll(timeout)
    if not events:
        raise OSError(errno.EAGAIN, "the pipe is full")
    if events[0][1] & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
        raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))


@contextmanager
def _locked(file: int) -> Iterator[None]:
    """Lock the file against other writers for the duration of the context."""
    flock(file, LOCK_EX)
    try:
        yield
    finally:
        flock(file, LOCK_UN)


def _end_line(file: int) -> None:
    """Terminate a last line that a crash left incomplete. A redirected stdout is write-only, so it is not checked."""
    size = os.fstat(file).st_size
    with suppress(OSError):
        if size and os.pread(file, 1, size - 1) != b"\n":
            os.write(file, b"\n")
