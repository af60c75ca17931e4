"""Translation of SQLite errors to store errors. Damage to a file is logged once and reported until the process ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from peopleinfo.errors import StoreDamaged, StoreUnavailable, Unavailable

if TYPE_CHECKING:
    import sqlite3

_DAMAGE: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_DECRYPTION: Final = "user-defined function"  # in SQLite's message if the function that decrypts a record raised
_REASONS: Final = {  # prefix of SQLite's error code → message, retry delay in seconds
    "SQLITE_BUSY": ("another process holds the database", 1),
    "SQLITE_FULL": ("the disk is full", 30),
    "SQLITE_READONLY": ("the store's files, or their file system, are read-only", 30),
    "SQLITE_IOERR": ("the disk reports an error ({}): see the log of the operating system", 30),
}
_log = structlog.get_logger("peopleinfo.stores.sqlite")


class ErrorTranslator:
    """Translates the errors of an open store."""

    def __init__(self) -> None:
        self.damage: StoreDamaged | None = None
        """The first damage found by an operation."""

    def translate(self, error: sqlite3.Error) -> Unavailable:
        """Return the store error for a SQLite error."""
        translated = self._translated(error, code_of(error))
        translated.__cause__ = error
        return translated

    def report_damage(self, problem: str, code: str) -> StoreDamaged:
        """Return the error for damage; log the first one in this process."""
        damage = StoreDamaged(problem)
        if self.damage is None:
            self.damage = damage
            _log.error("store_damaged", code=code, reason=str(damage))
        return damage

    def decryption_failed(self) -> StoreDamaged:
        """Return the error for a record that its key does not decrypt."""
        return self.report_damage("a record cannot be decrypted with its key", "DECRYPTION_FAILED")

    def _translated(self, error: sqlite3.Error, code: str) -> Unavailable:
        if is_damage(error):
            return self.report_damage("a file of the store is damaged", code)
        if code == "SQLITE_ERROR" and _DECRYPTION in str(error):
            return (
                self.decryption_failed()
                if self.damage
                else StoreUnavailable("a key cannot be decrypted", retry_after=5)
            )
        for prefix, (reason, delay) in _REASONS.items():
            if code.startswith(prefix):
                return StoreUnavailable(reason.format(code), retry_after=delay)
        return StoreUnavailable(f"the database failed ({code or type(error).__name__})", retry_after=5)


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error shows that a file is damaged or not a database."""
    return code_of(error).startswith(_DAMAGE)


def code_of(error: sqlite3.Error) -> str:
    """Return SQLite's error code, for example SQLITE_CORRUPT_INDEX; empty for errors of the sqlite3 module itself."""
    return getattr(error, "sqlite_errorname", "")
