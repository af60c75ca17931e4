"""The master key: in a file of this machine, or in AWS KMS. It wraps nothing but the few keys that wrap persons' keys."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peopleinfo.crypto.envelope import KEY, DecryptionFailed, unwrap, wrap
from peopleinfo.errors import StoreConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

_HEAD: Final = "peopleinfo-master-key-1 "  # before the key, in its file
_OTHERS: Final = 0o007


class WrongMasterKey(StoreConfigurationError):
    """The master key is not the one that wrapped the keys of this store."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the people were sealed with another key than {name}: name that one in PEOPLEINFO_ENCRYPTION; nothing was changed"
        )


class MasterKey(Protocol):
    """Wraps keys; `name` says which one it is, for messages."""

    name: str

    def wrap(self, key: bytes, generation: int) -> bytes:
        """Wrap the key of a generation. Raises StoreUnusable when the master key cannot be reached."""

    def unwrap(self, wrapped: bytes, generation: int) -> bytes:
        """Return the key of a generation. Raises WrongMaster, and StoreUnusable when the master key cannot be reached."""


class Encryption(NamedTuple):
    """What a store is sealed with: the master key, and whether surnames are found by their beginning (None: as the store was made)."""

    master: MasterKey
    prefixes: bool | None = None


class FileMasterKey:
    """A key in a file that its owner alone, or the owner's group, may read."""

    def __init__(self, path: Path) -> None:
        """Raise StoreUnusable when there is no such key or everybody may read it."""
        self.name = str(path)
        try:
            mode, text = path.stat().st_mode, path.read_text("ascii")
        except FileNotFoundError:
            raise StoreConfigurationError(
                f"there is no key at {path}. If people were sealed with it, bring it back: nobody can read them without. "
                f"If nobody was, make one: peopleinfo encryption create-key {path}"
            ) from None
        except (OSError, ValueError) as error:
            raise StoreConfigurationError(f"cannot read the key at {path}: {error}") from error
        if mode & _OTHERS:
            raise StoreConfigurationError(f"everybody may read the key at {path}: chmod 600 {path}")
        self._key = AESGCM(_parsed(text, path))

    def wrap(self, key: bytes, generation: int) -> bytes:
        """Wrap the key of a generation."""
        return wrap(self._key, key, _bound(generation))

    def unwrap(self, wrapped: bytes, generation: int) -> bytes:
        """Return the key of a generation. Raises WrongMaster."""
        try:
            return unwrap(self._key, wrapped, _bound(generation))
        except DecryptionFailed:
            raise WrongMasterKey(self.name) from None


class OldOrNewMasterKey:
    """A master key in the place of an older one: it wraps, and both unwrap."""

    def __init__(self, new: MasterKey, old: MasterKey) -> None:
        self.name = new.name
        self.wrap = new.wrap
        self._new = new
        self._old = old

    def unwrap(self, wrapped: bytes, generation: int) -> bytes:
        """Return the key of a generation. Raises WrongMaster."""
        try:
            return self._new.unwrap(wrapped, generation)
        except WrongMasterKey:
            return self._old.unwrap(wrapped, generation)


def create_file(path: Path) -> None:
    """Make a new key, which its owner alone may read. Raises StoreUnusable when there is a file already, whatever is in it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{_HEAD}{b64encode(os.urandom(KEY)).decode()}\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise StoreConfigurationError(
            f"{path} is there already and was left as it is: people may be sealed with it"
        ) from None
    except OSError as error:
        raise StoreConfigurationError(f"cannot write {path}: {error.strerror}") from error


def _parsed(text: str, path: Path) -> bytes:
    try:
        key = b64decode(text.removeprefix(_HEAD).strip(), validate=True) if text.startswith(_HEAD) else b""
    except ValueError:
        key = b""
    if len(key) != KEY:
        raise StoreConfigurationError(f"{path} is not a key that `peopleinfo encryption create-key` has made")
    return key


def _bound(generation: int) -> bytes:
    return b"generation" + generation.to_bytes(8)
