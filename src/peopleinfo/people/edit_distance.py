"""The number of edits between two words."""

from __future__ import annotations

from typing import Final

MAX_DISTANCE: Final = 2  # a larger distance is not computed


def edit_distance(a: str, b: str) -> int:
    """Return the number of edits between two texts, or 3 if there are more than 2.

    An edit inserts, deletes or replaces a letter, or swaps two neighbours (optimal string alignment).
    """
    if a == b:
        return 0
    if abs(len(a) - len(b)) > MAX_DISTANCE:
        return MAX_DISTANCE + 1
    a, b = _without_common_ends(a, b)
    if not a or not b:
        return len(a) + len(b)
    if max(len(set(a).difference(b)), len(set(b).difference(a))) > MAX_DISTANCE:  # an edit replaces at most one letter
        return MAX_DISTANCE + 1
    return min(MAX_DISTANCE + 1, _alignment(a, b))


def _without_common_ends(a: str, b: str) -> tuple[str, str]:
    start, shorter = 0, min(len(a), len(b))
    while start < shorter and a[start] == b[start]:
        start += 1
    end = 0
    while end < shorter - start and a[-1 - end] == b[-1 - end]:
        end += 1
    return a[start : len(a) - end], b[start : len(b) - end]


def _alignment(a: str, b: str) -> int:
    """Return the distance, or any number above `MAX_DISTANCE` as soon as a row exceeds it.

    Only cells near the diagonal can be within `MAX_DISTANCE`; the others count as beyond it.
    """
    beyond, width = MAX_DISTANCE + 1, len(b) + 2
    before: list[int] = []
    row = [min(j, beyond) for j in range(width)]
    for i, x in enumerate(a, 1):
        next_row = [beyond] * width
        next_row[0] = min(i, beyond)
        for j in range(max(1, i - MAX_DISTANCE), min(len(b), i + MAX_DISTANCE) + 1):
            y = b[j - 1]
            best = row[j - 1] if x == y else 1 + min(row[j], next_row[j - 1], row[j - 1])
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, before[j - 2] + 1)
            next_row[j] = best
        before, row = row, next_row
        if min(row) > MAX_DISTANCE and min(before) > MAX_DISTANCE:
            return beyond
    return row[len(b)]
