"""A writer connection that fails at a chosen statement, with an error of SQLite or of the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from peopleinfo.stores.sqlite.store import SqliteStore

    Fault = Callable[[str], Exception | None]

_CLEANUP = ("ROLLBACK", "PRAGMA")


class FailingConnection:
    """Forwards statements to a real connection. `before` and `after` receive each one and return an error to raise, or None."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.before: Fault = _no_fault
        self.after: Fault = _no_fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def execute(self, statement: str, *values: Any) -> Any:
        return self._run(self._db.execute, statement, *values)

    def executemany(self, statement: str, rows: Any) -> Any:
        return self._run(self._db.executemany, statement, rows)

    def clear(self) -> None:
        """Stop failing."""
        self.before = self.after = _no_fault

    def _run(self, run: Callable[..., Any], statement: str, *values: Any) -> Any:
        if statement.startswith(_CLEANUP):
            return run(statement, *values)
        if error := self.before(statement):
            raise error
        cursor = run(statement, *values)
        # SQLite never reports a successful commit as failed.
        if statement != "COMMIT" and (error := self.after(statement)):
            cursor.close()  # a failed statement is not in progress
            raise error
        return cursor


class Nth:
    """Raises an error at statement `number`, counted from 0; `passed` counts the statements."""

    def __init__(self, number: int, error: Callable[[], Exception]) -> None:
        self._number = number
        self._error = error
        self.passed = 0

    @property
    def was_raised(self) -> bool:
        """Whether the error was raised."""
        return self.passed > self._number

    def __call__(self, _: str) -> Exception | None:
        self.passed += 1
        return self._error() if self.passed == self._number + 1 else None


def make_writer_fail(store: SqliteStore) -> FailingConnection:
    """Replace the writer connection of an open store with a failing one, and return it."""
    connection = FailingConnection(store._writer._db)
    store._writer._db = connection  # type: ignore[assignment] # has all methods that the writer calls
    return connection


def _no_fault(_: str) -> None:
    return None
