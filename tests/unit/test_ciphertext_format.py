"""Decryption requires the key and the context of the encryption, nonces are unique, and the stored form does not change."""

from __future__ import annotations

import os

import pytest

from peopleinfo.crypto.cipher import KEY_SIZE, Cipher
from peopleinfo.crypto.ciphertext_format import RECORD, RESPONSE, context, is_encrypted, record_cipher
from peopleinfo.errors import DecryptionFailed

OWNER, OTHER = b"o" * 16, b"p" * 16
KEYS, RECORDS = Cipher(bytes(KEY_SIZE)), record_cipher(bytes(KEY_SIZE))
# As stored by the first release: a key, and a record with its format byte.
STORED_KEY = bytes.fromhex(
    "6e6e6e6e6e6e6e6e6e6e6e6ec1a4a6e61b7a6a01bc4d96b4431a6456bfb5ced0fb79d7db3116ba934d096db80a2a898448961f8909e6dbb2c0ff50a1"
)
STORED_RECORD = bytes.fromhex(
    "016e6e6e6e6e6e6e6e6e6e6e6ed1edbde802626e0488489cb24d53351f95b0cbdab26f2566e8398f418778d9b0f6059905edfe"
)


def test_record_is_decrypted_only_with_its_owner_kind_and_version() -> None:
    ciphertext = RECORDS.encrypt(b"text", context(RECORD, OWNER, 3))
    assert is_encrypted(ciphertext)
    assert RECORDS.decrypt(ciphertext, context(RECORD, OWNER, 3)) == b"text"
    for owner, kind, version in ((OTHER, RECORD, 3), (OWNER, RESPONSE, 3), (OWNER, RECORD, 2)):
        with pytest.raises(DecryptionFailed):
            RECORDS.decrypt(ciphertext, context(kind, owner, version))


def test_key_is_decrypted_only_with_its_owner() -> None:
    key = os.urandom(KEY_SIZE)
    wrapped = KEYS.encrypt(key, b"key" + OWNER)
    assert KEYS.decrypt(wrapped, b"key" + OWNER) == key
    with pytest.raises(DecryptionFailed):
        KEYS.decrypt(wrapped, b"key" + OTHER)


@pytest.mark.parametrize("text", [b"", b"text", os.urandom(5_000)], ids=["empty", "short", "long"])
@pytest.mark.parametrize("damage", ["cut off", "empty", "longer", "not encrypted"])
def test_modified_ciphertext_is_rejected(text: bytes, damage: str) -> None:
    for cipher in (KEYS, RECORDS):
        ciphertext = cipher.encrypt(text, b"c")
        assert cipher.decrypt(ciphertext, b"c") == text
        with pytest.raises(DecryptionFailed):
            cipher.decrypt(_damaged(ciphertext, damage), b"c")


def _damaged(text: bytes, damage: str) -> bytes:
    return {"cut off": text[:-1], "empty": b"", "longer": text + b"x", "not encrypted": b"{}"}[damage]


def test_nonces_are_unique() -> None:
    assert len({RECORDS.encrypt(b"text", context(RECORD, OWNER, 1))[:13] for _ in range(100)}) == 100
    assert len({KEYS.nonce(KEYS.encrypt(b"text")) for _ in range(100)}) == 100


def test_stored_ciphertexts_of_earlier_releases_are_decrypted() -> None:
    assert KEYS.decrypt(STORED_KEY, b"key" + OWNER) == b"k" * KEY_SIZE
    assert RECORDS.decrypt(STORED_RECORD, context(RECORD, OWNER, 3)) == b'{"person_name":"Anna"}'
