"""What a store seals with: persons' keys, and the keyed hashes under which surnames are found."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from peopleinfo.crypto.ids import BLOCK_SIZE, derive_key
from peopleinfo.errors import FieldError, InvalidSearch, StoreConfigurationError

if TYPE_CHECKING:
    from peopleinfo.crypto.keyring import Keyring
    from peopleinfo.crypto.master_key import Encryption
    from peopleinfo.people.search import PersonFilter

SECRET: Final = b"\xff" * BLOCK_SIZE  # the owner of the deployment's secret, which no person is


class RecordEncryption:
    """Everything that a sealed store needs to know; `keys` makes and unwraps persons' keys."""

    def __init__(self, keys: Keyring, secret: bytes, *, prefixes: bool) -> None:
        """`secret` is the deployment's; `prefixes`: surnames stand in the index as they are, so that they are found by their beginning."""
        self.keys = keys
        self.secret = secret
        self.prefixes = prefixes
        self._index_key = derive_key(secret, "surname index")

    def index(self, surname_key: str) -> str:
        """Return what stands in the index of surnames."""
        if self.prefixes:
            return surname_key
        return blake2b(surname_key.encode(), key=self._index_key, digest_size=16).hexdigest()

    def index_lookup(self, where: PersonFilter) -> str | None:
        """Return what to look up in the index of surnames; None when the people of a prefix are meant.

        Raises InvalidSearch when they cannot be found by that.
        """
        if where.surname_key is not None:
            return self.index(where.surname_key)
        if not self.prefixes:
            raise InvalidSearch([FieldError("surname_prefix", _NO_PREFIXES)])
        return None


def check_index(encryption: Encryption, *, prefixes: bool) -> None:
    """Raise StoreUnusable when another index of surnames is asked for than the one that there is."""
    if encryption.prefixes not in (None, prefixes):
        raise StoreConfigurationError(
            f"the surnames were indexed {'by their beginning too' if prefixes else 'for exact searches alone'} when these people "
            f"were sealed: write ?index={'prefix' if prefixes else 'exact'} in PEOPLEINFO_ENCRYPTION, or nothing"
        )


def fingerprint(secret: bytes) -> bytes:
    """Return what stands among the people instead of the secret: it tells whether keys and people belong together."""
    return blake2b(secret, digest_size=16, person=b"peopleinfo mark").digest()


_NO_PREFIXES: Final = (
    "cannot be answered: the surnames are sealed, and no index of their beginnings was asked for; search by surname "
    "(docs/encryption.md tells what such an index would give away)"
)
