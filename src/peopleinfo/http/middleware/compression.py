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
_GZIP_NAMES: Final = (GZIP, "x-gzip")
_LEVEL: Final = 4  # takes half the time of the default level and produces a tenth more bytes
_FORMAT: Final = 16 + zlib.MAX_WBITS  # gzip, not zlib
_MIN_SIZE: Final = 1024  # bytes; a smaller document is not compressed
_CHUNK_SIZE: Final = 64 * 1024  # bytes of a document in the send buffer of a slow client
_LIST_LENGTH: Final = 1024  # characters of Accept-Encoding
_PREFERENCE: Final = re.compile(r"([!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*(?:;[ \t]*q=([01](?:\.[0-9]{0,3})?))?", re.ASCII)
_documents: Final[dict[bytes, bytes]] = {}  # static document → compressed


def accepts_gzip(req: Request, resp: Response) -> bool:
    """Return whether the client prefers gzip to no coding, and add Accept-Encoding to the header Vary.

    Raises HTTPBadRequest if the header is malformed.
    """
    resp.append_header("Vary", "Accept-Encoding")
    header = (req.get_header("Accept-Encoding") or "").lower()
    if len(header) > _LIST_LENGTH:
        raise falcon.HTTPBadRequest(
            description=f"the header Accept-Encoding must have at most {_LIST_LENGTH} characters"
        )
    qualities: dict[str, float] = {}
    for element in filter(None, map(str.strip, header.split(","))):
        match = _PREFERENCE.fullmatch(element)
        if match is None:
            raise falcon.HTTPBadRequest(description="Accept-Encoding must be a list, for example: gzip, identity;q=0.5")
        qualities[match[1]] = float(match[2] or 1)
    quality = max((qualities[name] for name in _GZIP_NAMES if name in qualities), default=qualities.get("*", 0))
    return quality > 0 and quality >= qualities.get("identity", 0)


async def compressed(chunks: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """Yield compressed chunks; a thread compresses them, because each takes milliseconds."""
    compressor = zlib.compressobj(_LEVEL, wbits=_FORMAT)
    async with aclosing(chunks):
        async for chunk in chunks:
            if text := await asyncio.to_thread(compressor.compress, chunk):
                yield text
        yield compressor.flush()


async def send_document(req: Request, resp: Response, document: bytes) -> bool:
    """Send a static document, compressed if the client accepts it; return whether it is compressed."""
    is_compressed = accepts_gzip(req, resp) and len(document) >= _MIN_SIZE
    if is_compressed:
        resp.set_header("Content-Encoding", GZIP)
        document = await _gzipped(document)
    if len(document) <= _CHUNK_SIZE or req.method == "HEAD":
        resp.data = document
    else:
        resp.content_length = len(document)
        resp.stream = _chunks(document)
    return is_compressed


async def _gzipped(document: bytes) -> bytes:
    if document not in _documents:
        _documents[document] = await asyncio.to_thread(gzip.compress, document, mtime=0)
    return _documents[document]


async def _chunks(document: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(document), _CHUNK_SIZE):
        yield document[start : start + _CHUNK_SIZE]
