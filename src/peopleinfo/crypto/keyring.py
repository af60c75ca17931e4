"""The key-encryption keys, by generation: the newest generation wraps new record keys, the older ones only unwrap."""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from peopleinfo.crypto.cipher import KEY_SIZE, Cipher
from peopleinfo.crypto.ciphertext_format import record_cipher
from peopleinfo.errors import DecryptionFailed, StoreConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from peopleinfo.crypto.master_key import MasterKey

_GENERATION_SIZE: Final = 4  # bytes at the start of a wrapped key
_MAX_CACHED_KEYS: Final = 4_096  # unwrapped record keys in a cache
CACHE_TTL: Final = 60.0  # seconds

K = TypeVar("K")
V = TypeVar("V")
Wrapped = dict[int, bytes]  # generation → its key-encryption key, wrapped by the master key


class Keyring:
    """Creates, wraps and unwraps record keys (one per person). Thread-safe.

    A wrapped key contains the number of its generation. An unknown number means that another process started a rotation: the keyring reads
    the generations again.
    """

    def __init__(self, master: MasterKey, read: Callable[[], Wrapped]) -> None:
        """`read` returns the current generations. Raises StoreConfigurationError if the master key does not unwrap the newest."""
        self._master = master
        self._read = read
        self._wrapped: Wrapped = {}
        self._wrapping: dict[int, Cipher] = {}
        self.newest = 0
        self._load()

    def refresh(self) -> None:
        """Read the generations again. Raises StoreUnavailable, and changes nothing, if the master key does not unwrap the newest."""
        try:
            self._load()
        except StoreConfigurationError as error:
            raise _unavailable() from error

    def new(self, owner: bytes) -> tuple[Cipher, bytes]:
        """Return a new key for a person, ready to use and wrapped. `owner` is the 16 bytes encoded in the person's id."""
        key = os.urandom(KEY_SIZE)
        return record_cipher(key), self.wrap(owner, key)

    def wrap(self, owner: bytes, key: bytes) -> bytes:
        """Wrap a key with the newest generation."""
        generation = self.newest
        return generation.to_bytes(_GENERATION_SIZE) + self._generation(generation).encrypt(key, b"key" + owner)

    def key(self, owner: bytes, wrapped: bytes) -> Cipher:
        """Return a person's key, ready to use. Raises DecryptionFailed, StoreUnavailable."""
        try:
            return record_cipher(self.unwrap(owner, wrapped))
        except StoreConfigurationError as error:
            raise _unavailable() from error

    def has_generation(self, wrapped: bytes) -> bool:
        """Return whether the generation of a wrapped key is among those last read."""
        return generation_of(wrapped) in self._wrapped

    def unwrap(self, owner: bytes, wrapped: bytes) -> bytes:
        """Unwrap a key. Raises DecryptionFailed, StoreConfigurationError."""
        generation = generation_of(wrapped)
        if generation not in self._wrapped:
            self._load()
        return self._generation(generation).decrypt(wrapped[_GENERATION_SIZE:], b"key" + owner)

    def rewrap(self, owner: bytes, wrapped: bytes) -> bytes:
        """Return the same key, wrapped with the newest generation. Raises DecryptionFailed."""
        return self.wrap(owner, self.unwrap(owner, wrapped))

    def _load(self) -> None:
        wrapped = self._read()
        newest = max(wrapped)
        self._wrapping[newest] = self._wrapping.get(newest) or self._unwrap_generation(wrapped, newest)
        self._wrapped, self.newest = wrapped, newest

    def _generation(self, generation: int) -> Cipher:
        key = self._wrapping.get(generation)
        if key is None:
            key = self._wrapping[generation] = self._unwrap_generation(self._wrapped, generation)
        return key

    def _unwrap_generation(self, wrapped: Wrapped, generation: int) -> Cipher:
        if generation not in wrapped:
            raise DecryptionFailed
        return Cipher(self._master.unwrap(wrapped[generation], generation))


class KeyCache(dict[K, V]):
    """Unwrapped record keys of the last minute. Not thread-safe.

    Call `expire` before each lookup. A cached key may belong to a record that was deleted since; the caller must check that.
    """

    def __init__(self) -> None:
        super().__init__()
        self._expires_at = 0.0

    def expire(self) -> None:
        """Empty the cache if it is older than its TTL."""
        now = monotonic()
        if now > self._expires_at:
            self.clear()
            self._expires_at = now + CACHE_TTL

    def put(self, name: K, key: V) -> V:
        """Store a key and return it."""
        if len(self) >= _MAX_CACHED_KEYS:
            self.clear()
        self[name] = key
        return key


def _unavailable() -> StoreUnavailable:
    """Return the error for clients. Its cause, which names the master key, is only logged."""
    return StoreUnavailable("the master key cannot unwrap the newest keys; see the log of the server", retry_after=30)


def generation_of(wrapped: bytes) -> int:
    """Return the generation that wrapped a key."""
    return int.from_bytes(wrapped[:_GENERATION_SIZE])
