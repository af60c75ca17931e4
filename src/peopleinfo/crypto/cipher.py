"""Authenticated encryption with AES-256-GCM: one class for records, keys, cookies, cursors, cached responses and backups."""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peopleinfo.errors import DecryptionFailed

KEY_SIZE: Final = 32  # bytes
# Nonces are random: two writers may both be creating version 5 of a record, so a nonce derived from the version would repeat.
# Random nonces of 12 bytes are safe for 2^32 texts under one key (NIST SP 800-38D).
_NONCE_SIZE: Final = 12
_COPIED_SIZE: Final = 4096  # bytes; a longer ciphertext is decrypted without a copy


class Cipher:
    """Encrypts texts with one key. A ciphertext has a fixed prefix and a random nonce, and is bound to its context.

    The context is authenticated but not stored: the same bytes are required for decryption.
    """

    __slots__ = ("_decrypt", "_encrypt", "_prefix", "_start")

    def __init__(self, key: bytes, *, prefix: bytes = b"") -> None:
        aead = AESGCM(key)
        self._encrypt = aead.encrypt
        self._decrypt = aead.decrypt
        self._prefix = prefix
        self._start = len(prefix) + _NONCE_SIZE

    def encrypt(self, text: bytes, context: bytes = b"") -> bytes:
        """Return the ciphertext of a text in a context."""
        nonce = os.urandom(_NONCE_SIZE)
        return self._prefix + nonce + self._encrypt(nonce, text, context)

    def decrypt(self, ciphertext: bytes, context: bytes = b"") -> bytes:
        """Return the text. Raises DecryptionFailed unless it was encrypted with this key in this context."""
        start = self._start
        rest: bytes | memoryview = (
            ciphertext[start:] if len(ciphertext) <= _COPIED_SIZE else memoryview(ciphertext)[start:]
        )
        if not ciphertext.startswith(self._prefix):
            raise DecryptionFailed
        try:
            return self._decrypt(ciphertext[start - _NONCE_SIZE : start], rest, context)
        except (InvalidTag, ValueError) as error:
            raise DecryptionFailed from error

    def nonce(self, ciphertext: bytes) -> bytes:
        """Return the nonce of a ciphertext, which identifies it."""
        return ciphertext[self._start - _NONCE_SIZE : self._start]
