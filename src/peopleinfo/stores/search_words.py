"""The words of a search index: the hashes that replace them in an encrypted store, and the filters of a lookup."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from peopleinfo.crypto.person_ids import derive_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

CODE: Final = "#"  # marks a hash among words
ORDER_CODE: Final = 4  # characters of a hash in an order
_CODE_SIZE: Final = 8  # bytes of the hash of a word
_FEW: Final = 4  # words of a filter that are searched as a pattern


def word_coder(secret: bytes) -> Callable[[str], str]:
    """Return the function that replaces each word in an index of hashes."""
    key = derive_key(secret, "search index")

    @lru_cache(maxsize=65_536)
    def code(word: str) -> str:
        return blake2b(word.encode(), key=key, digest_size=_CODE_SIZE).hexdigest()

    return code


def code_of(word: str, code: Callable[[str], str]) -> str:
    """Return the hash of a word, or the hash that `similar_words` returned."""
    return word[len(CODE) :] if word.startswith(CODE) else code(word)


def coded_filters(filters: Iterable[frozenset[str]], code: Callable[[str], str]) -> tuple[frozenset[str], ...]:
    """Return the filters with hashes in place of words, without filters by the start of a word."""
    return tuple(
        frozenset(code_of(word, code)[:ORDER_CODE] for word in words)
        for words in filters
        if not any(word.endswith("*") for word in words)
    )


def order_filter(filters: Sequence[frozenset[str]]) -> Callable[[str], bool]:
    """Return a function that returns whether the words of an order pass all filters."""
    checks = [_few(words) if len(words) <= _FEW else _many(words) for words in filters]
    return lambda order: all(passes(order) for passes in checks)


def _few(words: frozenset[str]) -> Callable[[str], object]:
    """Return the check of one filter as a search for a pattern: for few words, it is the fastest."""
    ends = [re.escape(word[:-1]) if word.endswith("*") else rf"{re.escape(word)}(?![^\t ])" for word in sorted(words)]
    return re.compile(rf"(?<![^\t ])(?:{'|'.join(ends)})").search


def _many(words: frozenset[str]) -> Callable[[str], bool]:
    """Return the check of one filter by its whole words, then by its starts of words."""
    starts = tuple(word[:-1] for word in words if word.endswith("*"))
    whole = frozenset(word for word in words if not word.endswith("*"))

    def passes(order: str) -> bool:
        found = order.replace("\t", " ").split(" ")
        return not whole.isdisjoint(found) or (bool(starts) and any(name.startswith(starts) for name in found))

    return passes
