"""The single writer, with group commit: one transaction and one sync for all queued writes."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from peopleinfo.errors import OutcomeUnknown, PeopleInfoError, StoreUnavailable
from peopleinfo.stores.sqlite.errors import ErrorTranslator
from peopleinfo.stores.sqlite.wal import RETRY_INTERVAL, WriteAheadLog

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

MAX_GROUP: Final = 256  # writes in a transaction; limits the wait of the first one
MAX_PENDING_SIZE: Final = 64 * 1024 * 1024  # bytes of queued and running changes; beyond that, callers must retry
CHANGE_OVERHEAD_SIZE: Final = 4 * 1024  # bytes of a change without the custom fields and the address of its record


class _PendingWrite(NamedTuple):
    change: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    deletes: bool


class GroupCommitWriter:
    """Runs changes in its own thread, in the order of submission.

    A change is a function of the connection. If it raises, none of its writes are stored. It must be repeatable: if a change of a group
    fails, the group is rolled back and run again with a savepoint for each change. If the transaction itself fails, each change is retried
    alone.
    After a change that deletes, the write-ahead log, which may contain the deleted data, is truncated: before the result is returned if no
    reader uses the log, otherwise as soon as the reader ends.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        guard: Callable[[], None] = lambda: None,
        *,
        errors: ErrorTranslator | None = None,
        log_size: Callable[[], int] = lambda: 0,
    ) -> None:
        """Write through `db`. `guard` runs before and after each commit; it raises if the files on disk are not those opened.

        `log_size` returns the bytes in the write-ahead log.
        """
        self._errors = errors or ErrorTranslator()
        self._log = WriteAheadLog(db, log_size)
        self._db = db
        self._guard = guard
        self._queue: SimpleQueue[_PendingWrite | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="sqlite-writer", daemon=True)
        self._closed = False
        self._size_in_progress = 0  # bytes of queued and running changes
        self.last_error: str | None = None
        """Why the last commit failed; None if it succeeded."""
        self._thread.start()

    async def run(self, change: Callable[[sqlite3.Connection], T], *, deletes: bool = False, size: int = 0) -> T:
        """Run a change and return its result once durable. Raises the change's errors and StoreUnavailable.

        `deletes`: remove deleted data from the log too. `size`: bytes that the change stores.
        """
        if self._closed:
            raise StoreUnavailable("the store is closing")
        size += CHANGE_OVERHEAD_SIZE
        if self._size_in_progress and self._size_in_progress + size > MAX_PENDING_SIZE:
            raise StoreUnavailable("too many writes are queued; retry later")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_PendingWrite(change, future, deletes))
        self._size_in_progress += size
        try:
            return await future
        finally:
            self._size_in_progress -= size

    @property
    def queue_length(self) -> int:
        """Number of queued changes."""
        return self._queue.qsize()

    async def close(self) -> None:
        """Finish the queued changes, then stop the thread."""
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while (first := self._next_write()) is not None:
            group = [first]
            closing = False
            while len(group) < MAX_GROUP and not closing:
                try:
                    write = self._queue.get_nowait()
                except Empty:
                    break
                if write is None:
                    closing = True
                else:
                    group.append(write)
            outcomes = self._write(group)
            self._log.after_commit(deleted=any(write.deletes for write in group))
            self._loop.call_soon_threadsafe(_resolve, group, outcomes)
            if closing:
                return

    def _next_write(self) -> _PendingWrite | None:
        while self._log.is_due:
            try:
                return self._queue.get(timeout=RETRY_INTERVAL)
            except Empty:
                self._log.truncate()
        return self._queue.get()

    def _write(self, group: list[_PendingWrite]) -> list[Any]:
        try:
            self._begin()
        except Exception as error:  # noqa: BLE001 - not caused by a change, so a retry of each would only wait again
            return [self._to_outcome(error) for _ in group]
        try:
            outcomes = self._run_transaction(group)
        except Exception as error:  # noqa: BLE001 - passed to the caller of the change
            if len(group) > 1:
                return [outcome for write in group for outcome in self._write([write])]
            return [self._to_outcome(error)]
        self.last_error = None
        return self._confirm(outcomes)

    def _confirm(self, outcomes: list[Any]) -> list[Any]:
        """Return the outcomes of a commit; successful ones become OutcomeUnknown if a file was removed meanwhile."""
        try:
            self._guard()
        except StoreUnavailable as error:
            return [
                outcome if isinstance(outcome, BaseException) else OutcomeUnknown(str(error)) for outcome in outcomes
            ]
        return outcomes

    def _begin(self) -> None:
        self._guard()
        if self._db.in_transaction:  # the last rollback failed
            self._db.execute("ROLLBACK")
        self._db.execute("BEGIN IMMEDIATE")

    def _run_transaction(self, group: list[_PendingWrite]) -> list[Any]:
        """Commit the successful changes and return the result or error of each. Raises the error of a single change."""
        try:
            outcomes = self._run_changes(group)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return outcomes

    def _run_changes(self, group: list[_PendingWrite]) -> list[Any]:
        """Run the changes. After an error, repeat them with savepoints, which would add an eighth to the cost of each create."""
        try:
            return [self._without_savepoint(write) for write in group]
        except Exception:
            if len(group) == 1:
                raise
            self._begin()
            return [self._within_savepoint(write) for write in group]

    def _without_savepoint(self, write: _PendingWrite) -> Any:
        """Run a change and return its result, or its domain error if it wrote nothing. Raises every other error."""
        changes_before = self._db.total_changes
        try:
            return write.change(self._db)
        except PeopleInfoError as error:
            if self._db.total_changes != changes_before:
                raise
            return error

    def _within_savepoint(self, write: _PendingWrite) -> Any:
        """Run a change; if it raises, undo its writes and return the error."""
        self._db.execute("SAVEPOINT change")
        try:
            outcome = write.change(self._db)
        except Exception as error:  # noqa: BLE001 - passed to the caller of the change
            # Fails if SQLite ended the transaction itself; then each change is retried alone.
            self._db.execute("ROLLBACK TO change")
            outcome = self._to_outcome(error)
        self._db.execute("RELEASE change")
        return outcome

    def _to_outcome(self, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        self.last_error = str(error)
        return self._errors.translate(error)


def _resolve(group: list[_PendingWrite], outcomes: list[Any]) -> None:
    for (_, future, _), outcome in zip(group, outcomes, strict=True):
        if future.done():  # the caller was cancelled
            continue
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
