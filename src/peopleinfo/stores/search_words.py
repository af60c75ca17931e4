"""The words of a search index: the hashes that replace them in an encrypted store, and the filters of a lookup."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from peopleinfo.crypto.person_ids import derive_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

CODE: Final = "#"  # marks a hash among words
ORDER_CODE: Final = 4  # characters of a hash in an order
_CODE_SIZE: Final = 8  # bytes of the hash of a word


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
    prepared = [_prepare(words) for words in filters]

    def passes(order: str) -> bool:
        found = order.replace("\t", " ").split(" ")
        return all(
            not words.isdisjoint(found) or (starts and any(name.startswith(starts) for name in found))
            for words, starts in prepared
        )

    return passes


def _prepare(words: frozenset[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Split a filter into whole words and starts of words."""
    starts = tuple(word[:-1] for word in words if word.endswith("*"))
    return frozenset(word for word in words if not word.endswith("*")), starts
