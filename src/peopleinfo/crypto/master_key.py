"""The master key, in a local file or in AWS KMS. It wraps only the few key-encryption keys."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from peopleinfo.crypto.cipher import KEY_SIZE, Cipher
from peopleinfo.errors import DecryptionFailed, StoreConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

_FILE_PREFIX: Final = "peopleinfo-master-key-1 "  # start of a key file
_OTHERS_MODE: Final = 0o007


class WrongMasterKey(StoreConfigurationError):
    """The store was encrypted with another master key."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the store was encrypted with another master key than {name}; set PEOPLEINFO_ENCRYPTION to that key. Nothing was changed."
        )


class MasterKey(Protocol):
    """Wraps and unwraps key-encryption keys; `name` identifies the key in messages."""

    name: str

    def wrap(self, key: bytes, generation: int) -> bytes:
        """Wrap the key of a generation. Raises StoreConfigurationError if the master key is unreachable."""

    def unwrap(self, wrapped: bytes, generation: int) -> bytes:
        """Unwrap the key of a generation. Raises WrongMasterKey, and StoreConfigurationError if the master key is unreachable."""


class Encryption(NamedTuple):
    """Encryption settings of a store: the master key, and whether prefix searches are supported (None: keep the store's setting)."""

    master: MasterKey
    prefixes: bool | None = None


class FileMasterKey:
    """A key in a file that only its owner and its group can read."""

    def __init__(self, path: Path) -> None:
        """Read the key. Raises StoreConfigurationError if the file is missing, invalid or readable by others."""
        self.name = str(path)
        try:
            mode, text = path.stat().st_mode, path.read_text("ascii")
        except FileNotFoundError:
            raise StoreConfigurationError(
                f"there is no master key at {path}. If the store is encrypted with it, restore the file: without it the "
                f"records cannot be read. For a new store, create a key: peopleinfo encryption create-key {path}"
            ) from None
        except (OSError, ValueError) as error:
            raise StoreConfigurationError(f"cannot read the master key at {path}: {error}") from error
        if mode & _OTHERS_MODE:
            raise StoreConfigurationError(f"the master key at {path} is readable by other users; run: chmod 600 {path}")
        self._cipher = Cipher(_parse(text, path))

    def wrap(self, key: bytes, generation: int) -> bytes:
        """Wrap the key of a generation."""
        return self._cipher.encrypt(key, _context(generation))

    def unwrap(self, wrapped: bytes, generation: int) -> bytes:
        """Unwrap the key of a generation. Raises WrongMasterKey."""
        try:
            return self._cipher.decrypt(wrapped, _context(generation))
        except DecryptionFailed:
            raise WrongMasterKey(self.name) from None


class OldOrNewMasterKey:
    """A new master key and the one that it replaces: only the new one wraps, both unwrap."""

    def __init__(self, new: MasterKey, old: MasterKey) -> None:
        self.name = new.name
        self.wrap = new.wrap
        self._new = new
        self._old = old

    def unwrap(self, wrapped: bytes, generation: int) -> bytes:
        """Unwrap the key of a generation. Raises WrongMasterKey."""
        try:
            return self._new.unwrap(wrapped, generation)
        except WrongMasterKey:
            return self._old.unwrap(wrapped, generation)


def create_file(path: Path) -> None:
    """Create a key file that only its owner can read. Raises StoreConfigurationError if the file exists."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{_FILE_PREFIX}{b64encode(os.urandom(KEY_SIZE)).decode()}\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise StoreConfigurationError(
            f"{path} already exists and was not changed: a store may be encrypted with it"
        ) from None
    except OSError as error:
        raise StoreConfigurationError(f"cannot write {path}: {error.strerror}") from error


def _parse(text: str, path: Path) -> bytes:
    try:
        key = (
            b64decode(text.removeprefix(_FILE_PREFIX).strip(), validate=True) if text.startswith(_FILE_PREFIX) else b""
        )
    except ValueError:
        key = b""
    if len(key) != KEY_SIZE:
        raise StoreConfigurationError(f"{path} is not a master key; create one with `peopleinfo encryption create-key`")
    return key


def _context(generation: int) -> bytes:
    return b"generation" + generation.to_bytes(8)
