"""Match keys: the index entries of a person, the look-ups for a person's candidates, and the filter before a candidate is fetched.

A person has at most four entries, and one for each identifier, because each entry costs a write on every create. Variants, such as day and month
swapped, are only queried. A key is a keyed hash, so a store needs no other form when encryption is on. Its `sub` has hashes of the names and the
birthdate; it excludes people that cannot be candidates before they are fetched and decrypted.
"""

from __future__ import annotations

from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

from peopleinfo.crypto.person_ids import derive_key
from peopleinfo.matching.field_comparison import swap_day_and_month
from peopleinfo.people.value_cache import ValueCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from peopleinfo.matching.match_record import MatchRecord

KeyKind = Literal["birthdate", "names", "surname_address", "name_address", "identifier"]

# Part of every key. Increment it, and INDEX_VERSION, with every change of kinds, values or `sub`.
KEYS_VERSION: Final = 1
KEY_SIZE: Final = 8  # bytes
SUB_SIZE: Final = 8  # bytes
MAX_BLOCK: Final = 400  # entries that one look-up reads
# Sizes of the caches of hashes. An entry takes about 200 bytes.
_CACHED_DAYS: Final = 65_536  # a cache keeps at least half of its size: the days of 90 years
_CACHED_PARTS: Final = 16_384  # in each cache: pairs of sounds; sounds; years, and days without a year
_KEY_SOUNDS: Final = 3  # first classes of a sound, in a key
_ROUGH_SOUNDS: Final = 2  # first classes of a sound, in the first byte of a name in `sub`
_REVEALED_FIELDS: Final[dict[KeyKind, tuple[str, ...]]] = {
    "birthdate": ("person_birthdate",),
    "names": ("person_name", "person_surname"),
    "surname_address": ("person_surname", "person_address"),
    "name_address": ("person_name", "person_address"),
}
# The name and the surname at one address share a key, so that a record with swapped names is found.
_NAMESPACES: Final = {"surname_address": "address", "name_address": "address"}
# Kinds whose values many people share, with the sizes of their caches.
_REPEATED: Final[dict[KeyKind, int]] = {"birthdate": _CACHED_DAYS, "names": _CACHED_PARTS}
_UNORDERED: Final = frozenset(("birthdate", "names"))  # keys that a record with swapped names shares
# Bytes of a sub that a look-up of each kind adds, one step after the other.
_PREFIXES: Final[dict[KeyKind, tuple[int, ...]]] = {
    "birthdate": (1, 2, 4),
    "names": (4, 6),
    "surname_address": (1, 2),
    "name_address": (3, 4),
    "identifier": (2, 4),
}
NAME, SURNAME, YEAR, DAY = (slice(start, start + 2) for start in range(0, SUB_SIZE, 2))  # parts of a sub


class Entry(NamedTuple):
    """An index entry of a person. A store keeps it with the person's position, in the order of key and sub."""

    key: bytes
    sub: bytes


class Lookup(NamedTuple):
    """A query for the entries with a key whose sub starts with a prefix; `fields` names the source of the key for the caller."""

    kind: KeyKind
    key: bytes
    prefix: bytes = b""
    fields: tuple[str, ...] = ()


class Hasher:
    """Derives keys and subs with a key of the deployment's secret. Pure and safe to share between threads."""

    def __init__(self, secret: bytes) -> None:
        key = derive_key(secret, "match keys")
        # Hashes of the key, which are copied for each value.
        self._empty = {size: blake2b(digest_size=size, key=key) for size in (1, 2, KEY_SIZE)}
        self._key_of: dict[KeyKind, Callable[[str], bytes]] = {
            kind: partial(_finished, self._start(kind)) for kind in get_args(KeyKind)
        }
        for kind, size in _REPEATED.items():
            self._key_of[kind] = ValueCache(self._key_of[kind], size).__getitem__
        self._name = ValueCache(self._new_name, _CACHED_PARTS)
        self._date = ValueCache(partial(self._part, size=2), _CACHED_PARTS)

    def key(self, kind: KeyKind, value: str) -> bytes:
        """Return the key of a value."""
        return self._key_of[kind](value)

    def _start(self, kind: KeyKind) -> blake2b:
        started = self._empty[KEY_SIZE].copy()
        started.update(f"{KEYS_VERSION}|{_NAMESPACES.get(kind, kind)}|".encode())
        return started

    def value(self, kind: str, value: str) -> bytes:
        """Return the hash of a value that is counted: of a field, or of a word in an address."""
        return self._hash(f"count|{kind}|{value}", KEY_SIZE)

    def entries(self, record: MatchRecord) -> list[Entry]:
        """Return the entries to store for a person: at most one of each kind, and one for each identifier."""
        keys, sub = self.keys_and_sub(record)
        return [Entry(key, sub) for key in keys]

    def keys_and_sub(self, record: MatchRecord) -> tuple[list[bytes], bytes]:
        """Return the keys of the entries to store for a person, and their sub."""
        key_of = self._key_of
        return [key_of[kind](value) for kind, value in key_values(record)], self.sub(record)

    def lookups(self, record: MatchRecord) -> list[Lookup]:
        """Return the queries for the candidates of a person: its own keys, and the birthdate with day and month swapped."""
        return [
            Lookup(kind, self.key(kind, value), fields=_REVEALED_FIELDS.get(kind) or (value.partition("|")[0],))
            for kind, value in _queried_values(record)
        ]

    def narrowed(self, lookup: Lookup, record: MatchRecord) -> list[Lookup]:
        """Return the narrower queries that replace a look-up with more than `MAX_BLOCK` entries; empty if there is none."""
        return narrowed(lookup, self.sub(record))

    def sub(self, record: MatchRecord) -> bytes:
        """Return the sub of a record: two bytes each for first name, surname, year, and month with day; zeros where a field is absent.

        The first byte of a name is a hash of its first two sounds, the second one a hash of all its sounds.
        """
        name, surname, born = record.name_sound, record.surname_sound, record.birthdate
        return self._name[name] + self._name[surname] + self._date[born[:4]] + self._date[born[4:]]

    def _new_name(self, sounds: str) -> bytes:
        return self._part(sounds[:_ROUGH_SOUNDS], 1) + self._part(sounds, 1)

    def _part(self, value: str, size: int) -> bytes:
        """Return a hash without the value that represents an absent field."""
        if not value:
            return bytes(size)
        digest = self._hash(value, size)
        return digest if any(digest) else b"\1" * size

    def _hash(self, value: str, size: int) -> bytes:
        return _finished(self._empty[size], value)


def _finished(started: blake2b, value: str) -> bytes:
    digest = started.copy()
    digest.update(value.encode())
    return digest.digest()


def narrowed(lookup: Lookup, sub: bytes) -> list[Lookup]:
    """Return the narrower queries for a record with this sub.

    A birthdate is narrowed to the sound of the first name, then also of the surname; both names to their whole sounds, then to the year. The
    names may be swapped in the other record.
    """
    prefixes = dict.fromkeys(longer for order in _orders(lookup.kind, sub) if (longer := _longer_prefix(lookup, order)))
    return [lookup._replace(prefix=prefix) for prefix in prefixes]


def key_values(record: MatchRecord) -> Iterator[tuple[KeyKind, str]]:
    """Yield the kind and the value of each key of a record; a kind is absent if the record lacks one of its fields."""
    name, surname = record.name_sound[:_KEY_SOUNDS], record.surname_sound[:_KEY_SOUNDS]
    if record.birthdate:
        yield "birthdate", record.birthdate
    if name and surname:  # sorted, so that swapped names share a key
        yield "names", f"{name}|{surname}" if name < surname else f"{surname}|{name}"
    if record.numbers:
        longest = max(map(len, record.numbers))  # often a postcode
        number = min([digits for digits in record.numbers if len(digits) == longest])
        if surname:
            yield "surname_address", f"{surname}|{number}"
        if name and name != surname:
            yield "name_address", f"{name}|{number}"
    for field, value in record.identifiers:
        yield "identifier", f"{field}|{value}"


def _queried_values(record: MatchRecord) -> Iterator[tuple[KeyKind, str]]:
    yield from key_values(record)
    other = swap_day_and_month(record.birthdate)
    if other != record.birthdate and record.birthdate[6:] <= "12":
        yield "birthdate", other


def _orders(kind: KeyKind, sub: bytes) -> Iterable[bytes]:
    """Return the subs that a candidate may have: with the names of a record, and for keys without an order also with swapped names."""
    swapped = sub[SURNAME] + sub[NAME] + sub[YEAR] + sub[DAY]
    both = any(sub[NAME]) and any(sub[SURNAME])
    return (sub, swapped) if both and kind in _UNORDERED else (sub,)


def _longer_prefix(lookup: Lookup, sub: bytes) -> bytes | None:
    """Return the next longer prefix that continues the prefix of a look-up; None if there is none, or if a field for it is absent."""
    size = next((size for size in _PREFIXES[lookup.kind] if size > len(lookup.prefix)), 0)
    known = all(any(sub[start : start + 2]) for start in range(0, size, 2))
    return sub[:size] if size and known and sub.startswith(lookup.prefix) else None
