"""AES-256-GCM over what is kept of a person: every text is bound to whose it is, what it is and which version."""

from __future__ import annotations

import os
from struct import Struct
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag

from peopleinfo.errors import StoreDamaged

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY: Final = 32  # bytes
RECORD: Final = b"r"  # the JSON of a person
RESPONSE: Final = b"a"  # the answer kept under an idempotency key
_FORM: Final = b"\x01"  # of what follows; no JSON text begins with it
# Chosen at random each time: two writers may both be making version 5 of a person, so a nonce made of the version would be used twice.
_NONCE: Final = 12
_TEXT: Final = 1 + _NONCE  # where the text begins
_bound: Final = Struct(">1s1s16sQ").pack  # form, kind, owner, version: for each person of a page, so it has to be quick


class DecryptionFailed(StoreDamaged):
    """Something sealed, or its key, was changed, or belongs to somebody else."""

    def __init__(self) -> None:
        super().__init__("a stored value cannot be decrypted with its key")


def encrypt(key: AESGCM, owner: bytes, kind: bytes, version: int, text: bytes) -> bytes:
    """Encrypt what is kept of `owner` (the 16 bytes behind the id)."""
    nonce = os.urandom(_NONCE)
    return _FORM + nonce + key.encrypt(nonce, text, _bound(_FORM, kind, owner, version))


def decrypt(key: AESGCM, owner: bytes, kind: bytes, version: int, sealed: bytes) -> bytes:
    """Return what was sealed for this owner, kind and version. Raises DoesNotOpen."""
    if sealed[:1] != _FORM:
        raise DecryptionFailed
    try:
        return key.decrypt(sealed[1:_TEXT], sealed[_TEXT:], _bound(_FORM, kind, owner, version))
    except (InvalidTag, ValueError) as error:
        raise DecryptionFailed from error


def is_encrypted(kept: bytes) -> bool:
    """Say whether something kept is sealed, and not the JSON of a plain store."""
    return kept[:1] == _FORM


def wrap(outer: AESGCM, key: bytes, bound_to: bytes) -> bytes:
    """Encrypt a key under another one."""
    nonce = os.urandom(_NONCE)
    return nonce + outer.encrypt(nonce, key, bound_to)


def unwrap(outer: AESGCM, wrapped: bytes, bound_to: bytes) -> bytes:
    """Return the key. Raises DoesNotOpen."""
    try:
        return outer.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], bound_to)
    except (InvalidTag, ValueError) as error:
        raise DecryptionFailed from error
