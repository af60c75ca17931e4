"""How a response is stored in Redis: encrypted and bound to its key and page.

Any client of Redis may write anything under any key. Only what this deployment has stored under this key and page is opened.
"""

from __future__ import annotations

import secrets
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peopleinfo.crypto.ids import derive_key

_NONCE: Final = 12  # bytes before an encrypted response
# The last digits of a Redis key choose the encryption key. Under a single one, a random nonce might be used twice in a few years.
_DIGITS: Final = 2


class Entries:
    """Encrypts responses with AES-GCM, and opens what was stored."""

    def __init__(self, secret: bytes) -> None:
        self._secret = derive_key(secret, "cached answers")
        self._box = lru_cache(16**_DIGITS)(self._box_of)

    def encrypt(self, key: str, page: str, answer: bytes) -> bytes:
        """Return what to store under a Redis key and a page."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._box(key[-_DIGITS:]).encrypt(nonce, answer, _context(key, page))

    def decrypt(self, key: str, page: str, stored: bytes) -> bytes | None:
        """Return the response, or None when it was not encrypted for the same key and page."""
        try:
            return self._box(key[-_DIGITS:]).decrypt(stored[:_NONCE], stored[_NONCE:], _context(key, page))
        except (InvalidTag, ValueError):
            return None

    def _box_of(self, digits: str) -> AESGCM:
        return AESGCM(blake2b(digits.encode(), key=self._secret, digest_size=32).digest())


def _context(key: str, page: str) -> bytes:
    return f"{key} {page}".encode()
