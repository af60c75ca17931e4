"""The client for programs without asyncio."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self, Unpack

import httpx

from peopleinfo.client import calls
from peopleinfo.client.answers import ImportResult, Page, Person, read_page, read_result
from peopleinfo.client.attempts import Answer, Attempts
from peopleinfo.client.errors import BrokenOff

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from peopleinfo.client.calls import Call, Search, Version


class Client:
    """People at a service. Safe for several threads; close it, or use it in a `with` statement.

    Each call ends within about `seconds`, its repetitions included. A call whose answer was lost is made again when that cannot do it
    twice: creations carry an idempotency key, changes the version that was seen. Every method may raise NotAuthenticated, AccessDenied,
    RateExceeded, StoreUnavailable, Unreachable, and those that change something OutcomeUnknown.
    """

    def __init__(self, url: str = "http://127.0.0.1:3000", *, key: str | None = None, seconds: float = 30.0) -> None:
        """Use the service at `url`, with the API key given or in the environment as `PEOPLEINFO_KEY`."""
        self._seconds = seconds
        self._http = httpx.Client(base_url=url, headers=calls.headers(key), timeout=seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def create(self, details: Mapping[str, Any], *, idempotency_key: str | None = None) -> Person:
        """Store a person, once, even if the call has to be repeated.

        With an `idempotency_key` of your own, it is once however often you call within a day. Raises InvalidPerson, KeyReused, CreationErased.
        """
        return Person.from_json(self._call(calls.create(details, idempotency_key)))

    def get(self, person_id: str) -> Person:
        """Return a person. Raises PersonNotFound."""
        return Person.from_json(self._call(calls.get(person_id)))

    def find(self, **search: Unpack[Search]) -> Iterator[Person]:
        """Yield everyone who is meant, read page by page as you go: `surname`, `surname_prefix`, `name`, `born_from`, `born_to`, `match`.

        Without a filter it yields everyone. Raises InvalidSearch.
        """
        for page in self.pages(**search):
            yield from page.people

    def pages(self, *, limit: int = calls.PAGE, cursor: str | None = None, **search: Unpack[Search]) -> Iterator[Page]:
        """Yield the pages of a search, from `cursor` on; a page may hold fewer people than `limit`, even none. Raises InvalidSearch, InvalidCursor."""
        while True:
            page = read_page(self._call(calls.page(search, cursor, limit)))
            yield page
            if (cursor := page.next_cursor) is None:
                return

    def replace(self, person: Person | str, details: Mapping[str, Any], *, version: Version = None) -> Person:
        """Put new details in the place of a person's, unless it has changed since `person` was read (or since `version`).

        Raises InvalidPerson, PersonNotFound, VersionConflict.
        """
        return Person.from_json(self._call(calls.replace(person, details, version)))

    def patch(self, person: Person | str, changes: Mapping[str, Any], *, version: Version = None) -> Person:
        """Change some members (None removes one), unless the person has changed since it was read.

        Raises InvalidPerson, PersonNotFound, VersionConflict.
        """
        return Person.from_json(self._call(calls.patch(person, changes, version)))

    def erase(self, person: Person | str, *, version: Version = None) -> None:
        """Erase a person, unless it has changed since it was read; by its id, at whichever version. Raises PersonNotFound, VersionConflict."""
        self._call(calls.erase(person, version))

    def import_people(
        self, rows: Iterable[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> Iterator[ImportResult]:
        """Store many people in bounded memory and yield what became of each, and a last result of the whole.

        Rows that can be gone through again (a list, not a generator) are sent again when the connection breaks, and nobody is stored twice.
        Raises BrokenOff, which says how to go on.
        """
        call = calls.import_(idempotency_key)
        again = iter(rows) is not rows
        for line in self._lines(call, rows, calls.go_on(call), repeatable=again):
            yield read_result(line)

    def export(self, **search: Unpack[Search]) -> Iterator[Person]:
        """Yield everyone, or those who are meant, from one stream: faster than `find`, but it cannot go on when it breaks. Raises BrokenOff."""
        for line in self._lines(calls.export(search), None, calls.NOT_RESUMABLE, repeatable=True):
            yield Person.from_json(line)

    def is_ready(self) -> bool:
        """Say whether the service can serve now; it is asked once."""
        try:
            return self._send(calls.status(), min(self._seconds, 5.0)).status == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _call(self, call: Call) -> bytes:
        attempts = Attempts(call, self._seconds, time.monotonic)
        while True:
            try:
                answer = self._send(call, attempts.left)
            except httpx.TransportError as error:
                pause: float | None = attempts.failed(error)
            else:
                pause = attempts.answered(answer)
            if pause is None:
                return answer.body
            time.sleep(pause)

    def _send(self, call: Call, seconds: float) -> Answer:
        until = time.monotonic() + seconds
        with self._stream(call, call.content, seconds) as response:
            pieces = []
            for piece in response.iter_bytes():
                pieces.append(piece)
                if time.monotonic() > until:
                    raise httpx.ReadTimeout("the answer takes too long")
            return Answer(response.status_code, response.headers.get("Retry-After"), b"".join(pieces))

    def _lines(
        self, call: Call, rows: Iterable[Mapping[str, Any]] | None, how_to_go_on: str, *, repeatable: bool
    ) -> Iterator[bytes]:
        """Yield the lines of a stream, which is begun again only before the first of them."""
        attempts = Attempts(call, self._seconds, time.monotonic)
        begun = False
        while True:
            try:
                content = calls.pieces(rows) if rows is not None else call.content
                with self._stream(call, content, self._seconds) as response:
                    if response.is_success:
                        lines = calls.Lines()
                        for piece in response.iter_bytes():
                            begun = True
                            yield from lines.of(piece)
                        return
                    answer = Answer(response.status_code, response.headers.get("Retry-After"), response.read())
                pause = attempts.answered(answer, final=not repeatable)
            except httpx.TransportError as error:
                if begun or not repeatable:
                    raise BrokenOff(how_to_go_on) from error
                pause = attempts.failed(error)
            time.sleep(pause or 0)

    def _stream(self, call: Call, content: Any, seconds: float) -> Any:
        return self._http.stream(call.method, call.path, headers=call.headers, content=content, timeout=seconds)
