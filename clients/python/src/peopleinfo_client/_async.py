"""Client for programs that use asyncio."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Self, Unpack

import httpx

from peopleinfo_client import _duplicate_requests, _requests
from peopleinfo_client._json import decode
from peopleinfo_client._retry import RetryState
from peopleinfo_client._transport import AsyncTransport
from peopleinfo_client.batches import BatchResult
from peopleinfo_client.duplicates import MergeSummary, Pair, PairPage
from peopleinfo_client.errors import PersonMerged, StreamInterrupted
from peopleinfo_client.imports import Import, ImportPage, ImportPreview
from peopleinfo_client.models import (
    ChangePage,
    Count,
    HistoryPage,
    Matches,
    Merge,
    Page,
    Person,
    TrashPage,
    UndoneMerge,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from peopleinfo_client._requests import ImportOptions, PreviewOptions, Request, Search, SortedSearch, Version
    from peopleinfo_client.batches import BatchItem
    from peopleinfo_client.models import AnyPage, DeletedPerson, ImportResult, VersionSummary

_READY_TIMEOUT = 5.0
_CHANGES_WAIT = 20


class AsyncClient:
    """Client of one PeopleInfo server, for one event loop.

    Close the client after use, or use it in an `async with` statement.

    `timeout` is in seconds and covers all attempts of a call. The client retries a call after a lost response only when the server
    cannot make the change twice: a creation has an idempotency key, and an update has the version that was read.

    Every method may raise NotAuthenticated, AccessDenied, RateLimitExceeded, StoreUnavailable and ConnectionFailed. A method that makes a
    change may also raise OutcomeUnknown.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:3000", *, api_key: str | None = None, timeout: float = 30.0
    ) -> None:
        """Use the server at `url`. The API key defaults to the environment variable `PEOPLEINFO_API_KEY`."""
        self._timeout = timeout
        self._transport = AsyncTransport(url, api_key, timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def create(
        self, data: Mapping[str, Any], *, idempotency_key: str | None = None, refuse_duplicates: bool = False
    ) -> Person:
        """Create a person, exactly once even if the request has to be retried.

        Pass an `idempotency_key` to create the person only once in several calls within a day. With `refuse_duplicates`, a person that
        is certainly stored already is not created. Raises InvalidPerson, IdempotencyKeyConflict, IdempotentPersonDeleted, PossibleDuplicate.
        """
        request = _requests.create(data, idempotency_key, refuse_duplicates=refuse_duplicates)
        return Person.from_json(await self._call(request))

    async def get(self, person_id: str) -> Person:
        """Return a person; if the record is merged into another one, return the survivor. Raises PersonNotFound."""
        try:
            return Person.from_json(await self._call(_requests.get(person_id)))
        except PersonMerged as merged:
            return await self.get(merged.members["merged_into"])

    async def get_many(self, person_ids: Sequence[str]) -> list[Person | None]:
        """Return the people with these ids, in order; None for an unknown id. Requests 100 at a time.

        Raises RateLimitExceeded and the other errors of a single id.
        """
        people: list[Person | None] = []
        for start in range(0, len(person_ids), _requests.BATCH_SIZE):
            request = _requests.get_many(person_ids[start : start + _requests.BATCH_SIZE])
            people += [result.found() for result in BatchResult.list_from_json(await self._call(request))]
        return people

    async def batch(self, items: Sequence[BatchItem]) -> list[BatchResult]:
        """Create, change and delete up to 100 people, and return the result of each item, in order.

        An item that fails does not affect the others. A batch of creations is retried after a lost response, other batches are not.
        """
        return BatchResult.list_from_json(await self._call(_requests.batch(items)))

    async def find(self, **search: Unpack[SortedSearch]) -> AsyncIterator[Person]:
        """Yield all matching people, page by page; without parameters, all people.

        Parameters: `surname`, `surname_prefix`, `name`, `born_from`, `born_to`, `match`, `email`, `phone`, and `sort="name"` for people by surname
        and first name, or `sort="-updated_at"` for the latest updates first. Raises InvalidSearch.
        """
        async for page in self.pages(**search):
            for person in page.people:
                yield person

    async def search(self, text: str, *, forgiving: bool = True) -> AsyncIterator[Person]:
        """Yield the people that a search box finds by a text, the best match first, page by page.

        The text contains names in any order, a birthdate, words of an address, a mail address or a phone number. Each person has the
        field `found_by`. Without `forgiving`, only whole words and prefixes match. Raises InvalidSearch.
        """
        async for page in self._pages(Page.from_json, partial(_requests.text_page, text, forgiving=forgiving)):
            for person in page.people:
                yield person

    async def pages(
        self, *, limit: int = _requests.PAGE_SIZE, cursor: str | None = None, **search: Unpack[SortedSearch]
    ) -> AsyncIterator[Page]:
        """Yield the pages of a search, from `cursor` on. A page may hold fewer people than `limit`, even none.

        Raises InvalidSearch, InvalidCursor.
        """
        async for page in self._pages(Page.from_json, partial(_requests.page, search, limit), cursor):
            yield page

    async def count(self, **search: Unpack[Search]) -> Count:
        """Return the number of matching people; without parameters, of all people. Raises InvalidSearch."""
        return Count.from_json(await self._call(_requests.count(search)))

    async def letters(self) -> list[str]:
        """Return the letters from A to Z with which a surname starts. Raises InvalidSearch if the server cannot sort by name."""
        found: list[str] = decode(await self._call(_requests.letters()))["letters"]
        return found

    async def replace(self, person: Person | str, data: Mapping[str, Any], *, version: Version = None) -> Person:
        """Replace all fields of a person, unless the person changed after `person` was read (or after `version`).

        Raises InvalidPerson, PersonNotFound, VersionConflict.
        """
        return Person.from_json(await self._call(_requests.replace(person, data, version)))

    async def patch(self, person: Person | str, changes: Mapping[str, Any], *, version: Version = None) -> Person:
        """Change some fields of a person, unless the person changed after it was read. The value None removes a field.

        Raises InvalidPerson, PersonNotFound, VersionConflict.
        """
        return Person.from_json(await self._call(_requests.patch(person, changes, version)))

    async def delete(self, person: Person | str, *, version: Version = None) -> None:
        """Delete a person, unless the person changed after it was read. Pass an id to delete any version.

        The server moves the person to its trash or, without one, erases it. Raises PersonNotFound, VersionConflict.
        """
        await self._call(_requests.delete(person, version))

    async def erase(self, person_id: str) -> None:
        """Erase a person permanently, also from the trash. Requires the scope people:admin. Raises PersonNotFound."""
        await self._call(_requests.erase(person_id))

    async def trash(self) -> AsyncIterator[DeletedPerson]:
        """Yield the people in the trash, the last deleted one first. Requires the scope people:admin."""
        async for page in self._pages(TrashPage.from_json, _requests.trash):
            for person in page.people:
                yield person

    async def restore_deleted(self, person_id: str) -> Person:
        """Move a person back from the trash. Requires the scope people:admin. Raises PersonNotFound, IdentifierConflict."""
        return Person.from_json(await self._call(_requests.restore_deleted(person_id)))

    async def match(
        self, person: Mapping[str, Any], *, count: int = 10, threshold: float = 0.5, only_certain: bool = False
    ) -> Matches:
        """Return the stored people that may be the same as a person, which is not stored. Raises InvalidSearch."""
        request = _duplicate_requests.match(person, count, threshold, only_certain=only_certain)
        return Matches.from_json(await self._call(request))

    async def duplicates(self, person: Person | str, *, count: int = 10) -> Matches:
        """Return the other people that may be the same as a stored person. Raises PersonNotFound."""
        return Matches.from_json(await self._call(_duplicate_requests.duplicates(person, count)))

    async def pairs(self, state: str = "open", *, grade: str | None = None) -> AsyncIterator[Pair]:
        """Yield the pairs of the review queue with a state (open, later or different), the most certain first.

        Raises InvalidSearch, DuplicatesDisabled.
        """
        async for page in self._pages(PairPage.from_json, partial(_duplicate_requests.pairs, state, grade)):
            for pair in page.pairs:
                yield pair

    async def get_pair(self, pair: str) -> Pair:
        """Return a pair of the review queue. Raises PairNotFound."""
        return Pair.from_json(await self._call(_duplicate_requests.get_pair(pair)))

    async def decide(self, pair: Pair | str, decision: str, *, note: str = "") -> Pair:
        """Decide that a pair is of `different` people, or `later`, unless the pair changed after it was read.

        Pass an id to decide about any version. The note must not contain personal data. Requires the scopes people:merge and people:read.
        Raises PairNotFound, VersionConflict, InvalidSearch.
        """
        return Pair.from_json(await self._call(_duplicate_requests.decide(pair, decision, note)))

    async def history(self, person_id: str) -> AsyncIterator[VersionSummary]:
        """Yield the stored versions of a person, oldest first. Raises PersonNotFound."""
        async for page in self._pages(HistoryPage.from_json, partial(_requests.history, person_id)):
            for version in page.versions:
                yield version

    async def get_version(self, person_id: str, number: int) -> Person:
        """Return a person at a version. Raises PersonNotFound, VersionNotFound."""
        return Person.from_json(await self._call(_requests.version(person_id, number)))

    async def restore(self, person: Person | str, number: int, *, version: Version = None) -> Person:
        """Store the fields of an earlier version as a new version, unless the person changed after it was read.

        Raises PersonNotFound, VersionNotFound, VersionConflict.
        """
        return Person.from_json(await self._call(_requests.restore(person, number, version)))

    async def preview_import(self, content: bytes, **options: Unpack[PreviewOptions]) -> ImportPreview:
        """Return what an import of a file in any format would store. Nothing is stored.

        `content` is at most the first 1 MiB of the file, or a complete workbook. Raises InvalidInput.
        """
        return ImportPreview.from_json(await self._call(_requests.preview_import(content, options)))

    async def imports(self) -> AsyncIterator[Import]:
        """Yield the imports that this principal may see, newest first."""
        async for page in self._pages(ImportPage.from_json, _requests.imports):
            for one in page.imports:
                yield one

    async def get_import(self, import_id: str) -> Import:
        """Return an import. Raises ImportNotFound."""
        return Import.from_json(await self._call(_requests.get_import(import_id)))

    async def undo_import(self, import_id: str) -> Import:
        """Delete the people that an import created, and restore those that it updated, unless they changed since.

        Returns the import with the people that were left unchanged. Repeat an interrupted call. Raises ImportNotFound.
        """
        while True:
            undone = Import.from_json(await self._call(_requests.undo_import(import_id)))
            if undone.state == "undone":
                return undone

    async def merge(
        self,
        survivor: Person,
        merged: Sequence[Person],
        *,
        take: Mapping[str, str] | None = None,
        preview: bool = False,
        idempotency_key: str | None = None,
    ) -> Merge:
        """Merge records of one person into a survivor, unless one of them changed after it was read.

        The survivor keeps its values and takes those that it lacks; `take` selects the record of a field by id.
        Raises PersonNotFound, PersonMerged, VersionConflict, MergeCycle, MergeTooLarge.
        """
        request = _duplicate_requests.merge(survivor, merged, take or {}, idempotency_key, preview=preview)
        return Merge.from_json(await self._call(request))

    async def get_merge(self, merge_id: str) -> MergeSummary:
        """Return a merge without values. Raises MergeNotFound."""
        return MergeSummary.from_json(await self._call(_duplicate_requests.get_merge(merge_id)))

    async def merges(self, person: Person | str) -> list[MergeSummary]:
        """Return the merges in which a record took part, the newest first. Raises PersonNotFound."""
        return MergeSummary.list_from_json(await self._call(_duplicate_requests.merges(person)))

    async def undo_merge(
        self, merge_id: str, *, keep: Mapping[str, str] | None = None, preview: bool = False
    ) -> UndoneMerge:
        """Undo a merge. `keep` has the record of each later change: survivor, merged or both.

        Raises MergeNotFound, UndoFirst, ChangedSinceMerge.
        """
        request = _duplicate_requests.undo_merge(merge_id, keep or {}, preview=preview)
        return UndoneMerge.from_json(await self._call(request))

    async def changes_page(
        self, since: str | None = None, *, wait: int = 0, include_person: bool = False
    ) -> ChangePage:
        """Return changes after a token; without one, no changes and the current token.

        The server waits up to `wait` seconds for a change if there is none. Raises InvalidToken, ChangesExpired.
        """
        request = _requests.changes(since, wait, include_person=include_person)
        return ChangePage.from_json(await self._call(request))

    async def changes(
        self, since: str | None = None, *, wait: int = _CHANGES_WAIT, include_person: bool = False
    ) -> AsyncIterator[ChangePage]:
        """Yield pages of changes after a token (default: the current one) without end; store `next` to continue later.

        The server waits up to `wait` seconds for a change; a page without changes follows then. Raises InvalidToken, ChangesExpired.
        """
        while True:
            page = await self.changes_page(since, wait=wait, include_person=include_person)
            yield page
            since = page.next

    async def import_people(
        self, rows: Iterable[Mapping[str, Any]], *, idempotency_key: str | None = None, **options: Unpack[ImportOptions]
    ) -> AsyncIterator[ImportResult]:
        """Import people in bounded memory. Yields the result of each row, then the result of the whole import.

        Rows that can be iterated again (a list, not a generator) are sent again after a lost connection, without duplicates.
        With `key="person_id"`, the rows update the people with these ids. Raises StreamInterrupted with a message that describes how
        to resume, and InvalidInput.
        """
        request = _requests.import_people(idempotency_key, options)
        repeatable = iter(rows) is not rows
        hint = _requests.resume_hint(request)
        async for line in self._lines(request, rows, hint, repeatable=repeatable):
            yield _requests.import_result(line, hint)

    async def export(self, **search: Unpack[Search]) -> AsyncIterator[Person]:
        """Yield all matching people from one stream: faster than `find`, but not resumable.

        Raises StreamInterrupted.
        """
        async for line in self._lines(_requests.export(search), None, _requests.EXPORT_HINT, repeatable=True):
            yield Person.from_json(line)

    async def is_ready(self) -> bool:
        """Return whether the server can serve requests, after a single attempt."""
        try:
            response = await self._transport.send(_requests.status(), min(self._timeout, _READY_TIMEOUT))
        except httpx.TransportError:
            return False
        return response.status == httpx.codes.OK

    async def _pages(
        self,
        parse: Callable[[bytes], AnyPage],
        request: Callable[[str | None], Request],
        cursor: str | None = None,
    ) -> AsyncIterator[AnyPage]:
        """Yield the pages of a list, from `cursor` on."""
        while True:
            page = parse(await self._call(request(cursor)))
            yield page
            if (cursor := page.next_cursor) is None:
                return

    async def _call(self, request: Request) -> bytes:
        state = RetryState(request, self._timeout, time.monotonic)
        while True:
            try:
                response = await self._transport.send(request, state.timeout)
            except httpx.TransportError as error:
                delay: float | None = state.on_error(error)
            else:
                delay = state.on_response(response)
            if delay is None:
                return response.body
            await self._transport.sleep(delay)

    async def _lines(
        self, request: Request, rows: Iterable[Mapping[str, Any]] | None, hint: str, *, repeatable: bool
    ) -> AsyncIterator[bytes]:
        """Yield the lines of a streamed response. The request is retried only before the first line."""
        state = RetryState(request, self._timeout, time.monotonic)
        started = False
        while True:
            try:
                async with self._transport.stream(request, self._timeout, rows) as response:
                    if response.is_success:
                        splitter = _requests.LineSplitter()
                        async for chunk in response.aiter_bytes():
                            started = True
                            for line in splitter.split(chunk):
                                yield line
                        return
                    delay = state.on_response(await self._transport.read(response), final=not repeatable)
            except httpx.TransportError as error:
                if started or not repeatable:
                    raise StreamInterrupted(hint) from error
                delay = state.on_error(error)
            await self._transport.sleep(delay or 0)
