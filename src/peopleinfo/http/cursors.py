"""Cursors: where a page ended, as a token that says nothing, cannot be made up and fits one search of one principal only."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peopleinfo.crypto.ids import derive_key
from peopleinfo.errors import PeopleInfoError

_NONCE: Final = 12  # bytes (NIST SP 800-38D); at random, good for 2^32 cursors of one secret


class InvalidCursor(PeopleInfoError):
    """The cursor was not given by this service to this principal for this search."""

    def __init__(self) -> None:
        super().__init__("this cursor was not given for this search: begin again without one")


class Cursors:
    """Seals positions of the store into cursors; every process of a deployment opens them alike."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(derive_key(secret, "cursors"))

    def encode(self, position: bytes, search: bytes, principal: str) -> str:
        """Return the cursor of a position in the pages of a principal's search (any bytes that tell searches apart)."""
        nonce = os.urandom(_NONCE)
        return _text(nonce + self._cipher.encrypt(nonce, position, _context(search, principal)))

    def decode(self, cursor: str, search: bytes, principal: str) -> bytes:
        """Return the position. Raises InvalidCursor, also when it was given to another principal."""
        try:
            sealed = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            if _text(sealed) != cursor:  # base64 leaves room for texts that mean the same
                raise InvalidCursor
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _context(search, principal))
        except (ValueError, InvalidTag):
            raise InvalidCursor from None


def _context(search: bytes, principal: str) -> bytes:
    return principal.encode() + b"\0" + search  # no name of a principal holds a NUL


def _text(sealed: bytes) -> str:
    return urlsafe_b64encode(sealed).decode().rstrip("=")
