"""Headers of requests: media types, the charset, cookies, Cache-Control and Idempotency-Key."""

from __future__ import annotations

import re
from typing import Final

import falcon
import falcon.asgi

from peopleinfo.people.idempotency import ClientKey

_MEDIA_TYPE_LENGTH: Final = 200
_LIST_LENGTH: Final = 1024  # characters of a preference list such as Accept
_KEY_LENGTH: Final = 255
# Any parameter except a charset other than UTF-8.
_UTF8: Final = re.compile(r"""(?!\s*charset\s*=).*|\s*charset="?utf-?8"?\s*""")
_CHARSET: Final = re.compile(r"""\s*charset\s*=\s*"?([^"\s]*)"?\s*""")


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


def is_fresh(req: falcon.asgi.Request) -> bool:
    """Return whether the request bypasses the cache with `Cache-Control: no-cache` (RFC 9111)."""
    return "no-cache" in (req.get_header("Cache-Control") or "").lower()


def idempotency_key(req: falcon.asgi.Request) -> ClientKey | None:
    """Return the Idempotency-Key of the principal, or None. Raises HTTPBadRequest."""
    key: str | None = req.get_header("Idempotency-Key")
    if key is not None and not 1 <= len(key) <= _KEY_LENGTH:
        raise falcon.HTTPBadRequest(
            description=f"the header Idempotency-Key must have 1 to {_KEY_LENGTH} characters, for example a UUID"
        )
    return None if key is None else ClientKey(req.context.principal.name, key)
