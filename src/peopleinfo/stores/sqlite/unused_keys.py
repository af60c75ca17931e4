"""Keys of erased people. The file of people lists them until they are deleted from the key file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

_DELETE_KEYS: Final = "DELETE FROM person_keys WHERE seq IN (SELECT seq FROM unused_keys)"


def delete_unused_keys(db: sqlite3.Connection) -> None:
    """Delete the keys of erased people. Safe to repeat."""
    if db.execute(_DELETE_KEYS).rowcount or db.execute("SELECT 1 FROM unused_keys").fetchone():
        db.execute("DELETE FROM unused_keys")
