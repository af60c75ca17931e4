"""Opaque ids: an id is the record's 16-byte storage key, encrypted as one AES block and written in hexadecimal.

No index from ids to storage keys is needed, and ids can be neither guessed nor counted. When the block contains check bytes, a forged id is
recognised without a query to the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from peopleinfo.people.person import is_id

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK_SIZE: Final = 16


def derive_key(secret: bytes, purpose: str) -> bytes:
    """Derive the 32-byte key for one purpose from the deployment's secret (HKDF, RFC 5869)."""
    return HKDF(SHA256(), length=32, salt=None, info=f"peopleinfo {purpose}".encode()).derive(secret)


class IdCipher:
    """Converts blocks to ids and back; every process of a deployment produces the same ids. `encode` and `decode` may each be used by one thread."""

    def __init__(self, secret: bytes) -> None:
        # ECB is safe here: each id is a single, unique block.
        cipher = Cipher(algorithms.AES(derive_key(secret, "person ids")), modes.ECB())  # noqa: S305
        self._encipher = cipher.encryptor().update
        self._decipher = cipher.decryptor().update

    def encode(self, block: bytes) -> str:
        """Return the id of a 16-byte block: 32 digits of 0-9 and a-f."""
        return self._encipher(block).hex()

    def decode(self, person_id: str) -> bytes | None:
        """Return the 16 bytes behind an id, or None if the text is not a well-formed id."""
        if not is_id(person_id):
            return None
        return self._decipher(bytes.fromhex(person_id))

    def decode_all(self, person_ids: Sequence[str]) -> bytes | None:
        """Return the blocks behind ids, joined, or None unless all ids are well-formed. One call costs less than one for each id."""
        text = "".join(person_ids)
        try:
            blocks = bytes.fromhex(text)
        except ValueError:
            return None
        are_ids = blocks.hex() == text and set(map(len, person_ids)) == {2 * BLOCK_SIZE}
        return self._decipher(blocks) if are_ids else None
