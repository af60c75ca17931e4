"""Responses compressed with gzip for clients that accept it (RFC 9110, section 12.5.3)."""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import falcon

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from falcon.asgi import Request, Response

GZIP: Final = "gzip"
_NAMES: Final = (GZIP, "x-gzip")
_LEVEL: Final = 4  # of an export: half the time of the default, and a tenth more bytes
_FORMAT: Final = 16 + zlib.MAX_WBITS  # gzip, not zlib
_SMALL: Final = 1024  # bytes; a smaller document is sent as it is
_PIECE: Final = 64 * 1024  # bytes of a document that a slow client makes the server hold
_LIST_LENGTH: Final = 1024  # characters of Accept-Encoding
_PREFERENCE: Final = re.compile(r"([!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*(?:;[ \t]*q=([01](?:\.[0-9]{0,3})?))?", re.ASCII)
_documents: Final[dict[bytes, bytes]] = {}  # which are part of the program → compressed


def accepts_gzip(req: Request, resp: Response) -> bool:
    """Return whether the client prefers gzip to no coding, and note in the response that this was asked.

    Raises falcon's error for 400 if the header cannot be read.
    """
    resp.append_header("Vary", "Accept-Encoding")
    header = (req.get_header("Accept-Encoding") or "").lower()
    if len(header) > _LIST_LENGTH:
        raise falcon.HTTPBadRequest(
            description=f"the header Accept-Encoding may have at most {_LIST_LENGTH} characters"
        )
    qualities: dict[str, float] = {}
    for element in filter(None, map(str.strip, header.split(","))):
        match = _PREFERENCE.fullmatch(element)
        if match is None:
            raise falcon.HTTPBadRequest(description="Accept-Encoding is a list such as: gzip, identity;q=0.5")
        qualities[match[1]] = float(match[2] or 1)
    quality = max((qualities[name] for name in _NAMES if name in qualities), default=qualities.get("*", 0))
    return quality > 0 and quality >= qualities.get("identity", 0)


async def compressed(pieces: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """Yield the pieces compressed; a thread does that, as each takes milliseconds."""
    compressor = zlib.compressobj(_LEVEL, wbits=_FORMAT)
    async with aclosing(pieces):
        async for piece in pieces:
            if text := await asyncio.to_thread(compressor.compress, piece):
                yield text
        yield compressor.flush()


async def send_document(req: Request, resp: Response, document: bytes) -> bool:
    """Make a document that is part of the program the body of the response; return whether it is compressed."""
    is_compressed = accepts_gzip(req, resp) and len(document) >= _SMALL
    if is_compressed:
        resp.set_header("Content-Encoding", GZIP)
        document = await _gzipped(document)
    if len(document) <= _PIECE or req.method == "HEAD":
        resp.data = document
    else:
        resp.content_length = len(document)
        resp.stream = _pieces(document)
    return is_compressed


async def _gzipped(document: bytes) -> bytes:
    if document not in _documents:
        _documents[document] = await asyncio.to_thread(gzip.compress, document, mtime=0)
    return _documents[document]


async def _pieces(document: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(document), _PIECE):
        yield document[start : start + _PIECE]
