"""Conditional requests (RFC 9110, section 13): versions as entity tags, and what a client asks of them."""

from __future__ import annotations

import re
from typing import Final

import falcon
import falcon.asgi

_TAG: Final = r'(?:W/)?"[^"]*"[ \t]*'
# A list may have empty elements (RFC 9110, section 5.6.1.2).
_TAGS: Final = re.compile(rf"(?:[ \t]*,)*[ \t]*{_TAG}(?:,[ \t]*(?:{_TAG})?)*")
_VERSION: Final = re.compile(r'(?<!W/)"([1-9]\d{0,17})"', re.ASCII)


def etag(version: int) -> str:
    """Return the strong entity tag of a version."""
    return f'"{version}"'


def is_current(req: falcon.asgi.Request, version: int) -> bool:
    """Say whether the client has this version already (If-None-Match; compared weakly)."""
    known = req.get_header("If-None-Match")
    if known is None:
        return False
    # Between the tags of a list there are no digits, so our tag is found as a whole one only.
    return known.strip() == "*" or bool(_TAGS.fullmatch(known) and etag(version) in known)


def versions(req: falcon.asgi.Request, *, required: bool) -> frozenset[int] | None:
    """Return the versions that If-Match names, None for any.

    A tag that is weak or none of ours names no version (RFC 9110: If-Match compares strongly). Raises falcon's errors for 428 when the
    header is required and missing, and 400 when it cannot be read.
    """
    header = req.get_header("If-Match")
    if header is None:
        if not required:
            return None
        raise falcon.HTTPPreconditionRequired(
            description='say which version you change: send its ETag as If-Match, or "If-Match: *" for whichever is there'
        )
    if header.strip() == "*":
        return None
    if not _TAGS.fullmatch(header):
        raise falcon.HTTPBadRequest(description='If-Match takes entity tags in quotes, such as "3", or *')
    return frozenset(map(int, _VERSION.findall(header)))
