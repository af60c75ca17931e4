"""Checkpoints of bulk operations, and leases, in the database file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from peopleinfo.errors import ImportAlreadyRunning
from peopleinfo.people.store import Checkpoint

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from peopleinfo.people.store import Lease

_READ: Final = "SELECT rows, stored, digest, position, finished, started_at FROM checkpoints WHERE operation_id = ?"
_WRITE: Final = """
INSERT OR REPLACE INTO checkpoints (operation_id, rows, stored, digest, position, finished, started_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_ACQUIRE: Final = """
INSERT INTO leases (name, holder, expires_at) VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
WHERE holder = excluded.holder OR expires_at <= ? RETURNING 1
"""


def read_checkpoint(db: sqlite3.Connection, operation_id: bytes) -> Checkpoint:
    """Return the checkpoint of a bulk operation; see `BulkStore.read_checkpoint`."""
    row = db.execute(_READ, (operation_id,)).fetchone()
    if row is None:
        return Checkpoint(operation_id)
    rows, stored, digest, position, finished, started_at = row
    return Checkpoint(operation_id, rows, stored, digest, position, bool(finished), started_at)


def advance_checkpoint(db: sqlite3.Connection, checkpoint: tuple[Checkpoint, Checkpoint] | None) -> None:
    """Replace the checkpoint of a bulk operation. Raises ImportAlreadyRunning if it is not as expected."""
    if checkpoint is None:
        return
    before, after = checkpoint
    if read_checkpoint(db, before.operation_id) != before:
        raise ImportAlreadyRunning
    values = (after.rows, after.stored, after.digest, after.position, after.finished, after.started_at)
    db.execute(_WRITE, (after.operation_id, *values))


def delete_checkpoint(db: sqlite3.Connection, checkpoint: Checkpoint) -> None:
    """Delete a checkpoint unless it has changed; see `BulkStore.delete_checkpoint`."""
    if read_checkpoint(db, checkpoint.operation_id) == checkpoint:
        db.execute("DELETE FROM checkpoints WHERE operation_id = ?", (checkpoint.operation_id,))


def acquire_lease(db: sqlite3.Connection, lease: Lease, now: datetime) -> bool:
    """Acquire or renew a lease; see `LeaseStore.acquire_lease`."""
    values = (lease.name, lease.holder, int(lease.expires_at.timestamp()), int(now.timestamp()))
    return db.execute(_ACQUIRE, values).fetchone() is not None
