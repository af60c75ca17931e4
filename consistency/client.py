"""The API as a client sees it: one request, and what its answer means for the history."""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from consistency.cluster import HOST
from consistency.history import WRITES, Kind, Operation, Stand, Times

if TYPE_CHECKING:
    from consistency.cluster import Process

PATIENCE: Final = 7.0  # seconds that a client waits for an answer: longer than the service waits for its store
_MAYBE: Final = (
    "the write may or may not have been stored"  # how a 503 says that the outcome is unknown (errors.OutcomeUnknown)
)
_MERGE_PATCH: Final = "application/merge-patch+json"


class NotSent(Exception):
    """Nobody listened: the request was never made."""


class Unexpected(Exception):
    """An answer that the API does not promise."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes
    source: str = ""
    etag: str = ""
    location: str = ""
    media: str = ""

    def json(self) -> Any:
        """Return the body as JSON."""
        return msgspec.json.decode(self.body)


_Time = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]


class Person(msgspec.Struct, forbid_unknown_fields=True):
    """A record of this driver, with all of its members and no others."""

    person_id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    person_name: str
    person_surname: str
    mark: str
    version: Annotated[int, msgspec.Meta(ge=1)]
    created_at: _Time
    updated_at: _Time

    def __post_init__(self) -> None:
        """Raise ValueError if the members belong to different versions."""
        if self.person_name != _name(self.mark):
            raise ValueError("the name and the mark are of different versions")
        if self.created_at > self.updated_at or (self.version == 1 and self.created_at != self.updated_at):
            raise ValueError("the times do not fit the version")

    @property
    def stand(self) -> Stand:
        """The person as the history notes it."""
        return Stand(self.person_id, self.version, self.mark, self.person_surname)

    @property
    def times(self) -> Times:
        """The times as the history notes them."""
        return Times(self.created_at, self.updated_at)


class People(msgspec.Struct, forbid_unknown_fields=True):
    """A page of a list."""

    people: list[Person]
    next_cursor: str | None


class Connection:
    """One client's connection to one server, opened when it is needed."""

    def __init__(self, server: Process) -> None:
        self.server = server
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request and return the answer. Raises NotSent; OSError, EOFError, TimeoutError when it is not known what became of it."""
        content = b"" if body is None else msgspec.json.encode(body)
        head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(content)}\r\n"
        if content and "content_type" not in headers:
            headers["content_type"] = "application/json"
        head += "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = self._streams or await self._open()
                writer.write(head.encode() + b"\r\n" + content)
                return await _answer(reader)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        if self._streams:
            self._streams[1].close()
        self._streams = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            self._streams = await asyncio.open_connection(HOST, self.server.port)
        except ConnectionRefusedError as error:
            raise NotSent from error
        return self._streams


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head[9:12])
    count = int(_header(head, b"content-length") or 0) if status not in (204, 304) else 0
    # `peopleinfo; hit; detail=local` (RFC 9211): the last word tells all.
    source = _header(head, b"cache-status").rpartition(b"=")[2].decode()
    body = await reader.readexactly(count) if count else b""
    etag, location, media = (_header(head, name).decode() for name in (b"etag", b"location", b"content-type"))
    return Answer(status, body, source, etag, location, media)


def _header(head: bytes, name: bytes) -> bytes:
    return head.partition(b"\r\n" + name + b":")[2].split(b"\r\n", 1)[0].strip()


class Api:
    """Does operations for one client, on any of the servers, and notes them."""

    def __init__(self, client: int, servers: list[Process], history: list[Operation]) -> None:
        self._client = client
        self._connections = [Connection(server) for server in servers]
        self._history = history
        self.unexpected: list[str] = []

    async def do(self, server: int, kind: Kind, **what: Any) -> Operation:
        """Make a request and return what is known of it, which is also in the history now."""
        connection = self._connections[server]
        life = f"{server}.{connection.server.life}"
        asked = Operation(kind, monotonic_ns(), 0, "unknown", client=self._client, server=life, **what)
        try:
            await getattr(self, f"_{kind}")(connection, asked)
        except NotSent:
            asked.outcome = "failed"
        except Unexpected as unexpected:
            self.unexpected.append(f"{kind}: {unexpected}")
        except (OSError, EOFError, TimeoutError):
            asked.outcome = "unknown" if kind in WRITES else "failed"
        asked.back = monotonic_ns()
        self._history.append(asked)
        return asked

    def close(self) -> None:
        """Hang up everywhere."""
        for connection in self._connections:
            connection.close()

    async def _create(self, connection: Connection, asked: Operation) -> None:
        body = _content(asked)
        answer = await connection.ask("POST", "/v1/people", body, idempotency_key=asked.mark)
        if answer.status == 409:  # made, and erased since: this request was sent before
            asked.outcome = "missing"
            return
        take(asked, answer, 201)
        if asked.seen and answer.location != f"/v1/people/{asked.seen[0].person}":
            raise Unexpected(f"Location: {answer.location} for {asked.seen[0].person}")

    async def _replace(self, connection: Connection, asked: Operation) -> None:
        take(asked, await connection.ask("PUT", _path(asked), _content(asked), if_match=_tag(asked)), 200)

    async def _patch(self, connection: Connection, asked: Operation) -> None:
        headers = {"if_match": _tag(asked), "content_type": _MERGE_PATCH}
        take(asked, await connection.ask("PATCH", _path(asked), _content(asked), **headers), 200)

    async def _erase(self, connection: Connection, asked: Operation) -> None:
        headers = {"if_match": _tag(asked)} if asked.expected else {}
        take(asked, await connection.ask("DELETE", _path(asked), **headers), 204)

    async def _read(self, connection: Connection, asked: Operation) -> None:
        headers = _freshness(asked) | ({"if_none_match": _tag(asked)} if asked.expected else {})
        take(asked, await connection.ask("GET", _path(asked), **headers), 200)

    async def _list(self, connection: Connection, asked: Operation) -> None:
        people: list[Person] = []
        page = f"/v1/people?surname={quote(asked.surname)}&limit={asked.limit}"
        path, cursors = page, set[str | None]()
        while True:
            answer = await connection.ask("GET", path, **_freshness(asked))
            if answer.status != 200:
                break
            found = page_in(answer, asked.limit)
            people += found.people
            if not found.next_cursor:
                break
            if found.next_cursor in cursors:
                raise Unexpected("a list has the same cursor twice")
            cursors.add(found.next_cursor)
            path = f"{page}&cursor={quote(found.next_cursor)}"
        take(asked, Answer(answer.status, answer.body if answer.status != 200 else b"", answer.source), 200)
        if asked.outcome == "done":
            _see(asked, people)


def take(asked: Operation, answer: Answer, good: int) -> None:
    """Note what a response means, and check all of its parts. Raises Unexpected."""
    asked.source = answer.source
    if answer.status == good:
        asked.outcome = "done"
        if answer.body:
            _see(asked, [person_in(answer)])
    elif answer.status == 304:
        asked.outcome = "unchanged"
        _check_tag(answer, asked.expected)
    elif answer.status == 404:
        asked.outcome = "missing"
    elif answer.status == 412:
        asked.outcome, asked.actual = "conflict", _version_in(answer.json()["detail"])
        if asked.actual is None:
            raise Unexpected("a conflict does not report the version")
    elif answer.status == 503:
        maybe = asked.kind in WRITES and _MAYBE in answer.json()["detail"]
        asked.outcome = "unknown" if maybe else "failed"
    else:
        asked.outcome = "unknown" if asked.kind in WRITES else "failed"
        raise Unexpected(f"{answer.status} {answer.body[:300].decode(errors='replace')}")


def person_in(answer: Answer) -> Person:
    """Return the person of a response whose every part fits the others. Raises Unexpected."""
    person = _decoded(answer, Person)
    _check_tag(answer, person.version)
    return person


def page_in(answer: Answer, limit: int) -> People:
    """Return the page of a list. Raises Unexpected."""
    page = _decoded(answer, People)
    if len(page.people) > limit:
        raise Unexpected(f"a page of {len(page.people)} people exceeds the limit of {limit}")
    return page


T = TypeVar("T")


def _decoded(answer: Answer, kind: type[T]) -> T:
    if answer.media != "application/json":
        raise Unexpected(f"Content-Type: {answer.media}")
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.DecodeError as error:
        raise Unexpected(f"{error}: {answer.body[:300].decode(errors='replace')}") from error


def _check_tag(answer: Answer, version: int | None) -> None:
    if answer.etag != f'"{version}"':
        raise Unexpected(f"ETag: {answer.etag} at version {version}")


def _see(asked: Operation, people: list[Person]) -> None:
    asked.seen = tuple(person.stand for person in people)
    asked.times = tuple(person.times for person in people)


def _name(mark: str) -> str:
    """Return the name of a person, which every change replaces together with the mark."""
    return f"N{mark}"


def _content(asked: Operation) -> dict[str, str]:
    """Return the body of a change; without a surname a patch leaves it as it is."""
    surname = {"person_surname": asked.surname} if asked.surname else {}
    return {"person_name": _name(asked.mark), "mark": asked.mark} | surname


def _version_in(detail: str) -> int | None:
    """Return the version that "the person is at version 3 now" names."""
    word = detail.partition("at version ")[2].partition(" ")[0]
    return int(word) if word.isdigit() else None


def _path(asked: Operation) -> str:
    return f"/v1/people/{asked.person}"


def _freshness(asked: Operation) -> dict[str, str]:
    return {"cache_control": "no-cache"} if asked.fresh else {}


def _tag(asked: Operation) -> str:
    return f'"{asked.expected}"' if asked.expected else "*"
