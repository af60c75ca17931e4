"""What two sets of people are compared by: how many they are, and a sum over them that does not depend on their order.

The sum is that of the SHA-256 of each person's JSON, modulo 2^256; the JSON is kept and handed on byte for byte.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from peopleinfo.people.person import decode_header

if TYPE_CHECKING:
    from collections.abc import Iterable

_MODULUS: Final = 1 << 256
BUCKETS: Final = 1 << 16  # ids are as good as random: a million people are 15 in each


class SetChecksum:
    """A number of people and their sum."""

    def __init__(self, people: int = 0, total: int = 0) -> None:
        self.people = people
        self.total = total

    @property
    def hex(self) -> str:
        """The sum, in 64 digits."""
        return f"{self.total:064x}"

    def add(self, bodies: Iterable[bytes]) -> None:
        """Count people in, each by its JSON."""
        for body in bodies:
            self.people += 1
            self.total += _hash(body)
        self.total %= _MODULUS

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SetChecksum) and (self.people, self.total) == (other.people, other.total)

    __hash__ = None  # type: ignore[assignment] # it grows


class BucketChecksums:
    """The sums of many people by the beginning of their ids: they tell where two stores differ, in bounded memory."""

    def __init__(self) -> None:
        self.whole = SetChecksum()
        self._sums = [0] * BUCKETS

    def add(self, bodies: Iterable[bytes]) -> None:
        """Count people in."""
        for body in bodies:
            hashed = _hash(body)
            self._sums[bucket(decode_header(body).person_id)] += hashed
            self.whole.people += 1
            self.whole.total = (self.whole.total + hashed) % _MODULUS

    def differing(self, other: BucketChecksums) -> list[int]:
        """Return the buckets in which the two are not the same."""
        pairs = zip(self._sums, other._sums, strict=True)
        return [number for number, (one, another) in enumerate(pairs) if one != another]


def bucket(person_id: str) -> int:
    """Return which bucket a person belongs to."""
    return int(person_id[:4], 16)


def _hash(body: bytes) -> int:
    return int.from_bytes(sha256(body).digest())
