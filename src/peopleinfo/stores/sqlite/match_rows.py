"""Match entries as rows of the search index: hashes as text in the order of their bytes."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING, Final

from peopleinfo.matching.blocking_keys import SUB_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

_KIND: Final = "m"  # of the key
FIRST_KEY: Final = _KIND.encode()  # before all keys of entries
AFTER_KEYS: Final = chr(ord(_KIND) + 1)
_TEXT_SIZE: Final = 11  # characters
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
    return _texts([sub])[0]


def texts_of(keys: Sequence[bytes], sub: bytes) -> tuple[list[str], str]:
    """Return the keys and the order of the rows of a person. One conversion of all costs a third of one of each."""
    order, *texts = _texts([sub, *keys])
    return [_KIND + text for text in texts], order


def _texts(hashes: Sequence[bytes]) -> list[str]:
    """Return hashes of 8 bytes as 11 characters each."""
    padded = b"\0".join(hashes) + b"\0"  # without a padding of their own
    text = b2a_base64(padded, newline=False).translate(_ENCODE).decode()
    return [text[start : start + _TEXT_SIZE] for start in range(0, len(text), _TEXT_SIZE + 1)]


def sub_of(text: str) -> bytes:
    """Return the sub in the order of a row."""
    return a2b_base64(text.encode().translate(_DECODE) + b"=")


def sub_range(prefix: bytes) -> tuple[str, str]:
    """Return the first and the last order of the subs with a prefix."""
    return sub_text(prefix.ljust(SUB_SIZE, b"\0")), sub_text(prefix.ljust(SUB_SIZE, b"\xff"))
