"""Files that commands write: with mode 0600, atomically, and never over a file of the store."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from peopleinfo.errors import InvalidInput, InvalidSettings

if TYPE_CHECKING:
    from contextlib import ExitStack

    from peopleinfo.settings import Settings

STANDARD: Final = Path("-")


def check(path: Path, settings: Settings) -> None:
    """Check that a file is writable. Raises InvalidSettings for a file of the store, InvalidInput for a directory or a missing parent."""
    from peopleinfo.stores.registry import is_store_file

    if is_store_file(path, settings):
        raise InvalidSettings(f"{path} is a file of the store {settings.store_url}: name another file")
    if path.is_dir():
        raise InvalidInput(f"cannot write {path}: it is a directory")
    if not path.parent.is_dir():
        raise InvalidInput(f"cannot write {path}: directory {path.parent} does not exist")


def open_private(path: Path) -> IO[bytes]:
    """Open a file for writing with mode 0600."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def unused_path(path: Path) -> Path:
    """Return the path, or one with a number if it exists: the user may have corrected an older file of rejects."""
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_suffix(f".{number}{path.suffix}")
    return candidate


def open_atomic(target: Path, settings: Settings, stack: ExitStack) -> IO[bytes]:
    """Open the target of an export; a file gets its name when it is complete."""
    if target == STANDARD:
        stack.push(lambda kind, *_: kind is None and sys.stdout.buffer.flush())
        return sys.stdout.buffer
    import gzip
    from typing import cast

    check(target, settings)
    partial = target.with_name(f".{target.name}.partial")
    stack.callback(partial.unlink, missing_ok=True)
    file = open_private(partial)

    def finish(kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            with suppress(OSError):  # the disk is full; the caller reports it
                file.close()
            return
        with file:
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)

    stack.push(finish)
    if target.suffix == ".gz":
        return cast("IO[bytes]", stack.enter_context(gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6)))
    return file
