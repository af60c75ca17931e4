"""HTTP client of the check: send a request, validate the response and record the operation."""

from __future__ import annotations

import asyncio
import re
from datetime import date, timedelta
from time import monotonic_ns
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from consistency.cluster import HOST
from consistency.history import WRITES, Kind, Operation, PersonState, Times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consistency.cluster import Process

TIMEOUT: Final = 7.0  # seconds; longer than the service waits for its store
_UNKNOWN_OUTCOME: Final = "the write may or may not have been stored"  # in the detail of a 503 (errors.OutcomeUnknown)
_MAX_FOUND: Final = 100  # people
_FIRST_BIRTHDATE: Final = date(1930, 1, 1)
_BIRTHDATES: Final = 34_000  # days
_FIRST_POSTCODE: Final = 1_000_000  # more digits than a mark has
_MERGE_PATCH: Final = "application/merge-patch+json"


class NotSent(Exception):
    """The server refused the connection; the request was not sent."""


class Unexpected(Exception):
    """A response that violates the contract of the API."""


class Response(NamedTuple):
    """An HTTP response."""

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
    """A record of the workload, with exactly these fields."""

    person_id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    person_name: str
    person_surname: str
    person_birthdate: str
    person_address: str
    mark: str
    version: Annotated[int, msgspec.Meta(ge=1)]
    created_at: _Time
    updated_at: _Time

    def __post_init__(self) -> None:
        """Raise ValueError if the fields belong to different versions."""
        values = self.person_name, self.person_birthdate, self.person_address
        if values != (_name(self.mark), birthdate(self.mark), _address(self.mark)):
            raise ValueError("the values and the mark belong to different versions")
        if self.created_at > self.updated_at or (self.version == 1 and self.created_at != self.updated_at):
            raise ValueError("the timestamps contradict the version")

    @property
    def state(self) -> PersonState:
        """The state for the history."""
        return PersonState(self.person_id, self.version, self.mark, self.person_surname)

    @property
    def times(self) -> Times:
        """The timestamps for the history."""
        return Times(self.created_at, self.updated_at)


class People(msgspec.Struct, forbid_unknown_fields=True):
    """A page of a list."""

    people: list[Person]
    next_cursor: str | None


class FoundPerson(Person, forbid_unknown_fields=True):
    """A person that a search found, or the survivor of a merge."""

    found_by: str = ""
    replaces: list[str] = []


class FoundPeople(msgspec.Struct, forbid_unknown_fields=True):
    """A page of found people."""

    people: list[FoundPerson]
    next_cursor: str | None
    count: int
    more_exist: bool


class _Candidate(msgspec.Struct):
    person: Person


class Candidates(msgspec.Struct):
    """The possible duplicates of a person."""

    candidates: list[_Candidate]


class Merged(msgspec.Struct):
    """The result of a merge or an undo; an undo returns the records that were merged."""

    merge_id: str
    survivor: FoundPerson
    merged: list[msgspec.Raw]


class Connection:
    """A lazily opened connection of one client to one server."""

    def __init__(self, server: Process) -> None:
        self.server = server
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, path: str, body: Any = None, **headers: str) -> Response:
        """Send a request and return the response. Raises NotSent, or OSError, EOFError or TimeoutError when the outcome is unknown."""
        content = b"" if body is None else msgspec.json.encode(body)
        head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(content)}\r\n"
        if content and "content_type" not in headers:
            headers["content_type"] = "application/json"
        head += "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        try:
            async with asyncio.timeout(TIMEOUT):
                reader, writer = self._streams or await self._open()
                writer.write(head.encode() + b"\r\n" + content)
                return await _read_response(reader)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        if self._streams:
            self._streams[1].close()
        self._streams = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            self._streams = await asyncio.open_connection(HOST, self.server.port)
        except ConnectionRefusedError as error:
            raise NotSent from error
        return self._streams


async def _read_response(reader: asyncio.StreamReader) -> Response:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head[9:12])
    count = int(_header(head, b"content-length") or 0) if status not in (204, 304) else 0
    # For example `peopleinfo; hit; detail=local` (RFC 9211): the last word is the source.
    source = _header(head, b"cache-status").rpartition(b"=")[2].decode()
    body = await reader.readexactly(count) if count else b""
    etag, location, media = (_header(head, name).decode() for name in (b"etag", b"location", b"content-type"))
    return Response(status, body, source, etag, location, media)


def _header(head: bytes, name: bytes) -> bytes:
    return head.partition(b"\r\n" + name + b":")[2].split(b"\r\n", 1)[0].strip()


class Api:
    """Executes and records the operations of one client on any server."""

    def __init__(self, client: int, servers: list[Process], history: list[Operation]) -> None:
        self._client = client
        self._connections = [Connection(server) for server in servers]
        self._history = history
        self.unexpected: list[str] = []

    async def do(self, server: int, kind: Kind, **parameters: Any) -> Operation:
        """Send a request, record the operation in the history and return it."""
        connection = self._connections[server]
        life = f"{server}.{connection.server.life}"
        operation = Operation(kind, monotonic_ns(), 0, "unknown", client=self._client, server=life, **parameters)
        try:
            await getattr(self, f"_{kind}")(connection, operation)
        except NotSent:
            operation.outcome = "failed"
        except Unexpected as unexpected:
            self.unexpected.append(f"{kind}: {unexpected}")
        except (OSError, EOFError, TimeoutError):
            operation.outcome = "unknown" if kind in WRITES else "failed"
        operation.returned = monotonic_ns()
        self._history.append(operation)
        return operation

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.close()

    async def _create(self, connection: Connection, operation: Operation) -> None:
        body = _content(operation)
        response = await connection.request("POST", "/v1/people", body, idempotency_key=operation.mark)
        if response.status == 409:  # a repeated request: the person was created and deleted before
            operation.outcome = "missing"
            return
        take(operation, response, 201)
        if operation.seen and response.location != f"/v1/people/{operation.seen[0].person}":
            raise Unexpected(f"Location: {response.location} for {operation.seen[0].person}")

    async def _replace(self, connection: Connection, operation: Operation) -> None:
        take(
            operation,
            await connection.request("PUT", _path(operation), _content(operation), if_match=_tag(operation)),
            200,
        )

    async def _patch(self, connection: Connection, operation: Operation) -> None:
        headers = {"if_match": _tag(operation), "content_type": _MERGE_PATCH}
        take(operation, await connection.request("PATCH", _path(operation), _content(operation), **headers), 200)

    async def _delete(self, connection: Connection, operation: Operation) -> None:
        headers = {"if_match": _tag(operation)} if operation.expected else {}
        take(operation, await connection.request("DELETE", _path(operation), **headers), 204)

    async def _erase(self, connection: Connection, operation: Operation) -> None:
        path = f"{_path(operation)}?erase=true"
        take(operation, await connection.request("DELETE", path, if_match=_tag(operation)), 204)

    async def _restore(self, connection: Connection, operation: Operation) -> None:
        take(operation, await connection.request("POST", f"/v1/trash/{operation.person}/restore"), 200)

    async def _merge(self, connection: Connection, operation: Operation) -> None:
        survivor = {"person_id": operation.person, "version": operation.expected}
        body = {"survivor": survivor, "merged": [{"person_id": operation.other, "version": operation.other_version}]}
        _take_merge(operation, await connection.request("POST", "/v1/merges", body), 201)

    async def _undo(self, connection: Connection, operation: Operation) -> None:
        body = {"keep": dict.fromkeys((*_content(operation), "person_surname"), "survivor")}
        _take_merge(operation, await connection.request("POST", f"/v1/merges/{operation.merge}/undo", body), 200)

    async def _find(self, connection: Connection, operation: Operation) -> None:
        """List people by an index other than the surname."""
        if operation.index == "duplicates":
            body = {"person": _content(operation)}
            response = await connection.request("POST", "/v1/people/match", body)
        else:
            response = await connection.request("POST", "/v1/people/search", _search(operation))
        _take_outcome(operation, response, 200)
        if operation.outcome == "done" and operation.index == "duplicates":
            people = [one.person for one in _decoded(response, Candidates).candidates]
            _set_seen(operation, [person for person in people if operation.is_listed(person.state)])
        elif operation.outcome == "done":
            _set_seen(operation, _decoded(response, FoundPeople).people)

    async def _read(self, connection: Connection, operation: Operation) -> None:
        headers = _freshness(operation) | ({"if_none_match": _tag(operation)} if operation.expected else {})
        take(operation, await connection.request("GET", _path(operation), **headers), 200)

    async def _list(self, connection: Connection, operation: Operation) -> None:
        if operation.index:
            await self._find(connection, operation)
            return
        people: list[Person] = []
        page = f"/v1/people?surname={quote(operation.surname)}&limit={operation.limit}"
        path, cursors = page, set[str | None]()
        while True:
            response = await connection.request("GET", path, **_freshness(operation))
            if response.status != 200:
                break
            found = page_in(response, operation.limit)
            people += found.people
            if not found.next_cursor:
                break
            if found.next_cursor in cursors:
                raise Unexpected("a list has the same cursor twice")
            cursors.add(found.next_cursor)
            path = f"{page}&cursor={quote(found.next_cursor)}"
        _take_outcome(operation, response, 200)
        if operation.outcome == "done":
            _set_seen(operation, people)


def take(operation: Operation, response: Response, success: int) -> None:
    """Validate a response, and set the outcome of its operation and the person in it, if any. Raises Unexpected."""
    _take_outcome(operation, response, success)
    if operation.outcome == "done" and response.body:
        _set_seen(operation, [person_in(response)])


def _take_outcome(operation: Operation, response: Response, success: int) -> None:
    """Set the outcome of an operation. Raises Unexpected."""
    operation.source = response.source
    if response.status == success:
        operation.outcome = "done"
    elif response.status == 304:
        operation.outcome = "unchanged"
        _check_tag(response, operation.expected)
    elif response.status == 404 or _is_merged(response):
        operation.outcome = "missing"
    elif response.status == 412:
        operation.outcome, operation.actual = "conflict", _version_in(response.json()["detail"])
        if operation.actual is None:
            raise Unexpected("a conflict does not report the version")
    elif response.status == 503:
        is_unknown = operation.kind in WRITES and _UNKNOWN_OUTCOME in response.json()["detail"]
        operation.outcome = "unknown" if is_unknown else "failed"
    else:
        operation.outcome = "unknown" if operation.kind in WRITES else "failed"
        raise Unexpected(f"{response.status} {response.body[:300].decode(errors='replace')}")


def _is_merged(response: Response) -> bool:
    return response.status in (307, 409) and response.json()["type"].endswith(":merged")


def _take_merge(operation: Operation, response: Response, success: int) -> None:
    """Set the outcome of a merge or an undo. Raises Unexpected."""
    if response.status == 409:  # without effect: one of the people is merged or deleted, or has changed
        operation.outcome = "failed"
        return
    _take_outcome(operation, response, success)
    if operation.outcome == "done":
        result = _decoded(response, Merged)
        operation.merge = result.merge_id
        restored = [msgspec.json.decode(one, type=Person) for one in result.merged if operation.kind == "undo"]
        _set_seen(operation, [result.survivor, *restored])


def _search(operation: Operation) -> dict[str, Any]:
    """Return the body of a search by an index."""
    if operation.index == "identifier":
        return {"mark": operation.mark, "limit": _MAX_FOUND}
    of_mark = birthdate if operation.index == "birthdate" else _postcode
    text = operation.surname if operation.index == "text" else of_mark(operation.mark)
    return {"q": text, "forgiving": False, "limit": _MAX_FOUND}


def person_in(response: Response) -> Person:
    """Return the person of a response after validating it. Raises Unexpected."""
    person = _decoded(response, Person)
    _check_tag(response, person.version)
    return person


def page_in(response: Response, limit: int) -> People:
    """Return the page of a list response. Raises Unexpected."""
    page = _decoded(response, People)
    if len(page.people) > limit:
        raise Unexpected(f"a page of {len(page.people)} people exceeds the limit of {limit}")
    return page


T = TypeVar("T")


def _decoded(response: Response, kind: type[T]) -> T:
    if response.media != "application/json":
        raise Unexpected(f"Content-Type: {response.media}")
    try:
        return msgspec.json.decode(response.body, type=kind)
    except msgspec.DecodeError as error:
        raise Unexpected(f"{error}: {response.body[:300].decode(errors='replace')}") from error


def _check_tag(response: Response, version: int | None) -> None:
    if response.etag != f'"{version}"':
        raise Unexpected(f"ETag: {response.etag} at version {version}")


def _set_seen(operation: Operation, people: Sequence[Person]) -> None:
    operation.seen = tuple(person.state for person in people)
    operation.times = tuple(person.times for person in people)


def _name(mark: str) -> str:
    """Return the name of a person. Every write sets all values but the surname together."""
    return f"N{mark}"


def birthdate(mark: str) -> str:
    """Return the birthdate of a person, another one for each mark."""
    return (_FIRST_BIRTHDATE + timedelta(days=int(mark) % _BIRTHDATES)).isoformat()


def _postcode(mark: str) -> str:
    return str(_FIRST_POSTCODE + int(mark))


def _address(mark: str) -> str:
    return f"12 Elm Row, {_postcode(mark)} Springfield"


def _content(operation: Operation) -> dict[str, str]:
    """Return the body of a write; a patch without a surname does not change the surname."""
    surname = {"person_surname": operation.surname} if operation.surname else {}
    mark = operation.mark or "0"
    values = {"person_name": _name(mark), "person_birthdate": birthdate(mark), "person_address": _address(mark)}
    return values | {"mark": mark} | surname


def _version_in(detail: str) -> int | None:
    """Return the version in the detail of a conflict, for example 3 in "the record is now at version 3"."""
    version = re.search(r"at version (\d+)", detail)
    return int(version[1]) if version else None


def _path(operation: Operation) -> str:
    return f"/v1/people/{operation.person}"


def _freshness(operation: Operation) -> dict[str, str]:
    return {"cache_control": "no-cache"} if operation.fresh else {}


def _tag(operation: Operation) -> str:
    return f'"{operation.expected}"' if operation.expected else "*"
