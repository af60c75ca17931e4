"""The format of cached responses: encrypted and bound to their key and page.

Any client of Redis may write to any key. Only entries that this deployment stored under the same key and page can be decrypted.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Final

from peopleinfo.crypto.cipher import KEY_SIZE, Cipher
from peopleinfo.crypto.person_ids import derive_key
from peopleinfo.errors import DecryptionFailed

# The last digits of a Redis key select the encryption key. With a single key, a random nonce could repeat within a few years.
_DIGITS: Final = 2


class Entries:
    """Encrypts and decrypts responses."""

    def __init__(self, secret: bytes) -> None:
        self._secret = derive_key(secret, "cached answers")
        self._cipher = lru_cache(16**_DIGITS)(self._cipher_of)

    def encrypt(self, key: str, page: str, response: bytes) -> bytes:
        """Return the entry to store under a Redis key and a page."""
        return self._cipher(key[-_DIGITS:]).encrypt(response, _context(key, page))

    def decrypt(self, key: str, page: str, stored: bytes) -> bytes | None:
        """Return the response, or None if the entry was not encrypted for this key and page."""
        try:
            return self._cipher(key[-_DIGITS:]).decrypt(stored, _context(key, page))
        except DecryptionFailed:
            return None

    def _cipher_of(self, digits: str) -> Cipher:
        return Cipher(blake2b(digits.encode(), key=self._secret, digest_size=KEY_SIZE).digest())


def _context(key: str, page: str) -> bytes:
    return f"{key} {page}".encode()
