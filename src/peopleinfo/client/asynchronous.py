"""The client for programs with asyncio: `Client`, awaited."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Self, Unpack

import httpx

from peopleinfo.client import calls
from peopleinfo.client.answers import ImportResult, Page, Person, read_page, read_result
from peopleinfo.client.attempts import Answer, Attempts
from peopleinfo.client.errors import BrokenOff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from peopleinfo.client.calls import Call, Search, Version


class AsyncClient:
    """People at a service. For one event loop; close it, or use it in an `async with` statement.

    Each call ends within about `seconds`, its repetitions included. A call whose answer was lost is made again when that cannot do it
    twice: creations carry an idempotency key, changes the version that was seen. Every method may raise NotAuthenticated, AccessDenied,
    RateExceeded, StoreUnavailable, Unreachable, and those that change something OutcomeUnknown.
    """

    def __init__(self, url: str = "http://127.0.0.1:3000", *, key: str | None = None, seconds: float = 30.0) -> None:
        """Use the service at `url`, with the API key given or in the environment as `PEOPLEINFO_KEY`."""
        self._seconds = seconds
        self._http = httpx.AsyncClient(base_url=url, headers=calls.headers(key), timeout=seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def create(self, details: Mapping[str, Any], *, idempotency_key: str | None = None) -> Person:
        """Store a person, once, even if the call has to be repeated.

        With an `idempotency_key` of your own, it is once however often you call within a day. Raises InvalidPerson, KeyReused, CreationErased.
        """
        return Person.from_json(await self._call(calls.create(details, idempotency_key)))

    async def get(self, person_id: str) -> Person:
        """Return a person. Raises PersonNotFound."""
        return Person.from_json(await self._call(calls.get(person_id)))

    async def find(self, **search: Unpack[Search]) -> AsyncIterator[Person]:
        """Yield everyone who is meant, read page by page as you go: `surname`, `surname_prefix`, `name`, `born_from`, `born_to`, `match`.

        Without a filter it yields everyone. Raises InvalidSearch.
        """
        async for page in self.pages(**search):
            for person in page.people:
                yield person

    async def pages(
        self, *, limit: int = calls.PAGE, cursor: str | None = None, **search: Unpack[Search]
    ) -> AsyncIterator[Page]:
        """Yield the pages of a search, from `cursor` on; a page may hold fewer people than `limit`, even none. Raises InvalidSearch, InvalidCursor."""
        while True:
            page = read_page(await self._call(calls.page(search, cursor, limit)))
            yield page
            if (cursor := page.next_cursor) is None:
                return

    async def replace(self, person: Person | str, details: Mapping[str, Any], *, version: Version = None) -> Person:
        """Put new details in the place of a person's, unless it has changed since `person` was read (or since `version`).

        Raises InvalidPerson, PersonNotFound, VersionConflict.
        """
        return Person.from_json(await self._call(calls.replace(person, details, version)))

    async def patch(self, person: Person | str, changes: Mapping[str, Any], *, version: Version = None) -> Person:
        """Change some members (None removes one), unless the person has changed since it was read.

        Raises InvalidPerson, PersonNotFound, VersionConflict.
        """
        return Person.from_json(await self._call(calls.patch(person, changes, version)))

    async def erase(self, person: Person | str, *, version: Version = None) -> None:
        """Erase a person, unless it has changed since it was read; by its id, at whichever version. Raises PersonNotFound, VersionConflict."""
        await self._call(calls.erase(person, version))

    async def import_people(
        self, rows: Iterable[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> AsyncIterator[ImportResult]:
        """Store many people in bounded memory and yield what became of each, and a last result of the whole.

        Rows that can be gone through again (a list, not a generator) are sent again when the connection breaks, and nobody is stored twice.
        Raises BrokenOff, which says how to go on.
        """
        call = calls.import_(idempotency_key)
        again = iter(rows) is not rows
        async for line in self._lines(call, rows, calls.go_on(call), repeatable=again):
            yield read_result(line)

    async def export(self, **search: Unpack[Search]) -> AsyncIterator[Person]:
        """Yield everyone, or those who are meant, from one stream: faster than `find`, but it cannot go on when it breaks. Raises BrokenOff."""
        async for line in self._lines(calls.export(search), None, calls.NOT_RESUMABLE, repeatable=True):
            yield Person.from_json(line)

    async def is_ready(self) -> bool:
        """Say whether the service can serve now; it is asked once."""
        try:
            return (await self._send(calls.status(), min(self._seconds, 5.0))).status == httpx.codes.OK
        except (httpx.TransportError, TimeoutError):
            return False

    async def _call(self, call: Call) -> bytes:
        attempts = Attempts(call, self._seconds, time.monotonic)
        while True:
            try:
                answer = await self._send(call, attempts.left)
            except (httpx.TransportError, TimeoutError) as error:
                pause: float | None = attempts.failed(error)
            else:
                pause = attempts.answered(answer)
            if pause is None:
                return answer.body
            await asyncio.sleep(pause)

    async def _send(self, call: Call, seconds: float) -> Answer:
        async with asyncio.timeout(seconds), self._stream(call, call.content, seconds) as response:
            return Answer(response.status_code, response.headers.get("Retry-After"), await response.aread())

    async def _lines(
        self, call: Call, rows: Iterable[Mapping[str, Any]] | None, how_to_go_on: str, *, repeatable: bool
    ) -> AsyncIterator[bytes]:
        """Yield the lines of a stream, which is begun again only before the first of them."""
        attempts = Attempts(call, self._seconds, time.monotonic)
        begun = False
        while True:
            try:
                content = _sent(rows) if rows is not None else call.content
                async with self._stream(call, content, self._seconds) as response:
                    if response.is_success:
                        lines = calls.Lines()
                        async for piece in response.aiter_bytes():
                            begun = True
                            for line in lines.of(piece):
                                yield line
                        return
                    answer = Answer(response.status_code, response.headers.get("Retry-After"), await response.aread())
                pause = attempts.answered(answer, final=not repeatable)
            except (httpx.TransportError, TimeoutError) as error:
                if begun or not repeatable:
                    raise BrokenOff(how_to_go_on) from error
                pause = attempts.failed(error)
            await asyncio.sleep(pause or 0)

    def _stream(self, call: Call, content: Any, seconds: float) -> Any:
        # The limit to connect ends before the one around the call: only it reports that nothing was sent.
        timeout = httpx.Timeout(seconds, connect=seconds * 0.9)
        return self._http.stream(call.method, call.path, headers=call.headers, content=content, timeout=timeout)


async def _sent(rows: Iterable[Mapping[str, Any]]) -> AsyncIterator[bytes]:
    for piece in calls.pieces(rows):
        yield piece
