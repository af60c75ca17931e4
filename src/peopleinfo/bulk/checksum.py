"""Checksums that compare two sets of records, independent of their order.

A checksum is the number of records and the sum of the SHA-256 of each record's JSON, modulo 2^256.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from peopleinfo.people.person import decode_header

if TYPE_CHECKING:
    from collections.abc import Iterable

_MODULUS: Final = 1 << 256
BUCKETS: Final = 1 << 16  # ids are uniformly distributed: 15 of a million records in each


class SetChecksum:
    """The number of records and the sum of their hashes."""

    def __init__(self, people: int = 0, total: int = 0) -> None:
        self.people = people
        self.total = total

    @property
    def hex(self) -> str:
        """The sum as 64 hexadecimal digits."""
        return f"{self.total:064x}"

    def add(self, bodies: Iterable[bytes]) -> None:
        """Add records, given as JSON."""
        for body in bodies:
            self.people += 1
            self.total += _hash(body)
        self.total %= _MODULUS

    def remove(self, bodies: Iterable[bytes]) -> None:
        """Remove records that were added, given as JSON."""
        for body in bodies:
            self.people -= 1
            self.total -= _hash(body)
        self.total %= _MODULUS

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SetChecksum) and (self.people, self.total) == (other.people, other.total)

    __hash__ = None  # type: ignore[assignment] # mutable


class BucketChecksums:
    """Checksums of records grouped by the first digits of their ids. They locate differences of two stores in bounded memory."""

    def __init__(self) -> None:
        self.whole = SetChecksum()
        self._sums = [0] * BUCKETS

    def add(self, bodies: Iterable[bytes]) -> None:
        """Add records, given as JSON."""
        for body in bodies:
            hashed = _hash(body)
            self._sums[bucket(decode_header(body).person_id)] += hashed
            self.whole.people += 1
            self.whole.total = (self.whole.total + hashed) % _MODULUS

    def differing(self, other: BucketChecksums) -> list[int]:
        """Return the numbers of the buckets that differ."""
        pairs = zip(self._sums, other._sums, strict=True)
        return [number for number, (first, second) in enumerate(pairs) if first != second]


def bucket(person_id: str) -> int:
    """Return the bucket of a person."""
    return int(person_id[:4], 16)


def _hash(body: bytes) -> int:
    return int.from_bytes(sha256(body).digest())
