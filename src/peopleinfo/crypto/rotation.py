"""A new generation of the keys that wrap persons' keys, while the service runs; what was begun is gone on with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, Protocol

from peopleinfo.crypto.envelope import KEY
from peopleinfo.crypto.keyring import Keyring, Wrapped, generation_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from peopleinfo.crypto.master_key import MasterKey


class PersonKey(NamedTuple):
    """A person's key as it is kept: the 16 bytes behind the id, and the key, wrapped."""

    owner: bytes
    wrapped: bytes


class KeyStore(Protocol):
    """Where persons' keys and their generations are kept: apart from the people, so that no backup holds both.

    Every method may raise StoreUnavailable.
    """

    async def generations(self) -> Wrapped:
        """Return every generation there is."""

    async def is_rotating(self) -> bool:
        """Say whether the newest generation has not come to everybody yet."""

    async def start(self, generation: int, wrapped: bytes) -> None:
        """Add a generation: from now on, or within a minute, it wraps what is new."""

    async def keys(self, after: bytes) -> tuple[list[PersonKey], bytes]:
        """Return some keys and what to ask for next; with an empty one when there are no more."""

    async def update(self, changed: Sequence[tuple[PersonKey, bytes]]) -> None:
        """Put newly wrapped keys in the place of the old ones; not of those that are gone or were changed meanwhile."""

    async def finish(self, generation: int) -> None:
        """Note that a generation has come to everybody, and remove those before that nobody needs."""


async def rotate(store: KeyStore, master: MasterKey, *, on_progress: Callable[[int], None]) -> int:
    """Wrap every person's key anew and return the generation that does; `told` hears of each batch how many keys it had.

    A rotation that was cut short is gone on with. The new generation may be wrapped by another master key than the old ones were, when
    `master` unwraps those too. Raises WrongMaster, StoreUnavailable.
    """
    generations = await store.generations()
    newest = max(generations)
    if not await store.is_rotating():
        newest += 1
        generations[newest] = master.wrap(os.urandom(KEY), newest)
        await store.start(newest, generations[newest])
    keyring = Keyring(master, lambda: generations)
    after = b""
    while True:
        batch, after = await store.keys(after)
        old = [key for key in batch if generation_of(key.wrapped) != newest]
        await store.update([(key, keyring.rewrap(key.owner, key.wrapped)) for key in old])
        on_progress(len(batch))
        if not after:
            break
    await store.finish(newest)
    return newest
