"""What is asked of the service: each call as data, made the same for both clients. No I/O."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypedDict

from peopleinfo.client.answers import Person, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ANY_VERSION: Final = "any"
"""In the place of a version: whichever is there. Such a change is not made again when its answer was lost."""
Version = int | Literal["any"] | None

KEY: Final = "PEOPLEINFO_KEY"
_JSON: Final = {"Content-Type": "application/json"}
_NDJSON: Final = "application/x-ndjson"
PAGE: Final = 1_000  # people asked for at a time when all are wanted
_ROWS: Final = 256 * 1024  # bytes of an import that are sent together


class Search(TypedDict, total=False):
    """Whom to find; all that is given must hold, and nothing given means everyone."""

    surname: str | None
    surname_prefix: str | None
    name: str | None
    born_from: str | None
    born_to: str | None
    match: Literal["folded", "exact"] | None


class Call(NamedTuple):
    """One request.

    `repeatable`: sent again after an answer was lost, it does what it would have done once. A `conditional` one is told by its
    condition that it may have been done already. A call that is neither is sent again only when it was surely not done.
    """

    method: str
    path: str
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed
    content: bytes | None = None
    repeatable: bool = True
    conditional: bool = False


def headers(key: str | None) -> dict[str, str]:
    """Return what every request says: the key given, or the one of `PEOPLEINFO_KEY`."""
    key = key or os.environ.get(KEY)
    named = {"User-Agent": "peopleinfo-client", "Accept": "application/json"}
    return named | ({"Authorization": f"Bearer {key}"} if key else {})


def create(details: Mapping[str, Any], idempotency_key: str | None) -> Call:
    """Store a person, once however often it is sent."""
    once = idempotency_key or secrets.token_hex(16)
    return Call("POST", "/v1/people", _JSON | {"Idempotency-Key": once}, encode(details))


def get(person_id: str) -> Call:
    """Read a person."""
    return Call("GET", _of(person_id))


def page(search: Search, cursor: str | None, limit: int) -> Call:
    """Find people. The search goes in the body: URLs are logged on the way, and names are nobody's business there."""
    return Call("POST", "/v1/people/search", _JSON, encode({**search, "limit": limit, "cursor": cursor}))


def replace(person: Person | str, details: Mapping[str, Any], version: Version) -> Call:
    """Put new details in the place of a person's."""
    return _change("PUT", "application/json", person, details, version)


def patch(person: Person | str, changes: Mapping[str, Any], version: Version) -> Call:
    """Change some of a person's members."""
    return _change("PATCH", "application/merge-patch+json", person, changes, version)


def erase(person: Person | str, version: Version) -> Call:
    """Erase a person. Sent again it finds nobody, which is what was wanted."""
    seen = version if version is not None or isinstance(person, str) else person.version
    condition = {} if seen in (None, ANY_VERSION) else {"If-Match": f'"{seen}"'}
    return Call("DELETE", _of(_id(person)), condition)


def import_(idempotency_key: str | None) -> Call:
    """Store many people; the rows are sent beside it."""
    named = {"Content-Type": _NDJSON, "Idempotency-Key": idempotency_key or secrets.token_hex(16)}
    return Call("POST", "/v1/people/import", named)


def export(search: Search) -> Call:
    """Read everyone, or those who are meant, as a stream; the search goes in the body, as in `page`."""
    return Call("POST", "/v1/people/export", _JSON | {"Accept": _NDJSON}, encode(search))


def status() -> Call:
    """Ask whether the service can serve."""
    return Call("GET", "/status")


NOT_RESUMABLE: Final = "the export broke off: begin again, or use find(), which goes on by itself"


def go_on(call: Call) -> str:
    """Say how an import that broke off is continued."""
    return f"the import broke off: send the same rows with idempotency_key={call.headers['Idempotency-Key']!r} to go on"


class Lines:
    """Takes a stream apart into its lines, which end with a line feed and nothing else: U+2028 may stand inside one."""

    def __init__(self) -> None:
        self._begun = b""

    def of(self, piece: bytes) -> list[bytes]:
        """Return the lines that end in this piece."""
        *lines, self._begun = (self._begun + piece).split(b"\n")
        return lines


def pieces(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Write rows as the lines of an import, many at a time."""
    lines: list[bytes] = []
    size = 0
    for row in rows:
        lines.append(encode(row) + b"\n")
        size += len(lines[-1])
        if size >= _ROWS:
            yield b"".join(lines)
            lines, size = [], 0
    yield b"".join(lines)


def _change(method: str, media_type: str, person: Person | str, members: Mapping[str, Any], version: Version) -> Call:
    if isinstance(person, Person):
        version = version if version is not None else person.version
    if version is None:
        raise TypeError("say which version is to be changed: pass the Person that was read, version=, or ANY_VERSION")
    conditional = version != ANY_VERSION
    condition = f'"{version}"' if conditional else "*"
    return Call(
        method,
        _of(_id(person)),
        {"Content-Type": media_type, "If-Match": condition},
        encode(members),
        repeatable=conditional,
        conditional=conditional,
    )


def _id(person: Person | str) -> str:
    return person if isinstance(person, str) else person.person_id


def _of(person_id: str) -> str:
    if not person_id.isalnum() or not person_id.isascii():  # it would lead to another path
        raise ValueError("this is not the id of a person")
    return f"/v1/people/{person_id}"
