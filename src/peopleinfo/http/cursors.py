"""Pagination cursors: encrypted positions, each valid for one search by one principal."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from peopleinfo.crypto.cipher import Cipher
from peopleinfo.crypto.person_ids import derive_key
from peopleinfo.errors import DecryptionFailed, InvalidCursor, InvalidToken

_CHANGES: Final = b"changes"


class Cursors:
    """Encrypts store positions into cursors, which every process of a deployment can decrypt."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = Cipher(derive_key(secret, "cursors"))

    def encode(self, position: bytes, search: bytes, principal: str) -> str:
        """Return the cursor of a position; `search` is the fingerprint of the search."""
        return _to_text(self._cipher.encrypt(position, _context(search, principal)))

    def decode(self, cursor: str, search: bytes, principal: str) -> bytes:
        """Return the position in a cursor. Raises InvalidCursor, also for the cursor of another principal."""
        try:
            encrypted = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            if _to_text(encrypted) != cursor:  # base64 is not canonical: several texts decode to the same bytes
                raise InvalidCursor
            return self._cipher.decrypt(encrypted, _context(search, principal))
        except (ValueError, DecryptionFailed):
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
