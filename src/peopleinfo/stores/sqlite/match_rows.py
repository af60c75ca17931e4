"""Match entries as rows of the search index: hashes as text in the order of their bytes."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from typing import Final

from peopleinfo.matching.blocking_keys import SUB_SIZE

_KIND: Final = "m"  # of the key
FIRST_KEY: Final = _KIND.encode()  # before all keys of entries
AFTER_KEYS: Final = chr(ord(_KIND) + 1)
_STANDARD: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_IN_ORDER: Final = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"  # of the bytes
_ENCODE: Final = bytes.maketrans(_STANDARD, _IN_ORDER)
_DECODE: Final = bytes.maketrans(_IN_ORDER, _STANDARD)


def key_text(key: bytes) -> str:
    """Return the key of the row of an entry."""
    return _KIND + sub_text(key)


def key_of(text: str) -> bytes:
    """Return the key of the entry in a row."""
    return sub_of(text.removeprefix(_KIND))


def sub_text(sub: bytes) -> str:
    """Return the order of the row of an entry."""
    return b2a_base64(sub, newline=False).rstrip(b"=").translate(_ENCODE).decode()


def sub_of(text: str) -> bytes:
    """Return the sub in the order of a row."""
    return a2b_base64(text.encode().translate(_DECODE) + b"=")


def sub_range(prefix: bytes) -> tuple[str, str]:
    """Return the first and the last order of the subs with a prefix."""
    return sub_text(prefix.ljust(SUB_SIZE, b"\0")), sub_text(prefix.ljust(SUB_SIZE, b"\xff"))
