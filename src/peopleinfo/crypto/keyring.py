"""The keys that wrap persons' keys, by generation: one is the newest and wraps what is new, the others still unwrap."""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peopleinfo.crypto.envelope import KEY, DecryptionFailed, unwrap, wrap
from peopleinfo.errors import StoreConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from peopleinfo.crypto.master_key import MasterKey

_GENERATION: Final = 4  # bytes at the beginning of a wrapped key
_HELD: Final = 4_096  # persons' keys that are kept ready to use
_HELD_SECONDS: Final = 60.0  # and for how long at most

K = TypeVar("K")
V = TypeVar("V")
Wrapped = dict[int, bytes]  # generation → the key that wraps persons' keys, wrapped by the master key


class Keyring:
    """Makes and unwraps persons' keys. For any number of threads.

    A wrapped key says which generation wrapped it. When that is a new one (a rotation has begun elsewhere) the generations are read anew.
    """

    def __init__(self, master: MasterKey, read: Callable[[], Wrapped]) -> None:
        """`read` returns the generations as they are now. Raises StoreUnusable when the master key does not unwrap the newest."""
        self._master = master
        self._read = read
        self._wrapped: Wrapped = {}
        self._wrapping: dict[int, AESGCM] = {}
        self.newest = 0
        self._load()

    def refresh(self) -> None:
        """Read the generations again. Raises StoreUnavailable, with nothing changed, when the master key does not unwrap the newest."""
        try:
            self._load()
        except StoreConfigurationError as error:
            raise _unavailable() from error

    def new(self, owner: bytes) -> tuple[AESGCM, bytes]:
        """Make a key for a person (the 16 bytes behind the id): ready to use, and wrapped to be kept."""
        key = os.urandom(KEY)
        return AESGCM(key), self.wrap(owner, key)

    def wrap(self, owner: bytes, key: bytes) -> bytes:
        """Wrap a key by the newest generation."""
        generation = self.newest
        return generation.to_bytes(_GENERATION) + wrap(self._generation(generation), key, b"key" + owner)

    def key(self, owner: bytes, wrapped: bytes) -> AESGCM:
        """Return a person's key, ready to use. Raises DoesNotOpen, StoreUnavailable."""
        try:
            return AESGCM(self.unwrap(owner, wrapped))
        except StoreConfigurationError as error:
            raise _unavailable() from error

    def has_generation(self, wrapped: bytes) -> bool:
        """Say whether the generation that wrapped a key was there when the generations were last read."""
        return generation_of(wrapped) in self._wrapped

    def unwrap(self, owner: bytes, wrapped: bytes) -> bytes:
        """Return a key as it was before it was wrapped. Raises DoesNotOpen, StoreUnusable."""
        generation = generation_of(wrapped)
        if generation not in self._wrapped:
            self._load()
        return unwrap(self._generation(generation), wrapped[_GENERATION:], b"key" + owner)

    def rewrap(self, owner: bytes, wrapped: bytes) -> bytes:
        """Return the same key, wrapped by the newest generation. Raises DoesNotOpen."""
        return self.wrap(owner, self.unwrap(owner, wrapped))

    def _load(self) -> None:
        wrap = self._read()
        newest = max(wrap)
        self._wrapping[newest] = self._wrapping.get(newest) or self._unwrapped_generation(wrap, newest)
        self._wrapped, self.newest = wrap, newest

    def _generation(self, generation: int) -> AESGCM:
        key = self._wrapping.get(generation)
        if key is None:
            key = self._wrapping[generation] = self._unwrapped_generation(self._wrapped, generation)
        return key

    def _unwrapped_generation(self, wrapped: Wrapped, generation: int) -> AESGCM:
        if generation not in wrapped:
            raise DecryptionFailed
        return AESGCM(self._master.unwrap(wrapped[generation], generation))


class KeyCache(dict[K, V]):
    """Keys that were opened in the last minute, under whatever names them. For one thread.

    Ask `forget_old` before you look. Whose key is here may have been erased since: that is for the reader to see.
    """

    def __init__(self) -> None:
        super().__init__()
        self._until = 0.0

    def expire(self) -> None:
        """Hold nothing that was opened longer ago."""
        now = monotonic()
        if now > self._until:
            self.clear()
            self._until = now + _HELD_SECONDS

    def put(self, name: K, key: V) -> V:
        """Hold a key, and return it."""
        if len(self) >= _HELD:
            self.clear()
        self[name] = key
        return key


def _unavailable() -> StoreUnavailable:
    """Return the error for a client; its cause names the master key and is for the log."""
    return StoreUnavailable("the master key cannot unwrap the newest keys: see the log of the server", retry_after=30)


def generation_of(wrapped: bytes) -> int:
    """Return which generation wrapped a key."""
    return int.from_bytes(wrapped[:_GENERATION])
