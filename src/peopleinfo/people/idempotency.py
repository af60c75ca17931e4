"""Idempotency keys: the key that a client sends, and the digests that a store keeps."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

IDEMPOTENCY_TTL: Final = 24 * 60 * 60


class ClientKey(NamedTuple):
    """A key that a client chose for an operation, for example its Idempotency-Key. Each principal has its own keys."""

    principal: str
    """The name of the principal, which does not change when its API key is rotated."""
    key: str

    @property
    def encoded(self) -> bytes:
        """Bytes that are unique to the principal and the key."""
        return msgspec.json.encode(self)


class IdempotencyKey(NamedTuple):
    """Digests that make a creation idempotent: of the client's key and of the content of the request, 32 bytes each."""

    key: bytes
    content: bytes
