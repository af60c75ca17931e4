"""AES-256-GCM encryption of records and keys. The associated data binds each ciphertext to its owner, kind and version."""

from __future__ import annotations

import os
from struct import Struct
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag

from peopleinfo.errors import DecryptionFailed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_SIZE: Final = 32  # bytes
RECORD: Final = b"r"  # kind: the JSON of a person
RESPONSE: Final = b"a"  # kind: the response stored under an idempotency key
_FORMAT: Final = b"\x01"  # first byte of a ciphertext; no JSON text starts with it
# Nonces are random: two writers may both be creating version 5 of a record, so a nonce derived from the version would repeat.
_NONCE_SIZE: Final = 12
_CIPHERTEXT_START: Final = 1 + _NONCE_SIZE
# Format, kind, owner, version. Runs for each record of a page, so it must be fast.
_associated_data: Final = Struct(">1s1s16sQ").pack


def encrypt(key: AESGCM, owner: bytes, kind: bytes, version: int, text: bytes) -> bytes:
    """Encrypt a text of `owner` (the 16 bytes encoded in the person's id)."""
    nonce = os.urandom(_NONCE_SIZE)
    return _FORMAT + nonce + key.encrypt(nonce, text, _associated_data(_FORMAT, kind, owner, version))


def decrypt(key: AESGCM, owner: bytes, kind: bytes, version: int, ciphertext: bytes) -> bytes:
    """Return the text encrypted for this owner, kind and version. Raises DecryptionFailed."""
    if ciphertext[:1] != _FORMAT:
        raise DecryptionFailed
    nonce, encrypted = ciphertext[1:_CIPHERTEXT_START], ciphertext[_CIPHERTEXT_START:]
    try:
        return key.decrypt(nonce, encrypted, _associated_data(_FORMAT, kind, owner, version))
    except (InvalidTag, ValueError) as error:
        raise DecryptionFailed from error


def is_encrypted(stored: bytes) -> bool:
    """Return whether a stored value is encrypted rather than JSON."""
    return stored[:1] == _FORMAT


def wrap(outer: AESGCM, key: bytes, bound_to: bytes) -> bytes:
    """Encrypt a key with another key."""
    nonce = os.urandom(_NONCE_SIZE)
    return nonce + outer.encrypt(nonce, key, bound_to)


def unwrap(outer: AESGCM, wrapped: bytes, bound_to: bytes) -> bytes:
    """Decrypt a wrapped key. Raises DecryptionFailed."""
    try:
        return outer.decrypt(wrapped[:_NONCE_SIZE], wrapped[_NONCE_SIZE:], bound_to)
    except (InvalidTag, ValueError) as error:
        raise DecryptionFailed from error
