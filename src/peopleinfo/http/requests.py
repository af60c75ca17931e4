"""What comes in: bodies read within bounds, and headers taken apart."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import falcon
import falcon.asgi

from peopleinfo import strictjson
from peopleinfo.telemetry import traces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BODY_SIZE: Final = 1024 * 1024  # of a request other than an import; well above the largest record
MERGE_PATCH: Final = "application/merge-patch+json"
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

        if traces.are_on():
            return traces.request(super().__call__, scope, attentive_receive, send)
        return super().__call__(scope, attentive_receive, send)


_BEGINNING: Final = {"type": "http.request", "body": b"", "more_body": True}


async def client_leaves(req: falcon.asgi.Request) -> None:
    """Return when the client of a request that has arrived whole goes away, or has got its answer. What is sent to it then, nobody misses."""
    with suppress(Disconnected):
        while True:
            # Falcon's own; kept in the scope, it would keep each request from being forgotten when it ends.
            await req._receive()  # noqa: SLF001


async def read_json(req: falcon.asgi.Request, *, seconds: float, media_types: tuple[str, ...] = ()) -> Any:
    """Return the JSON value of the body, as `strictjson.parse` does.

    Raises InvalidJson, and falcon's errors for 408 (not there within `seconds`), 413 (over `BODY_SIZE`) and 415.
    """
    return strictjson.parse(await read_body(req, seconds=seconds, media_types=media_types))


async def read_body(req: falcon.asgi.Request, *, seconds: float, media_types: tuple[str, ...] = ()) -> bytes:
    """Return the body of a request that has JSON in it, unread; raises as `read_json` does."""
    media_type(req, ("application/json", *media_types))
    if (req.content_length or 0) > BODY_SIZE:
        raise _too_large()
    try:
        async with asyncio.timeout(seconds):
            body = await req.stream.read(BODY_SIZE + 1)
    except TimeoutError:
        raise too_slow(seconds) from None
    if len(body) > BODY_SIZE:
        raise _too_large()
    return body


def too_slow(seconds: float) -> falcon.HTTPError:
    """Return the error for a body that did not arrive in time; the connection is of no more use."""
    return falcon.HTTPError(
        408,
        description=f"the body did not arrive within {seconds:g} seconds: send it again",
        headers={"Connection": "close"},
    )


def media_type(req: falcon.asgi.Request, known: tuple[str, ...]) -> str:
    """Return which of the known media types the body has. Raises falcon's error for 415."""
    named, *parameters = (req.content_type or "").lower().split(";")
    if named.strip() not in known or not all(map(_CHARSET.fullmatch, parameters)):
        raise falcon.HTTPUnsupportedMediaType(
            description=f"send the body as {' or '.join(known)} in UTF-8, and say so in Content-Type"
        )
    if req.get_header("Content-Encoding", default="identity").lower() != "identity":
        raise falcon.HTTPUnsupportedMediaType(description="send the body without a Content-Encoding")
    return named.strip()


def _too_large() -> falcon.HTTPError:
    return falcon.HTTPContentTooLarge(description=f"a body may have at most {BODY_SIZE // 1024} KiB")
