"""The fold of names: what makes Müller, MULLER and Muller one surname.

NFKD → case fold → marks stripped → letter table → apostrophes, hyphens, periods dropped → single spaces → NFC.
Identifiers are never folded. Change the fold only together with `FOLD_VERSION`: every stored key carries it.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

FOLD_VERSION = 1
_SHORT = 64  # characters of a name whose key is remembered

# Letters that Unicode does not take apart, and what people type who do not have them on their keyboard.
# Lower case only: the table is applied after the case fold, which has already turned ß into ss.
_TRANSLITERATION = str.maketrans({
    "æ": "ae", "ǽ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h", "ŧ": "t",
    "ŋ": "ng", "ĸ": "k", "ƒ": "f", "ƶ": "z", "ɨ": "i", "ʉ": "u", "ɉ": "j", "ɍ": "r", "ɏ": "y", "ƀ": "b", "ɓ": "b",
    "ɖ": "d", "ɗ": "d", "ɠ": "g", "ɡ": "g", "ƙ": "k", "ɫ": "l", "ɲ": "n", "ɔ": "o", "ɛ": "e", "ǝ": "e", "ə": "e",
    "ʈ": "t", "ʋ": "v", "ⱥ": "a", "ȼ": "c", "ɇ": "e", "ǥ": "g", "ƚ": "l", "ŀ": "l", "ᵽ": "p", "ⱦ": "t",
})  # fmt: skip
_STRIPPED = ("Mn", "Me", "Cf")  # marks, and invisible format characters such as the zero-width joiner

# Written in many ways and left out in as many: dropped before NFKD, which would turn some of them into spaces.
_APOSTROPHES = "'`´‘’‚‛′‵ʹʺʻʼʽʾʿˈˊˋ՚׳״＇ꞌ"
_HYPHENS = "-\u00ad‐‑‒–—―−⁃﹘﹣－־·‧・"
_PERIODS = ".․。．｡"
_DROPPED = dict.fromkeys(map(ord, _APOSTROPHES + _HYPHENS + _PERIODS))


def fold(name: str) -> str:
    """Return the key under which a name is stored and looked up; folding a key again changes nothing.

    A name made of nothing but marks and punctuation keeps its case-folded spelling as its key, so it can still be found.
    """
    return _remembered(name) if len(name) <= _SHORT else _fold(name)


def _fold(name: str) -> str:
    key = name.lower() if name.isascii() else _unaccented(name)
    key = " ".join(key.translate(_DROPPED).split())
    return key or " ".join(unicodedata.normalize("NFC", name.casefold()).split())


_remembered = lru_cache(maxsize=65536)(_fold)  # at most 40 MiB, of which usual names take a quarter


def _unaccented(name: str) -> str:
    text = unicodedata.normalize("NFKD", name.translate(_DROPPED)).casefold()
    # Case folding composes some letters anew (ΐ), and NFKD takes them apart again.
    letters = unicodedata.normalize("NFKD", text)
    kept = "".join(letter for letter in letters if unicodedata.category(letter) not in _STRIPPED)
    return unicodedata.normalize("NFC", kept.translate(_TRANSLITERATION))
