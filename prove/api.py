"""The API as a client sees it: one request, and what its answer means for the history."""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

import msgspec

from prove.history import WRITES, Kind, Operation, Stand
from prove.servers import HOST

if TYPE_CHECKING:
    from prove.servers import Process

PATIENCE: Final = 7.0  # seconds that a client waits for an answer: longer than the service waits for its store
_MAYBE: Final = "it may have been stored or not"  # how a 503 says that the outcome is unknown (errors.OutcomeUnknown)
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

    def json(self) -> Any:
        """Return the body as JSON."""
        return msgspec.json.decode(self.body)


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
    return Answer(status, await reader.readexactly(count) if count else b"", source)


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
        body = {"person_surname": asked.surname, "mark": asked.mark}
        answer = await connection.ask("POST", "/v1/people", body, idempotency_key=asked.mark)
        if answer.status == 409:  # made, and erased since: this request was sent before
            asked.outcome = "missing"
        else:
            _take(asked, answer, 201)

    async def _replace(self, connection: Connection, asked: Operation) -> None:
        body = {"person_surname": asked.surname, "mark": asked.mark}
        _take(asked, await connection.ask("PUT", _path(asked), body, if_match=_tag(asked)), 200)

    async def _patch(self, connection: Connection, asked: Operation) -> None:
        body = {"mark": asked.mark} | ({"person_surname": asked.surname} if asked.surname else {})
        headers = {"if_match": _tag(asked), "content_type": _MERGE_PATCH}
        _take(asked, await connection.ask("PATCH", _path(asked), body, **headers), 200)

    async def _erase(self, connection: Connection, asked: Operation) -> None:
        headers = {"if_match": _tag(asked)} if asked.expected else {}
        _take(asked, await connection.ask("DELETE", _path(asked), **headers), 204)

    async def _read(self, connection: Connection, asked: Operation) -> None:
        headers = _freshness(asked) | ({"if_none_match": _tag(asked)} if asked.expected else {})
        _take(asked, await connection.ask("GET", _path(asked), **headers), 200)

    async def _list(self, connection: Connection, asked: Operation) -> None:
        seen: list[Stand] = []
        page = f"/v1/people?surname={quote(asked.surname)}&limit=1000"
        path = page
        while True:
            answer = await connection.ask("GET", path, **_freshness(asked))
            if answer.status != 200:
                break
            found = answer.json()
            seen += map(_stand, found["people"])
            if not found["next_cursor"]:
                break
            path = f"{page}&cursor={quote(found['next_cursor'])}"
        _take(asked, Answer(answer.status, b"", answer.source), 200)
        asked.seen = tuple(seen) if asked.outcome == "done" else ()


def _take(asked: Operation, answer: Answer, good: int) -> None:
    """Note what an answer means. Raises Unexpected."""
    asked.source = answer.source
    if answer.status == good:
        asked.outcome = "done"
        asked.seen = (_stand(answer.json()),) if answer.body else ()
    elif answer.status == 304:
        asked.outcome = "unchanged"
    elif answer.status == 404:
        asked.outcome = "missing"
    elif answer.status == 412:
        asked.outcome, asked.actual = "conflict", _version_in(answer.json()["detail"])
    elif answer.status == 503:
        maybe = asked.kind in WRITES and _MAYBE in answer.json()["detail"]
        asked.outcome = "unknown" if maybe else "failed"
    else:
        asked.outcome = "unknown" if asked.kind in WRITES else "failed"
        raise Unexpected(f"{answer.status} {answer.body[:300].decode(errors='replace')}")


def _stand(person: dict[str, Any]) -> Stand:
    return Stand(person["person_id"], person["version"], person["mark"], person["person_surname"])


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
