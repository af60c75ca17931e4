"""A connection of the writer that fails at a statement of the test's choice, as a broken disk or a refusal of the domain does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from peopleinfo.stores.sqlite.store import SqliteStore

    Fault = Callable[[str], Exception | None]

_CLEANUP = ("ROLLBACK", "PRAGMA")


class FailingConnection:
    """Passes statements on to a real connection. `before` and `after` see each one and return the error to raise, or None."""

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
        """Let every statement pass again."""
        self.before = self.after = _no_fault

    def _run(self, run: Callable[..., Any], statement: str, *values: Any) -> Any:
        if statement.startswith(_CLEANUP):
            return run(statement, *values)
        if error := self.before(statement):
            raise error
        done = run(statement, *values)
        # SQLite reports no failure of a commit that it made.
        if statement != "COMMIT" and (error := self.after(statement)):
            done.close()  # a statement that failed is not in progress
            raise error
        return done


class Nth:
    """A fault at statement number `number`, counted from 0, and at no other; `passed` counts the statements."""

    def __init__(self, number: int, error: Callable[[], Exception]) -> None:
        self._number = number
        self._error = error
        self.passed = 0

    @property
    def was_raised(self) -> bool:
        """Whether there were enough statements for the fault."""
        return self.passed > self._number

    def __call__(self, _: str) -> Exception | None:
        self.passed += 1
        return self._error() if self.passed == self._number + 1 else None


def make_writer_fail(store: SqliteStore) -> FailingConnection:
    """Put a failing connection into the writer of an open store, and return it."""
    connection = FailingConnection(store._writer._db)
    store._writer._db = connection  # type: ignore[assignment] # it has whatever the writer uses
    return connection


def _no_fault(_: str) -> None:
    return None
