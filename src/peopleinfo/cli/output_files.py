"""Files that commands write: for their owner alone, whole or not at all, and never over a file of the store."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from peopleinfo.formats.column_mapping import InvalidInput
from peopleinfo.settings import InvalidSettings

if TYPE_CHECKING:
    from contextlib import ExitStack

    from peopleinfo.settings import Settings

STANDARD: Final = Path("-")


def check(path: Path, settings: Settings) -> None:
    """Check that a file may be written. Raises InvalidSettings for a file of the store, InvalidInput for a folder or in a missing one."""
    from peopleinfo.app import is_store_file

    if is_store_file(path, settings):
        raise InvalidSettings(f"{path} is a file of the store {settings.store_url}: name another file")
    if path.is_dir():
        raise InvalidInput(f"cannot write {path}: it is a directory")
    if not path.parent.is_dir():
        raise InvalidInput(f"cannot write {path}: there is no directory {path.parent}")


def private(path: Path) -> IO[bytes]:
    """Open a new file that its owner alone may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def unused(path: Path) -> Path:
    """Return the path, or one next to it, at which there is no file: an older file of rejects may have been corrected by hand."""
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_suffix(f".{number}{path.suffix}")
    return candidate


def whole(target: Path, settings: Settings, stack: ExitStack) -> IO[bytes]:
    """Open the target of an export: a file that takes its name when it has been written whole."""
    if target == STANDARD:
        stack.push(lambda kind, *_: kind is None and sys.stdout.buffer.flush())
        return sys.stdout.buffer
    import gzip
    from typing import cast

    check(target, settings)
    partial = target.with_name(f".{target.name}.partial")
    stack.callback(partial.unlink, missing_ok=True)
    file = private(partial)

    def finish(kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            with suppress(OSError):  # a full disk, which is reported already
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
