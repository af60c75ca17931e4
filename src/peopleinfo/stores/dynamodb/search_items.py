"""The items of the search index (ADR 16).

    partition key `pk`                                 sort key `sk`                      item
    "x" + kind + hash of the start of a word           word, NUL, order, NUL, home key    an entry of readable words
    "x" + kind + hash of a word                        hashed order, NUL, home key        an entry of hashes
    "v" + hash of a key of similar words               length of a word, word             a word of the vocabulary
    "v" + hash of a key of similar words               hash of a word                     the same in an index of hashes
    "m" + a match key                                  sub, home key                      a match entry (`peopleinfo.matching`)
    "name starts"                                      the start of a surname key         a partition of readable surname keys (`name_order`)
    "search index" + a plan                            "-"                                the progress of `reindex`
    "index changes" + shard                            home key, random bytes             a change of entries in progress (`search_entries`)

An entry has the version of the record that it was written for, and the time of the write in seconds.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.crypto.person_ids import BLOCK_SIZE, derive_key
from peopleinfo.matching.blocking_keys import KEY_SIZE, SUB_SIZE
from peopleinfo.matching.match_entries import MatchEntries
from peopleinfo.people.index_entries import BIRTHDATE, IDENTIFIER, MAX_WORD, NAME, keys_and_order, map_words, name_of
from peopleinfo.people.similarity import MAX_SOUND_DIFFERENCE, bucket_keys
from peopleinfo.people.words import is_cjk
from peopleinfo.stores.dynamodb.items import ItemKey, binary, bytes_attr, item_key_of
from peopleinfo.stores.search_words import ORDER_CODE, code_of, word_coder

if TYPE_CHECKING:
    from collections.abc import Callable

    from peopleinfo.matching.blocking_keys import Lookup as MatchLookup
    from peopleinfo.people.index_entries import IndexPlan
    from peopleinfo.people.person import PersonData
    from peopleinfo.people.search_index import Lookup
    from peopleinfo.stores.dynamodb.client import Item

    Rows = dict[ItemKey, str]  # key of an entry, and the name word behind it or ""

_MAX_SORT_KEY: Final = 1_024  # bytes
_MAX_WORD: Final = 256  # bytes; a longer word is hashed
_HASH_SIZE: Final = 8  # bytes
_ENTRY, _WORD, _MATCH = b"x", b"v", b"m"
# Arguments of a scan that returns the keys of the match entries, and of few other items.
MATCH_ENTRIES: Final = {
    "FilterExpression": "begins_with(pk, :match)",
    "ExpressionAttributeValues": {":match": binary(_MATCH)},
    "ProjectionExpression": "pk, sk",
}
STARTS: Final = b"name starts"
_COLLAPSED, _SOUND = "=", "~"  # first letters of keys of similar words


class KeyRange(NamedTuple):
    """A range of sort keys in a partition."""

    pk: bytes
    first: bytes
    last: bytes


class SearchItems:
    """Maps entries and words to item keys. With `is_readable` the keys contain words, otherwise hashes."""

    def __init__(self, secret: bytes, *, is_readable: bool) -> None:
        """`secret` is that of the deployment."""
        self._secret = derive_key(secret, "search items")
        self._matches = MatchEntries(secret)
        self.code: Callable[[str], str] | None = None if is_readable else word_coder(secret)

    def rows(self, data: PersonData, plan: IndexPlan, home: ItemKey) -> Rows:
        """Return the entries of a person."""
        keys, order = keys_and_order(data, plan)
        rows = {self._entry_key(key, order, home): name_of(key) for key in keys}
        return rows | {ItemKey(_MATCH + key, sub + home.block): "" for key, sub in self._matches.of(data, plan)}

    def entry_range(self, lookup: Lookup) -> KeyRange:
        """Return the range of the entries of a lookup."""
        kind, word = lookup.key[0], lookup.key[1:]
        if self.code is not None:
            return KeyRange(self._entry_partition(kind, code_of(word, self.code)), b"\0", b"\xff")
        start, (before, after) = _stored_word(word), (b"", b"\xff") if lookup.is_prefix else (b"\0", b"\1")
        return KeyRange(self._entry_partition(kind, _start(kind, word)), start + before, start + after)

    def name_word(self, key: ItemKey) -> str:
        """Return the name word of an entry; "" for another kind and for a hash."""
        if self.code is not None or key.pk[:2] != _ENTRY + NAME.encode():
            return ""
        return key.sk[: key.sk.index(b"\0")].decode()

    def vocabulary(self, word: str) -> list[ItemKey]:
        """Return the items of a word in the vocabulary, none for some short words. The last one exists only if the others exist.

        The collapsed form has no item if it is the word itself: each search looks up the collapsed form of its words.
        """
        stored = _numbered(word) if self.code is None else self.code(word).encode()
        keys = [key for key in self._similar_keys(word) if key != f"{_COLLAPSED}{word}"]
        return [ItemKey(self._word_partition(key), stored) for key in reversed(keys)]

    def similar_ranges(self, word: str) -> list[KeyRange]:
        """Return the ranges of the vocabulary that contain every similar word."""
        return [self._similar_range(key, word) for key in self._similar_keys(word)]

    def _similar_range(self, key: str, word: str) -> KeyRange:
        if self.code is not None:
            return KeyRange(self._word_partition(key), b"\0", b"\xff")
        difference = {_COLLAPSED: len(word), _SOUND: MAX_SOUND_DIFFERENCE}.get(key[0], 1)
        first, last = max(len(word) - difference, 0), min(len(word) + difference, 254)
        return KeyRange(self._word_partition(key), bytes([first]), bytes([last + 1]))

    def _similar_keys(self, word: str) -> list[str]:
        """Return the keys of the vocabulary for a word, that of its collapsed form first."""
        keys = sorted(bucket_keys(word), key=lambda key: (key[0] != _COLLAPSED, key))
        return keys if self.code is None else [key for key in keys if key[0] in (_COLLAPSED, _SOUND)]

    def _entry_key(self, key: str, order: str, home: ItemKey) -> ItemKey:
        kind, word = key[0], key[1:]
        if self.code is not None:
            code = self.code
            order = map_words(order, lambda name: code(name)[:ORDER_CODE])
            return ItemKey(self._entry_partition(kind, code(word)), _sort_key(b"", order, home))
        return ItemKey(
            self._entry_partition(kind, _start(kind, word)), _sort_key(_stored_word(word) + b"\0", order, home)
        )

    def name_partition(self, start: str) -> bytes:
        """Return the partition of the name words with a start; see `start_of_name`."""
        return self._entry_partition(NAME, start)

    def _entry_partition(self, kind: str, start: str) -> bytes:
        return _ENTRY + kind.encode() + self._hash(kind + start)

    def _word_partition(self, key: str) -> bytes:
        return _WORD + self._hash(_WORD.decode() + key)

    def _hash(self, text: str) -> bytes:
        return blake2b(text.encode(), key=self._secret, digest_size=_HASH_SIZE).digest()


def is_entry(item: Item) -> bool:
    """Return whether an item is an entry."""
    pk = bytes_attr(item, "pk")
    return (pk[:1], len(pk)) in ((_ENTRY, len(_ENTRY) + 1 + _HASH_SIZE), (_MATCH, len(_MATCH) + KEY_SIZE))


def match_range(lookup: MatchLookup) -> KeyRange:
    """Return the range of the match entries of a lookup."""
    return KeyRange(_MATCH + lookup.key, lookup.prefix or b"\0", lookup.prefix + b"\xff" * (SUB_SIZE + BLOCK_SIZE))


def match_key(key: ItemKey) -> bytes | None:
    """Return the match key of an item; None if it is no match entry."""
    is_entry = key.pk[:1] == _MATCH and len(key.pk) == len(_MATCH) + KEY_SIZE
    return key.pk[len(_MATCH) :] if is_entry else None


def is_word(item: Item) -> bool:
    """Return whether an item is a word of the vocabulary."""
    pk = bytes_attr(item, "pk")
    return pk[:1] == _WORD and len(pk) == len(_WORD) + _HASH_SIZE


def is_identifier(key: ItemKey) -> bool:
    """Return whether the entry with a key is that of an identifier."""
    return key.pk[:2] == _ENTRY + IDENTIFIER.encode()


def home_of_entry(sort_key: bytes) -> ItemKey:
    """Return the home key of the person of an entry."""
    return item_key_of(sort_key[-BLOCK_SIZE:])


def order_of(sort_key: bytes, *, is_readable: bool) -> str:
    """Return the order of an entry, from its sort key."""
    start = sort_key.index(b"\0") + 1 if is_readable else 0
    return sort_key[start : -BLOCK_SIZE - 1].decode(errors="ignore")


def word_of(sort_key: bytes, *, is_readable: bool) -> str:
    """Return the word, or its hash, of an item of the vocabulary."""
    return sort_key[1 if is_readable else 0 :].decode()


def start_item(surname_key: str) -> ItemKey:
    """Return the item that leads to the partition of a surname key."""
    return ItemKey(STARTS, start_of_name(surname_key).encode())


def start_of_name(surname_key: str) -> str:
    """Return the start of a surname key, which selects the partition of its entry."""
    return _start(NAME, surname_key[:MAX_WORD])


def _start(kind: str, word: str) -> str:
    """Return the part of a word that selects its partition: what every prefix of a search contains."""
    if kind == IDENTIFIER:
        return word
    if kind == BIRTHDATE:
        return word[:4]  # the year
    return word[:1] if is_cjk(word[:1]) else word[:2]


def _stored_word(word: str) -> bytes:
    stored = word.encode()
    return stored if len(stored) <= _MAX_WORD else blake2b(stored, digest_size=_HASH_SIZE).hexdigest().encode()


def _numbered(word: str) -> bytes:
    return bytes([min(len(word), 254)]) + _stored_word(word)


def _sort_key(start: bytes, order: str, home: ItemKey) -> bytes:
    end = b"\0" + home.block
    return start + order.encode()[: _MAX_SORT_KEY - len(start) - len(end)] + end
