"""Pagination cursors: encrypted positions, each valid for one search by one principal."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peopleinfo.crypto.ids import derive_key
from peopleinfo.errors import InvalidCursor, InvalidToken

_CHANGES: Final = b"changes"
_NONCE_SIZE: Final = 12  # bytes (NIST SP 800-38D); random nonces are safe for 2^32 cursors per secret


class Cursors:
    """Encrypts store positions into cursors, which every process of a deployment can decrypt."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(derive_key(secret, "cursors"))

    def encode(self, position: bytes, search: bytes, principal: str) -> str:
        """Return the cursor of a position; `search` is the fingerprint of the search."""
        nonce = os.urandom(_NONCE_SIZE)
        return _to_text(nonce + self._cipher.encrypt(nonce, position, _context(search, principal)))

    def decode(self, cursor: str, search: bytes, principal: str) -> bytes:
        """Return the position in a cursor. Raises InvalidCursor, also for the cursor of another principal."""
        try:
            encrypted = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            if _to_text(encrypted) != cursor:  # base64 is not canonical: several texts decode to the same bytes
                raise InvalidCursor
            return self._cipher.decrypt(encrypted[:_NONCE_SIZE], encrypted[_NONCE_SIZE:], _context(search, principal))
        except (ValueError, InvalidTag):
            raise InvalidCursor from None


class ChangeTokens:
    """Encrypts positions in the feed of changes into tokens.

    A token is valid for every principal, so that one of them can continue after the export of another.
    """

    def __init__(self, secret: bytes) -> None:
        self._cursors = Cursors(secret)

    def encode(self, position: bytes) -> str:
        """Return the token of a position."""
        return self._cursors.encode(position, _CHANGES, "")

    def decode(self, token: str) -> bytes:
        """Return the position of a token. Raises InvalidToken."""
        try:
            return self._cursors.decode(token, _CHANGES, "")
        except InvalidCursor:
            raise InvalidToken from None


def _context(search: bytes, principal: str) -> bytes:
    return principal.encode() + b"\0" + search  # names of principals contain no NUL


def _to_text(encrypted: bytes) -> str:
    return urlsafe_b64encode(encrypted).decode().rstrip("=")
