"""The encrypted form of records: one key per person. The context binds each ciphertext to its kind, owner and version."""

from __future__ import annotations

from functools import partial
from struct import Struct
from typing import TYPE_CHECKING, Final

from peopleinfo.crypto.cipher import Cipher

if TYPE_CHECKING:
    from collections.abc import Callable

RECORD: Final = b"r"  # kind: the JSON of a person
RESPONSE: Final = b"a"  # kind: the response stored under an idempotency key
MERGE_LOG: Final = b"m"  # kind: the events of a record into which others are merged
_FORMAT: Final = b"\x01"  # first byte of a ciphertext; no JSON text starts with it

context: Final[Callable[[bytes, bytes, int], bytes]] = partial(Struct(">1s1s16sQ").pack, _FORMAT)
"""Return the context of a text: its kind, its owner (the 16 bytes encoded in the person's id) and its version.

Runs for each record of a page, so it must be fast.
"""


def record_cipher(key: bytes) -> Cipher:
    """Return the cipher of a person's key."""
    return Cipher(key, prefix=_FORMAT)


def is_encrypted(stored: bytes) -> bool:
    """Return whether a stored value is encrypted rather than JSON."""
    return stored[:1] == _FORMAT
