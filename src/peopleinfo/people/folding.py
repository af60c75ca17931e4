"""Name folding: Müller, MULLER and Muller have the same key, and so have García-López and Garcia Lopez.

NFKD → case folding → marks and invisible characters stripped → transliteration → blanks and punctuation removed → NFC → Han variants.
Identifiers are never folded. Every stored key contains `FOLD_VERSION`: increment it with every change of the rules, and keep the
replaced rules until no store contains their keys (`outdated_fold`).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from importlib.resources import files

FOLD_VERSION = 2
_MAX_CACHED_LENGTH = 64  # characters

# Letters without a Unicode decomposition → their usual ASCII spelling.
# Lower case only: case folding comes first, and has already turned ß into ss.
_TRANSLITERATION = str.maketrans({
    "æ": "ae", "ǽ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h", "ŧ": "t",
    "ŋ": "ng", "ĸ": "k", "ƒ": "f", "ƶ": "z", "ɨ": "i", "ʉ": "u", "ɉ": "j", "ɍ": "r", "ɏ": "y", "ƀ": "b", "ɓ": "b",
    "ɖ": "d", "ɗ": "d", "ɠ": "g", "ɡ": "g", "ƙ": "k", "ɫ": "l", "ɲ": "n", "ɔ": "o", "ɛ": "e", "ǝ": "e", "ə": "e",
    "ʈ": "t", "ʋ": "v", "ⱥ": "a", "ȼ": "c", "ɇ": "e", "ǥ": "g", "ƚ": "l", "ŀ": "l", "ᵽ": "p", "ⱦ": "t",
})  # fmt: skip

# Letters that the readers of a script treat as the same: final forms, Persian and Urdu forms of Arabic letters, kana in either size.
_ARABIC = {"ى": "ي", "ی": "ي", "ې": "ي", "ے": "ي", "ک": "ك", "ڪ": "ك", "ة": "ه", "ہ": "ه", "ھ": "ه", "ە": "ه",
           "ۃ": "ه", "ٱ": "ا", "ں": "ن", "ـ": ""}  # fmt: skip
_HEBREW = {"ך": "כ", "ם": "מ", "ן": "נ", "ף": "פ", "ץ": "צ", "װ": "וו", "ױ": "וי", "ײ": "יי"}
_SMALL_KANA = dict(zip("ァィゥェォッャュョヮヵヶ", "アイウエオツヤユヨワカケ", strict=True))
_KATAKANA = {chr(code): chr(code + 0x60) for code in range(0x3041, 0x3097)}
_OLD_KANA = {"ヰ": "イ", "ヱ": "エ", "ヲ": "オ"}
_KANA = {
    kana: _OLD_KANA.get(plain, plain)
    for kana in (*_KATAKANA, *_SMALL_KANA, *_OLD_KANA)
    for plain in [_SMALL_KANA.get(_KATAKANA.get(kana, kana), _KATAKANA.get(kana, kana))]
}
_DIGITS = {digit: str(value) for digits in ("٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹") for value, digit in enumerate(digits)}
_SAME_LETTERS = str.maketrans(_ARABIC | _HEBREW | _KANA | _DIGITS)

_STRIPPED = (
    "Mn",
    "Me",
    "Cf",
)  # Unicode categories: marks, and invisible format characters such as the zero-width joiner
_INVISIBLE_CATEGORIES = ("Mn", "Me", "Mc", "Cf", "Cc", "Cs", "Zs", "Zl", "Zp")
_INVISIBLE_LETTERS = "\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"  # fillers that Unicode classifies as letters or signs
_FILLERS = dict.fromkeys(map(ord, _INVISIBLE_LETTERS))

# Punctuation with many variants, often omitted. Removed before NFKD, which would turn some of it into spaces.
_APOSTROPHES = "'`´‘’‚‛′‵ʹʺʻʼʽʾʿˈˊˋ՚׳״＇ꞌ"
_HYPHENS = "-\u00ad‐‑‒–—―−⁃﹘﹣－־·‧・"
_PERIODS = ".․。．｡"
SEPARATORS = _APOSTROPHES + _HYPHENS + _PERIODS
_REMOVED = dict.fromkeys(map(ord, SEPARATORS))
_REPEATED = re.compile("(.)[々ゝヽ]")  # iteration marks: 佐々木 is 佐佐木
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def fold(name: str) -> str:
    """Return the search key of a name, for example `garcialopez` for García-López and Garcia Lopez. Folding is idempotent.

    The key of a name that consists only of marks and punctuation is its case-folded spelling, so that a search can find it.
    """
    return _cached_fold(name) if len(name) <= _MAX_CACHED_LENGTH else _fold(name)


def outdated_fold(name: str) -> str:
    """Return the key of a name under the previous version of the rules, which kept blanks and variants of letters."""
    key = name.lower() if name.isascii() else _decomposed(name, {})
    key = " ".join(key.translate(_REMOVED).split())
    return key or " ".join(unicodedata.normalize("NFC", name.casefold()).split())


def is_visible(name: str) -> bool:
    """Return whether a name contains a visible letter, digit or sign."""
    return any(
        unicodedata.category(char) not in _INVISIBLE_CATEGORIES and char not in _INVISIBLE_LETTERS for char in name
    )


def _fold(name: str) -> str:
    if name.isascii():
        key = "".join(name.lower().translate(_REMOVED).split())
    else:
        key = "".join(_decomposed(name.translate(_FILLERS), _SAME_LETTERS).translate(_REMOVED).split())
        key = _without_variants(_REPEATED.sub(r"\1\1", key))
    return key or "".join(unicodedata.normalize("NFC", name.casefold()).split())


_cached_fold = lru_cache(maxsize=65536)(_fold)  # at most 40 MiB; a quarter of that for names of usual length


def _decomposed(name: str, same_letters: dict[int, str]) -> str:
    text = unicodedata.normalize("NFKD", name.translate(_REMOVED)).casefold()
    # Case folding composes some letters (ΐ), so decompose again.
    letters = unicodedata.normalize("NFKD", text)
    stripped = "".join(letter for letter in letters if unicodedata.category(letter) not in _STRIPPED)
    return unicodedata.normalize("NFC", stripped.translate(_TRANSLITERATION).translate(same_letters))


def _without_variants(key: str) -> str:
    return key.translate(_han_variants()) if _HAN.search(key) else key


@cache
def _han_variants() -> dict[int, str]:
    """Return the representative of each Han character with variants (`scripts/han_variants.py` generates the classes)."""
    lines = (files("peopleinfo.people") / "data" / "han_variants.txt").read_text(encoding="utf-8").splitlines()
    return {ord(variant): line[0] for line in lines for variant in line[1:]}
