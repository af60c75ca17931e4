"""Incoming requests: the Falcon app, body reading within limits, and header parsing."""

from __future__ import annotations

import asyncio
import codecs
import itertools
import re
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import falcon
import falcon.asgi

from peopleinfo.http.memory_budget import BODIES
from peopleinfo.people import strict_json
from peopleinfo.telemetry import tracing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BODY_SIZE: Final = 1024 * 1024  # for all requests except imports; well above the largest record
FORM_SIZE: Final = 8 * 1024  # a form holds a key or a token, and a path
MAX_PARAMETERS: Final = 100  # per query
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
MERGE_PATCH: Final = "application/merge-patch+json"
_UNCOUNTED_SIZE: Final = 16 * 1024  # bytes of memory; a smaller body is not counted
_VALUE_SIZE: Final = 100  # bytes of memory for one parsed JSON value, estimated by its comma
_MEDIA_TYPE_LENGTH: Final = 200
_LIST_LENGTH: Final = 1024  # characters of a preference list such as Accept
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_HIGH_ESCAPES: Final = re.compile(rb"(?:%[89A-Fa-f][0-9A-Fa-f])+")
# Any parameter except a charset other than UTF-8.
_UTF8: Final = re.compile(r"""(?!\s*charset\s*=).*|\s*charset="?utf-?8"?\s*""")
_CHARSET: Final = re.compile(r"""\s*charset\s*=\s*"?([^"\s]*)"?\s*""")


class Disconnected(Exception):
    """The client disconnected before the request was complete, so no response is sent."""


class App(falcon.asgi.App[falcon.asgi.Request, falcon.asgi.Response]):
    """Falcon app that assigns request ids and changes how bodies are received.

    It handles a request when the headers have arrived; Falcon waits for the first chunk of the body without a timeout.
    It raises Disconnected in the middle of a body; Falcon treats the truncated body as complete.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        prefix, numbers = secrets.token_hex(6), itertools.count(1)
        self.new_request_id: Callable[[], str] = lambda: f"{prefix}-{next(numbers):x}"
        """Returns the id of the next request of this process."""

    def __call__(  # type: ignore[override] # as in Falcon: its WSGI app is the base of its ASGI app
        self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any
    ) -> Awaitable[None]:
        """Handle a request; its scope holds the `request_id` and the start time `began` (`time.perf_counter`)."""
        scope["request_id"] = self.new_request_id()
        scope["began"] = time.perf_counter()
        query = scope["query_string"]
        if (b"%" in query or b"%" in scope["raw_path"] or len(query) > MAX_PARAMETERS) and (
            problem := target_error(scope)
        ):
            scope["unreadable"] = problem
            scope["query_string"] = b""  # keeps Falcon from parsing it
        is_started = False

        async def receive_or_raise() -> Any:
            nonlocal is_started
            if not is_started:
                is_started = True
                return _FIRST_EVENT
            event = await receive()
            if event["type"] == "http.disconnect":
                raise Disconnected
            return event

        if tracing.enabled():
            return tracing.request(super().__call__, scope, receive_or_raise, send)
        return super().__call__(scope, receive_or_raise, send)


_FIRST_EVENT: Final = {"type": "http.request", "body": b"", "more_body": True}


async def wait_for_disconnect(req: falcon.asgi.Request) -> None:
    """Wait until the client of a complete request disconnects or has received the response."""
    with suppress(Disconnected):
        while True:
            # Private to Falcon. A reference in the scope would be a cycle that only the garbage collector frees.
            await req._receive()  # noqa: SLF001


def target_error(scope: Any) -> str | None:
    """Return the error in the path or the query of a request, None if both are valid."""
    if scope["query_string"].count(b"&") >= MAX_PARAMETERS:
        return f"the query must have at most {MAX_PARAMETERS} parameters"
    for part, text in (("path", scope["raw_path"]), ("query", scope["query_string"])):
        if _BAD_ESCAPE.search(text):
            return f"the {part} has a % without two hexadecimal digits after it; send a percent sign as %25"
        # Only escapes of bytes from 0x80 on can be invalid; decoding all escapes takes ten times as long.
        sequences = b"20".join(_HIGH_ESCAPES.findall(text)).replace(b"%", b"")
        try:
            bytes.fromhex(sequences.decode()).decode()
        except UnicodeDecodeError:
            return f"the {part} has percent-escapes that are not UTF-8; send ü, for example, as %C3%BC"
    return None


async def read_json(req: falcon.asgi.Request, *, seconds: float, media_types: tuple[str, ...] = ()) -> Any:
    """Return the JSON value of the body, parsed by `strict_json.parse`. A byte order mark of UTF-8 is ignored (RFC 8259).

    Raises InvalidJson, Overloaded and Falcon's errors 408 (body incomplete after `seconds`), 413 (over `BODY_SIZE`) and 415.
    """
    body = await read_body(req, seconds=seconds, media_types=(JSON, *media_types))
    return strict_json.parse(body.removeprefix(codecs.BOM_UTF8))


async def read_form(req: falcon.asgi.Request, fields: tuple[str, ...], *, seconds: float) -> dict[str, str]:
    """Return the fields of a form, with "" for missing fields. Raises Falcon's errors 400, 408, 413 and 415."""
    body = await read_body(req, seconds=seconds, media_types=(FORM,), size=FORM_SIZE)
    try:
        if _BAD_ESCAPE.search(body):
            raise ValueError
        given = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=len(fields))
    except ValueError:
        raise falcon.HTTPBadRequest(
            description=f"the form must be UTF-8 and have at most the fields {', '.join(fields)}"
        ) from None
    known = dict.fromkeys(fields, "") | dict(given)
    if len(known) > len(fields) or len(dict(given)) < len(given):
        raise falcon.HTTPBadRequest(
            description=f"the form must have each of the fields {', '.join(fields)} at most once and no others"
        )
    return known


async def read_body(
    req: falcon.asgi.Request, *, seconds: float, media_types: tuple[str, ...] = (JSON,), size: int = BODY_SIZE
) -> bytes:
    """Return a body of at most `size` bytes; raises the same errors as `read_json`.

    The body counts in the memory budget until the response is sent.
    """
    media_type(req, media_types)
    if (req.content_length or 0) > size:
        raise _too_large(size)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in req.stream:
                body += chunk
                if len(body) > size:
                    raise _too_large(size)
                if len(body) > _UNCOUNTED_SIZE:
                    _count(req, len(body))
    except TimeoutError:
        raise body_timeout(seconds) from None
    if (weight := len(body) + _VALUE_SIZE * body.count(b",")) > _UNCOUNTED_SIZE:
        _count(req, weight)
    return bytes(body)


def _count(req: falcon.asgi.Request, weight: int) -> None:
    """Set the counted memory of a request body to `weight` bytes. Raises Overloaded."""
    counted = req.scope.get("counted", 0)
    BODIES.take(weight - counted)
    req.scope["counted"] = weight


def body_timeout(seconds: float) -> falcon.HTTPError:
    """Return the error for a body that did not arrive in time; the connection is then closed."""
    return falcon.HTTPError(
        408,
        description=f"the body did not arrive within {seconds:g} seconds; send the request again",
        headers={"Connection": "close"},
    )


def media_type(
    req: falcon.asgi.Request, known: tuple[str, ...], *, codings: tuple[str, ...] = (), any_charset: bool = False
) -> str:
    """Return the media type of the body, one of `known`. Raises Falcon's error 415, also for an unsupported content coding."""
    name, *parameters = (req.content_type or "")[:_MEDIA_TYPE_LENGTH].lower().split(";")
    if name.strip() not in known or not (any_charset or all(map(_UTF8.fullmatch, parameters))):
        charset = "" if any_charset else ", and the charset UTF-8"
        raise falcon.HTTPUnsupportedMediaType(description=f"Content-Type must be {' or '.join(known)}{charset}")
    if req.get_header("Content-Encoding", default="identity").lower() not in ("identity", *codings):
        accepted = codings[0] if codings else "identity"
        raise falcon.HTTPUnsupportedMediaType(
            description=f"Content-Encoding must be {accepted}",
            headers={"Accept-Encoding": accepted},
        )
    return name.strip()


def charset(req: falcon.asgi.Request) -> str | None:
    """Return the charset that the header Content-Type names, or None."""
    _, *parameters = (req.content_type or "")[:_MEDIA_TYPE_LENGTH].lower().split(";")
    return next((match[1] or None for one in parameters if (match := _CHARSET.fullmatch(one))), None)


def cookie(req: falcon.asgi.Request, name: str) -> str | None:
    """Return the value of a cookie, or None, in linear time. Falcon's parser takes quadratic time."""
    header = req.get_header("Cookie") or ""
    start = f"{name}="
    if start not in header:
        return None
    match = re.search(rf"; *{start}([^;]*)", f";{header}")
    return match[1].strip() if match else None


def preferred(req: falcon.asgi.Request, media_types: tuple[str, ...]) -> str | None:
    """Return the media type that the header Accept prefers, or None. Raises HTTPBadRequest if the header is too long."""
    if len(req.accept) > _LIST_LENGTH:  # Falcon parses the header in quadratic time
        raise falcon.HTTPBadRequest(description=f"the header Accept must have at most {_LIST_LENGTH} characters")
    return req.client_prefers(media_types)


def _too_large(size: int) -> falcon.HTTPError:
    return falcon.HTTPContentTooLarge(description=f"the body must have at most {size // 1024} KiB")
