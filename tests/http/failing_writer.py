"""`peopleinfo` with an SQLite writer that fails as the file `fault` in the working folder specifies: `python failing_writer.py serve`."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peopleinfo.__main__ import main
from peopleinfo.errors import StoreConfigurationError
from peopleinfo.http import imports
from peopleinfo.stores.sqlite import factory
from tests.failing_sqlite import FailingConnection

if TYPE_CHECKING:
    from collections.abc import Callable

ERRORS: dict[str, Callable[[], Exception]] = {
    "sqlite": lambda: sqlite3.OperationalError("disk I/O error"),
    "domain": lambda: StoreConfigurationError("rejected by the test"),
}
_writing = factory._open_writer


class Fault:
    """Fail once, at the statement with the number in the file; the count starts when the file changes."""

    def __init__(self) -> None:
        self._order = ""
        self._count = 0

    def __call__(self, _: str) -> Exception | None:
        order = Path("fault").read_text() if Path("fault").exists() else ""
        if order != self._order:
            self._order, self._count = order, 0
        self._count += 1
        number, _, error = order.partition(" ")
        if not error or self._count != int(number):
            return None
        Path("fault.met").write_text(order)
        return ERRORS[error]()


def writing(*arguments: Any, **options: Any) -> Any:
    connection = FailingConnection(_writing(*arguments, **options))
    connection.before = Fault()
    return connection


if __name__ == "__main__":
    factory._open_writer = writing
    imports._BATCH_ROWS = 2  # type: ignore[misc] # several transactions per import
    main()
