"""Name folding: Müller, MULLER and Muller have the same key.

NFKD → case folding → marks stripped → transliteration → apostrophes, hyphens and periods removed → single spaces → NFC.
Identifiers are never folded. Every stored key contains `FOLD_VERSION`: increment it with every change of the rules.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

FOLD_VERSION = 1
_MAX_CACHED_LENGTH = 64  # characters

# Letters without a Unicode decomposition → their usual ASCII spelling.
# Lower case only: case folding comes first, and has already turned ß into ss.
_TRANSLITERATION = str.maketrans({
    "æ": "ae", "ǽ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h", "ŧ": "t",
    "ŋ": "ng", "ĸ": "k", "ƒ": "f", "ƶ": "z", "ɨ": "i", "ʉ": "u", "ɉ": "j", "ɍ": "r", "ɏ": "y", "ƀ": "b", "ɓ": "b",
    "ɖ": "d", "ɗ": "d", "ɠ": "g", "ɡ": "g", "ƙ": "k", "ɫ": "l", "ɲ": "n", "ɔ": "o", "ɛ": "e", "ǝ": "e", "ə": "e",
    "ʈ": "t", "ʋ": "v", "ⱥ": "a", "ȼ": "c", "ɇ": "e", "ǥ": "g", "ƚ": "l", "ŀ": "l", "ᵽ": "p", "ⱦ": "t",
})  # fmt: skip
_STRIPPED = (
    "Mn",
    "Me",
    "Cf",
)  # Unicode categories: marks, and invisible format characters such as the zero-width joiner

# Punctuation with many variants, often omitted. Removed before NFKD, which would turn some of it into spaces.
_APOSTROPHES = "'`´‘’‚‛′‵ʹʺʻʼʽʾʿˈˊˋ՚׳״＇ꞌ"
_HYPHENS = "-\u00ad‐‑‒–—―−⁃﹘﹣－־·‧・"
_PERIODS = ".․。．｡"
_REMOVED = dict.fromkeys(map(ord, _APOSTROPHES + _HYPHENS + _PERIODS))


def fold(name: str) -> str:
    """Return the search key of a name, for example `garcialopez` for García-López. Folding is idempotent.

    The key of a name that consists only of marks and punctuation is its case-folded spelling, so that a search can find it.
    """
    return _cached_fold(name) if len(name) <= _MAX_CACHED_LENGTH else _fold(name)


def _fold(name: str) -> str:
    key = name.lower() if name.isascii() else _unaccented(name)
    key = " ".join(key.translate(_REMOVED).split())
    return key or " ".join(unicodedata.normalize("NFC", name.casefold()).split())


_cached_fold = lru_cache(maxsize=65536)(_fold)  # at most 40 MiB; a quarter of that for names of usual length


def _unaccented(name: str) -> str:
    text = unicodedata.normalize("NFKD", name.translate(_REMOVED)).casefold()
    # Case folding composes some letters (ΐ), so decompose again.
    letters = unicodedata.normalize("NFKD", text)
    stripped = "".join(letter for letter in letters if unicodedata.category(letter) not in _STRIPPED)
    return unicodedata.normalize("NFC", stripped.translate(_TRANSLITERATION))
