"""The imports of a store: their list, their details and their undo."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from peopleinfo.bulk.import_log_entry import ImportFile, count_people, decrypt_file, iter_batches
from peopleinfo.bulk.import_undo import ImportUndo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from peopleinfo.bulk.keyed_updates import ImportStore
    from peopleinfo.people.history_service import HistoryService
    from peopleinfo.people.import_log import ImportCounts, ImportEntry, ImportLog, ImportState, LeftPerson
    from peopleinfo.people.service import PeopleService

_PAGE: int = 100  # entries


class ImportSummary(NamedTuple):
    """An import and its numbers of people."""

    import_id: str
    started_at: str
    principal: str | None
    file: ImportFile
    state: ImportState
    counts: ImportCounts


class ImportHistory:
    """The log of imports, and their undo."""

    def __init__(
        self, log: ImportLog, secret: bytes, people: PeopleService, history: HistoryService, store: ImportStore
    ) -> None:
        self._log = log
        self._secret = secret
        self.undo = ImportUndo(people, history, store, log).run

    async def list(
        self, *, before: bytes | None, limit: int, principal: str | None = None
    ) -> tuple[list[ImportSummary], bytes | None]:
        """Return up to `limit` imports, newest first, and the position of the next page; with a `principal` only its imports."""
        found: list[ImportEntry] = []
        while len(found) <= limit:
            entries = await self._log.list_imports(before=before, limit=_PAGE)
            found += [entry for entry in entries if principal in (None, entry.principal)]
            if len(entries) < _PAGE:
                break
            before = entries[-1].import_id
        page = [await self._summary(entry) for entry in islice(found, limit)]
        return page, found[limit - 1].import_id if len(found) > limit else None

    async def get(self, import_id: bytes) -> ImportSummary:
        """Return an import. Raises ImportNotFound."""
        return await self._summary(await self._log.read_import(import_id))

    async def left(self, import_id: bytes) -> AsyncIterator[LeftPerson]:
        """Yield the people that the undo of an import left unchanged."""
        async for batch in iter_batches(self._log, import_id):
            for person in batch.outcome.left if batch.outcome else ():
                yield person

    async def _summary(self, entry: ImportEntry) -> ImportSummary:
        counts = entry.counts or await count_people(self._log, entry.import_id)
        file = decrypt_file(self._secret, entry)
        return ImportSummary(entry.import_id.hex(), entry.started_at, entry.principal, file, entry.state, counts)
