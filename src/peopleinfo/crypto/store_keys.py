"""Encryption of the records in a store: one key per person, and keyed hashes in the surname index."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from peopleinfo.crypto.person_ids import BLOCK_SIZE, derive_key
from peopleinfo.errors import FieldError, InvalidSearch, StoreConfigurationError

if TYPE_CHECKING:
    from peopleinfo.crypto.keyring import Keyring
    from peopleinfo.crypto.master_key import Encryption
    from peopleinfo.people.person_filter import PersonFilter

SECRET_OWNER: Final = b"\xff" * BLOCK_SIZE  # owner of the deployment's secret; no person has these bytes


class RecordEncryption:
    """The keys of an encrypted store; `keys` creates and unwraps the key of each person."""

    def __init__(self, keys: Keyring, secret: bytes, *, prefixes: bool) -> None:
        """`secret` belongs to the deployment. With `prefixes` the index contains surname keys unhashed, as prefix searches require."""
        self.keys = keys
        self.secret = secret
        self.prefixes = prefixes
        self._index_key = derive_key(secret, "surname index")

    def index(self, surname_key: str) -> str:
        """Return the indexed form of a surname key: the key itself with `prefixes`, else its keyed hash."""
        if self.prefixes:
            return surname_key
        return blake2b(surname_key.encode(), key=self._index_key, digest_size=16).hexdigest()

    def index_lookup(self, person_filter: PersonFilter) -> str | None:
        """Return the indexed form of the filter's surname key; None for a prefix search.

        Raises InvalidSearch for a prefix search in an index of hashes.
        """
        if person_filter.surname_key is not None:
            return self.index(person_filter.surname_key)
        if not self.prefixes:
            raise InvalidSearch([FieldError("surname_prefix", _PREFIX_SEARCH_OFF)])
        return None


def check_index(encryption: Encryption, *, prefixes: bool) -> None:
    """Raise StoreConfigurationError if the settings request another kind of surname index than the store has."""
    if encryption.prefixes not in (None, prefixes):
        raise StoreConfigurationError(
            f"the surname index of this store supports {'prefix' if prefixes else 'only exact'} searches; "
            f"set ?index={'prefix' if prefixes else 'exact'} in PEOPLEINFO_ENCRYPTION, or omit ?index"
        )


def fingerprint(secret: bytes) -> bytes:
    """Return a hash of the secret, stored with the people to show which keys belong to them."""
    return blake2b(secret, digest_size=16, person=b"peopleinfo mark").digest()


_PREFIX_SEARCH_OFF: Final = (
    "is not supported: the surnames are encrypted and indexed for exact searches only; search by surname "
    "(docs/encryption.md describes what a prefix index would reveal)"
)
