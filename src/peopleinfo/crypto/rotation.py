"""Rotation of the key-encryption key while the service runs. An interrupted rotation is resumed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, Protocol

from peopleinfo.crypto.cipher import KEY_SIZE
from peopleinfo.crypto.keyring import Keyring, Wrapped, generation_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from peopleinfo.crypto.master_key import MasterKey


class PersonKey(NamedTuple):
    """A stored record key: the 16 bytes encoded in the person's id, and the wrapped key."""

    owner: bytes
    wrapped: bytes


class KeyStore(Protocol):
    """Stores record keys and their generations, separately from the records so that no backup contains both.

    Every method may raise StoreUnavailable.
    """

    async def generations(self) -> Wrapped:
        """Return all generations."""

    async def is_rotating(self) -> bool:
        """Return whether some keys are not yet wrapped with the newest generation."""

    async def start(self, generation: int, wrapped: bytes) -> None:
        """Add a generation; it wraps new keys within a minute."""

    async def keys(self, position: bytes) -> tuple[list[PersonKey], bytes]:
        """Return a batch of keys and the position of the next batch, empty at the end."""

    async def update(self, changed: Sequence[tuple[PersonKey, bytes]]) -> None:
        """Replace wrapped keys; skip keys that were deleted or changed since they were read."""

    async def finish(self, generation: int) -> None:
        """Mark a generation as complete and delete the older ones that no key uses."""


async def rotate(store: KeyStore, master: MasterKey, *, on_progress: Callable[[int], None]) -> int:
    """Rewrap all record keys with a new generation and return it; `on_progress` receives the number of keys in each batch.

    An interrupted rotation is resumed. To replace the master key, pass one that also unwraps the old generations.
    Raises WrongMasterKey, StoreUnavailable.
    """
    generations = await store.generations()
    newest = max(generations)
    if not await store.is_rotating():
        newest += 1
        generations[newest] = master.wrap(os.urandom(KEY_SIZE), newest)
        await store.start(newest, generations[newest])
    keyring = Keyring(master, lambda: generations)
    position = b""
    while True:
        batch, position = await store.keys(position)
        old = [key for key in batch if generation_of(key.wrapped) != newest]
        await store.update([(key, keyring.rewrap(key.owner, key.wrapped)) for key in old])
        on_progress(len(batch))
        if not position:
            break
    await store.finish(newest)
    return newest
