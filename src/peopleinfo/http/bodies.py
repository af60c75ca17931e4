"""Bodies of requests: JSON and forms, read within limits of size, time and memory."""

from __future__ import annotations

import asyncio
import codecs
from typing import Any, Final
from urllib.parse import parse_qsl

import falcon
import falcon.asgi

from peopleinfo.http.falcon_app import BAD_ESCAPE
from peopleinfo.http.media_types import FORM, JSON
from peopleinfo.http.memory_budget import BODIES
from peopleinfo.http.request_headers import media_type
from peopleinfo.people import strict_json

BODY_SIZE: Final = 1024 * 1024  # for all requests except imports; well above the largest record
FORM_SIZE: Final = 8 * 1024  # a form holds a key or a token, and a path
_UNCOUNTED_SIZE: Final = 16 * 1024  # bytes of memory; a smaller body is not counted
_VALUE_SIZE: Final = 100  # bytes of memory for one parsed JSON value, estimated by its comma


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
        if BAD_ESCAPE.search(body):
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


def _too_large(size: int) -> falcon.HTTPError:
    return falcon.HTTPContentTooLarge(description=f"the body must have at most {size // 1024} KiB")
