"""One writer, group commit: whatever is waiting is written in one transaction and made durable by one sync."""

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

MAX_GROUP: Final = 256  # writes in one transaction: bounds how long the first of them waits for the others
MAX_PENDING_SIZE: Final = 64 * 1024 * 1024  # bytes that the changes in progress hold; beyond that a caller has to retry
CHANGE_OVERHEAD_SIZE: Final = 4 * 1024  # bytes of a change beside the custom fields and the address of its record


class _PendingWrite(NamedTuple):
    change: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    erases: bool


class _CommitFailed(Exception):
    """SQLite could not commit; the cause says why."""


class GroupCommitWriter:
    """Runs changes in a thread of its own, in the order in which they came.

    A change is a function of the connection. Whatever it raises, nothing that it wrote is stored. It can be called again: when a change
    of a group fails, the group is rolled back and run again with a savepoint for each change. When the transaction itself fails, each
    change is tried alone.
    After a change that erases, the write-ahead log is emptied, as what was erased may stand in it: before the answer if nobody reads from it
    just then, else as soon as nobody does.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        guard: Callable[[], None] = lambda: None,
        *,
        two_files: bool = False,
        errors: ErrorTranslator | None = None,
        log_size: Callable[[], int] = lambda: 0,
    ) -> None:
        """Write through `db`. `guard` is called before and after each commit and raises when its files are not those on the disk.

        `two_files`: persons' keys lie in a file of their own, which is committed first. `log_size` returns the bytes in the write-ahead log.
        """
        self._errors = errors or ErrorTranslator()
        self._log = WriteAheadLog(db, log_size)
        self._two_files = two_files
        self._db = db
        self._guard = guard
        self._queue: SimpleQueue[_PendingWrite | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="sqlite-writer", daemon=True)
        self._closed = False
        self._size_in_progress = 0  # bytes of the changes in progress
        self.last_error: str | None = None
        """Why the last commit failed; None when it did not."""
        self._thread.start()

    async def run(self, change: Callable[[sqlite3.Connection], T], *, erases: bool = False, size: int = 0) -> T:
        """Run a change and return its result once it is durable. Raises what the change raises, and StoreUnavailable.

        `erases`: what the change removes is not to be found in the log either. `size`: bytes of what the change stores.
        """
        if self._closed:
            raise StoreUnavailable("the store is closing")
        size += CHANGE_OVERHEAD_SIZE
        if self._size_in_progress and self._size_in_progress + size > MAX_PENDING_SIZE:
            raise StoreUnavailable("too many writes are waiting")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_PendingWrite(change, future, erases))
        self._size_in_progress += size
        try:
            return await future
        finally:
            self._size_in_progress -= size

    @property
    def queue_length(self) -> int:
        """How many changes wait to be begun."""
        return self._queue.qsize()

    async def close(self) -> None:
        """Finish what is waiting, then end the thread."""
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while (first := self._next_write()) is not None:
            group = [first]
            closing = False
            while len(group) < MAX_GROUP and not closing:
                try:
                    waiting = self._queue.get_nowait()
                except Empty:
                    break
                if waiting is None:
                    closing = True
                else:
                    group.append(waiting)
            outcomes = self._write(group)
            self._log.after_commit(erased=any(waiting.erases for waiting in group))
            self._loop.call_soon_threadsafe(_resolve, group, outcomes)
            if closing:
                return

    def _next_write(self) -> _PendingWrite | None:
        while self._log.is_due:
            try:
                return self._queue.get(timeout=RETRY_INTERVAL)
            except Empty:
                self._log.empty()
        return self._queue.get()

    def _write(self, group: list[_PendingWrite]) -> list[Any]:
        try:
            self._begin()
        except Exception as error:  # noqa: BLE001 - no change is to blame, and alone each would only wait as long again
            return [self._to_outcome(error) for _ in group]
        try:
            outcomes = self._run_transaction(group)
        except Exception as error:  # noqa: BLE001 - it is handed to whoever asked for the change
            if len(group) > 1:
                return [outcome for waiting in group for outcome in self._retry_alone(waiting, error)]
            return [self._to_outcome(error, group[0])]
        self.last_error = None
        return self._confirm(outcomes)

    def _confirm(self, outcomes: list[Any]) -> list[Any]:
        """Return the outcomes of a commit; those of changes are unknown when a file was removed before the commit was done."""
        try:
            self._guard()
        except StoreUnavailable as error:
            return [one if isinstance(one, BaseException) else OutcomeUnknown(str(error)) for one in outcomes]
        return outcomes

    def _retry_alone(self, waiting: _PendingWrite, error: Exception) -> list[Any]:
        """Try a change by itself whose group has failed, unless it may be done already."""
        if self._may_be_half_committed(waiting, error):
            return [self._to_outcome(error, waiting)]
        return self._write([waiting])

    def _may_be_half_committed(self, waiting: _PendingWrite, error: Exception) -> bool:
        """Say whether a key may be destroyed whose person is still in the other file: nobody can read that person."""
        return self._two_files and waiting.erases and isinstance(error, _CommitFailed)

    def _begin(self) -> None:
        self._guard()
        if self._db.in_transaction:  # the last one could not even be rolled back
            self._db.execute("ROLLBACK")
        self._db.execute("BEGIN IMMEDIATE")

    def _run_transaction(self, group: list[_PendingWrite]) -> list[Any]:
        """Commit the changes that raise nothing, and return the result or the error of each. Raises the error of a change alone."""
        try:
            outcomes = self._run_changes(group)
            self._commit()
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return outcomes

    def _run_changes(self, group: list[_PendingWrite]) -> list[Any]:
        """Run the changes. After an error, run them again with savepoints: those cost an eighth of a create, so they are not set at first."""
        try:
            return [self._without_savepoint(waiting) for waiting in group]
        except Exception:
            if len(group) == 1:
                raise
            self._begin()
            return [self._within_savepoint(waiting) for waiting in group]

    def _without_savepoint(self, waiting: _PendingWrite) -> Any:
        """Run a change and return its result, or its refusal if it has written nothing. Raises every other error."""
        written = self._db.total_changes
        try:
            return waiting.change(self._db)
        except PeopleInfoError as refusal:
            if self._db.total_changes != written:
                raise
            return refusal

    def _within_savepoint(self, waiting: _PendingWrite) -> Any:
        """Run a change; if it raises an error, undo what it wrote and return the error."""
        self._db.execute("SAVEPOINT change")
        try:
            outcome = waiting.change(self._db)
        except Exception as error:  # noqa: BLE001 - it is handed to whoever asked for the change
            # Fails when SQLite has ended the transaction itself: then each change is tried alone.
            self._db.execute("ROLLBACK TO change")
            outcome = self._to_outcome(error)
        self._db.execute("RELEASE change")
        return outcome

    def _commit(self) -> None:
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise _CommitFailed from error

    def _to_outcome(self, error: Exception, waiting: _PendingWrite | None = None) -> Exception:
        cause = error.__cause__ if isinstance(error, _CommitFailed) else error
        if not isinstance(cause, sqlite3.Error):
            return error
        self.last_error = str(cause)
        told = self._errors.translate(cause)
        return OutcomeUnknown(str(told)) if waiting and self._may_be_half_committed(waiting, error) else told


def _resolve(group: list[_PendingWrite], outcomes: list[Any]) -> None:
    for (_, future, _), outcome in zip(group, outcomes, strict=True):
        if future.done():  # whoever asked has gone away
            continue
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
