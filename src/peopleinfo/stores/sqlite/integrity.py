"""Integrity checks of whole files; operations detect damage only in the pages they read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from peopleinfo.errors import StoreConfigurationError
from peopleinfo.stores.sqlite.errors import code_of, is_damage
from peopleinfo.stores.sqlite.files import path_of_keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def examine(people: Path) -> Iterator[tuple[Path, str]]:
    """Check every page of the file of people and of the key file.

    Yield each file with its first problem, "" if undamaged. Raises StoreConfigurationError if a file cannot be checked.
    """
    for path in (people, path_of_keys(people)):
        if path.exists():
            yield path, _problem(path)


def _problem(path: Path) -> str:
    try:
        with closing(sqlite3.connect(path)) as db:
            (report,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        if not is_damage(error):
            raise StoreConfigurationError(f"cannot check {path}: {error} ({code_of(error)})") from error
        return f"{error} ({code_of(error)})"
    return "" if report == "ok" else " ".join(report.split())
