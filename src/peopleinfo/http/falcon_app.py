"""The Falcon app: ids of requests, validation of their targets, and how bodies are received."""

from __future__ import annotations

import itertools
import re
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import falcon
import falcon.asgi

from peopleinfo.telemetry import tracing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MAX_PARAMETERS: Final = 100  # per query
BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_HIGH_ESCAPES: Final = re.compile(rb"(?:%[89A-Fa-f][0-9A-Fa-f])+")


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
        if BAD_ESCAPE.search(text):
            return f"the {part} has a % without two hexadecimal digits after it; send a percent sign as %25"
        # Only escapes of bytes from 0x80 on can be invalid; decoding all escapes takes ten times as long.
        sequences = b"20".join(_HIGH_ESCAPES.findall(text)).replace(b"%", b"")
        try:
            bytes.fromhex(sequences.decode()).decode()
        except UnicodeDecodeError:
            return f"the {part} has percent-escapes that are not UTF-8; send ü, for example, as %C3%BC"
    return None
