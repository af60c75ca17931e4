"""The format of cached responses: encrypted and bound to their key and page.

Any client of Redis may write to any key. Only entries that this deployment stored under the same key and page can be decrypted.
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
# The last digits of a Redis key select the encryption key. With a single key, a random nonce could repeat within a few years.
_DIGITS: Final = 2


class Entries:
    """Encrypts and decrypts responses with AES-GCM."""

    def __init__(self, secret: bytes) -> None:
        self._secret = derive_key(secret, "cached answers")
        self._box = lru_cache(16**_DIGITS)(self._box_of)

    def encrypt(self, key: str, page: str, response: bytes) -> bytes:
        """Return the entry to store under a Redis key and a page."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._box(key[-_DIGITS:]).encrypt(nonce, response, _context(key, page))

    def decrypt(self, key: str, page: str, stored: bytes) -> bytes | None:
        """Return the response, or None if the entry was not encrypted for this key and page."""
        try:
            return self._box(key[-_DIGITS:]).decrypt(stored[:_NONCE], stored[_NONCE:], _context(key, page))
        except (InvalidTag, ValueError):
            return None

    def _box_of(self, digits: str) -> AESGCM:
        return AESGCM(blake2b(digits.encode(), key=self._secret, digest_size=32).digest())


def _context(key: str, page: str) -> bytes:
    return f"{key} {page}".encode()
