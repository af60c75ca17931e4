"""Ids that say nothing and yet lead straight to their record: one AES block under the deployment's key, in hexadecimal.

A store packs where a person lies (its key) into 16 bytes; the id is that block enciphered. So no index from ids to places is needed, ids
cannot be guessed or counted, and a made-up id is told from a real one without asking the store when the block carries a check.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from peopleinfo.people.person import is_id

BLOCK_SIZE: Final = 16


def derive_key(secret: bytes, purpose: str) -> bytes:
    """Derive the 32-byte key for one purpose from the deployment's secret (HKDF, RFC 5869)."""
    return HKDF(SHA256(), length=32, salt=None, info=f"peopleinfo {purpose}".encode()).derive(secret)


class IdCipher:
    """Turns blocks into ids and back; every process of a deployment makes the same ids. Not for several threads at once."""

    def __init__(self, secret: bytes) -> None:
        # A single block of a keyed permutation: there is nothing to chain and nothing to hide but the block itself.
        cipher = Cipher(algorithms.AES(derive_key(secret, "person ids")), modes.ECB())  # noqa: S305
        self._encipher = cipher.encryptor().update
        self._decipher = cipher.decryptor().update

    def encode(self, block: bytes) -> str:
        """Return the id of a 16-byte block: 32 digits of 0-9 and a-f."""
        return self._encipher(block).hex()

    def decode(self, person_id: str) -> bytes | None:
        """Return the 16 bytes behind an id, or None when the text has not the form of one."""
        if not is_id(person_id):
            return None
        return self._decipher(bytes.fromhex(person_id))
