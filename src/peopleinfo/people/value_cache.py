"""A bounded cache of what is derived from values that many people share, such as names, words of addresses and birthdates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

MAX_CACHED_LENGTH: Final = 64  # characters


class ValueCache(dict[str, T]):
    """A dictionary in which `cache[text]` derives a missing value from its text. Safe to share between threads.

    Unlike in `lru_cache`, a hit changes no memory. When half of the size is used, the values become those of the earlier generation, which the
    cache still finds until the next half is used.
    """

    def __init__(self, derive: Callable[[str], T], size: int) -> None:
        super().__init__()
        self._derive = derive
        self._half = size // 2
        self._earlier: dict[str, T] = {}

    def __missing__(self, text: str) -> T:
        value = self._earlier.get(text)
        if value is None:
            value = self._derive(text)
        if len(text) <= MAX_CACHED_LENGTH:
            if len(self) >= self._half:
                self._earlier = dict(self)
                self.clear()
            self[text] = value
        return value
