"""What comes in: bodies read within bounds, and headers taken apart."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

import falcon
import falcon.asgi

from peopleinfo.http.memory_budget import BODIES
from peopleinfo.people import strict_json
from peopleinfo.telemetry import tracing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BODY_SIZE: Final = 1024 * 1024  # of a request other than an import; well above the largest record
FORM_SIZE: Final = 8 * 1024  # of a form, which holds a key or a token and a path
MAX_PARAMETERS: Final = 100  # of a query
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
MERGE_PATCH: Final = "application/merge-patch+json"
_LIGHT: Final = 16 * 1024  # bytes of memory; a lighter body is not counted
_COMMA: Final = 100  # bytes of memory that a value of JSON takes when it is parsed
_MEDIA_TYPE_LENGTH: Final = 200
_LIST_LENGTH: Final = 1024  # of a header that is a list of preferences
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
# A parameter that is no charset, or one that we read.
_CHARSET: Final = re.compile(r"""(?!\s*charset\s*=).*|\s*charset="?utf-?8"?\s*""")


class Disconnected(Exception):
    """The client went away before its request had arrived whole; nobody is left to answer."""


class App(falcon.asgi.App[falcon.asgi.Request, falcon.asgi.Response]):
    """Falcon's app, in which a request has an id and a beginning, and with two things changed in how a body comes in.

    A request is looked at as soon as its headers are there: Falcon itself waits for the first piece of the body, for ever when it does not
    come. And a body cannot be mistaken for whole when the client has gone away in the middle of it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    def __call__(  # type: ignore[override] # as in Falcon: its WSGI app is the base of its ASGI app
        self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any
    ) -> Awaitable[None]:
        """Answer a request; its scope holds its `request_id` and when it `began` (`time.perf_counter`)."""
        scope["request_id"] = f"{self._prefix}-{next(self._numbers):x}"
        scope["began"] = time.perf_counter()
        query = scope["query_string"]
        if (b"%" in query or b"%" in scope["raw_path"] or len(query) > MAX_PARAMETERS) and (why := _unreadable(scope)):
            scope["unreadable"] = why
            scope["query_string"] = b""  # which Falcon would parse
        begun = False

        async def attentive_receive() -> Any:
            nonlocal begun
            if not begun:
                begun = True
                return _BEGINNING
            event = await receive()
            if event["type"] == "http.disconnect":
                raise Disconnected
            return event

        if tracing.enabled():
            return tracing.request(super().__call__, scope, attentive_receive, send)
        return super().__call__(scope, attentive_receive, send)


_BEGINNING: Final = {"type": "http.request", "body": b"", "more_body": True}


async def wait_for_disconnect(req: falcon.asgi.Request) -> None:
    """Return when the client of a request that has arrived whole goes away, or has got its answer. What is sent to it then, nobody misses."""
    with suppress(Disconnected):
        while True:
            # Falcon's own; kept in the scope, it would keep each request from being forgotten when it ends.
            await req._receive()  # noqa: SLF001


def _unreadable(scope: Any) -> str | None:
    """Return why the target of a request cannot be read, None if it can."""
    if scope["query_string"].count(b"&") >= MAX_PARAMETERS:
        return f"the query has more than {MAX_PARAMETERS} parameters"
    for part, text in (("path", scope["raw_path"]), ("query", scope["query_string"])):
        if _BAD_ESCAPE.search(text):
            return f"the {part} has a % without two hexadecimal digits after it: send a percent sign as %25"
        try:
            unquote_to_bytes(text).decode()
        except UnicodeDecodeError:
            return f"the {part} has percent-escapes that are not UTF-8: send ü, for example, as %C3%BC"
    return None


async def read_json(req: falcon.asgi.Request, *, seconds: float, media_types: tuple[str, ...] = ()) -> Any:
    """Return the JSON value of the body, as `strictjson.parse` does.

    Raises InvalidJson, Overloaded, and falcon's errors for 408 (not there within `seconds`), 413 (over `BODY_SIZE`) and 415.
    """
    return strict_json.parse(await read_body(req, seconds=seconds, media_types=(JSON, *media_types)))


async def read_form(req: falcon.asgi.Request, fields: tuple[str, ...], *, seconds: float) -> dict[str, str]:
    """Return the fields of a form, "" for those that are not there. Raises falcon's errors for 400, 408, 413 and 415."""
    body = await read_body(req, seconds=seconds, media_types=(FORM,), size=FORM_SIZE)
    try:
        if _BAD_ESCAPE.search(body):
            raise ValueError
        given = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=len(fields))
    except ValueError:
        raise falcon.HTTPBadRequest(
            description=f"send a form in UTF-8 with at most the fields {', '.join(fields)}"
        ) from None
    known = dict.fromkeys(fields, "") | dict(given)
    if len(known) > len(fields) or len(dict(given)) < len(given):
        raise falcon.HTTPBadRequest(description=f"send each of the fields {', '.join(fields)} once, and no others")
    return known


async def read_body(
    req: falcon.asgi.Request, *, seconds: float, media_types: tuple[str, ...] = (JSON,), size: int = BODY_SIZE
) -> bytes:
    """Return a body of at most `size` bytes; raises as `read_json` does. Its memory counts until the request is answered."""
    media_type(req, media_types)
    if (req.content_length or 0) > size:
        raise _too_large(size)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for piece in req.stream:
                body += piece
                if len(body) > size:
                    raise _too_large(size)
                if len(body) > _LIGHT:
                    _count(req, len(body))
    except TimeoutError:
        raise body_timeout(seconds) from None
    if (weight := len(body) + _COMMA * body.count(b",")) > _LIGHT:
        _count(req, weight)
    return bytes(body)


def _count(req: falcon.asgi.Request, weight: int) -> None:
    """Count so many bytes of memory for the body of a request. Raises Overloaded."""
    counted = req.scope.get("counted", 0)
    BODIES.take(weight - counted)
    req.scope["counted"] = weight


def body_timeout(seconds: float) -> falcon.HTTPError:
    """Return the error for a body that did not arrive in time; the connection is of no more use."""
    return falcon.HTTPError(
        408,
        description=f"the body did not arrive within {seconds:g} seconds: send it again",
        headers={"Connection": "close"},
    )


def media_type(req: falcon.asgi.Request, known: tuple[str, ...], *, codings: tuple[str, ...] = ()) -> str:
    """Return which of the known media types the body has, in one of the content codings or none. Raises falcon's error for 415."""
    named, *parameters = (req.content_type or "")[:_MEDIA_TYPE_LENGTH].lower().split(";")
    if named.strip() not in known or not all(map(_CHARSET.fullmatch, parameters)):
        raise falcon.HTTPUnsupportedMediaType(
            description=f"send the body as {' or '.join(known)} in UTF-8, and say so in Content-Type"
        )
    if req.get_header("Content-Encoding", default="identity").lower() not in ("identity", *codings):
        accepted = codings[0] if codings else "identity"
        raise falcon.HTTPUnsupportedMediaType(
            description=f"the body has a Content-Encoding that is not supported here: send it with {accepted}",
            headers={"Accept-Encoding": accepted},
        )
    return named.strip()


def cookie(req: falcon.asgi.Request, name: str) -> str | None:
    """Return the value of a cookie, None if there is none; in time that grows with the length of the header, unlike Falcon's."""
    header = req.get_header("Cookie")
    for pair in header.split(";") if header else ():
        key, _, value = pair.partition("=")
        if key.strip() == name:
            return value.strip()
    return None


def preferred(req: falcon.asgi.Request, media_types: tuple[str, ...]) -> str | None:
    """Return which media type the header Accept prefers, None if it accepts none. Raises falcon's error for 400 if it is too long."""
    if len(req.accept) > _LIST_LENGTH:  # Falcon's time to parse grows with the square of the length
        raise falcon.HTTPBadRequest(description=f"the header Accept may have at most {_LIST_LENGTH} characters")
    return req.client_prefers(media_types)


def _too_large(size: int) -> falcon.HTTPError:
    return falcon.HTTPContentTooLarge(description=f"the body may have at most {size // 1024} KiB")
