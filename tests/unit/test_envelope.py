"""Decryption requires the owner, kind and version of the encryption, and nonces are unique."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peopleinfo.crypto.envelope import KEY_SIZE, RECORD, RESPONSE, decrypt, encrypt, unwrap, wrap
from peopleinfo.errors import DecryptionFailed

OWNER, OTHER = b"o" * 16, b"p" * 16
BOX = AESGCM(bytes(KEY_SIZE))


def test_record_is_decrypted_only_with_its_owner_kind_and_version() -> None:
    ciphertext = encrypt(BOX, OWNER, RECORD, 3, b"text")
    assert decrypt(BOX, OWNER, RECORD, 3, ciphertext) == b"text"
    for owner, kind, version in ((OTHER, RECORD, 3), (OWNER, RESPONSE, 3), (OWNER, RECORD, 2)):
        with pytest.raises(DecryptionFailed):
            decrypt(BOX, owner, kind, version, ciphertext)


def test_key_is_decrypted_only_with_its_owner() -> None:
    key = os.urandom(KEY_SIZE)
    wrapped = wrap(BOX, key, b"key" + OWNER)
    assert unwrap(BOX, wrapped, b"key" + OWNER) == key
    with pytest.raises(DecryptionFailed):
        unwrap(BOX, wrapped, b"key" + OTHER)


@pytest.mark.parametrize("damage", ["cut off", "empty", "longer", "not encrypted"])
def test_modified_ciphertext_is_rejected(damage: str) -> None:
    ciphertext, wrapped = encrypt(BOX, OWNER, RECORD, 1, b"text"), wrap(BOX, bytes(KEY_SIZE), b"")
    with pytest.raises(DecryptionFailed):
        decrypt(BOX, OWNER, RECORD, 1, _damaged(ciphertext, damage))
    with pytest.raises(DecryptionFailed):
        unwrap(BOX, _damaged(wrapped, damage), b"")


def _damaged(text: bytes, damage: str) -> bytes:
    return {"cut off": text[:-1], "empty": b"", "longer": text + b"x", "not encrypted": b"{}"}[damage]


def test_nonces_are_unique() -> None:
    assert len({encrypt(BOX, OWNER, RECORD, 1, b"text")[:13] for _ in range(100)}) == 100
    assert len({wrap(BOX, bytes(KEY_SIZE), b"")[:12] for _ in range(100)}) == 100
