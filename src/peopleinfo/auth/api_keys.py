"""API keys: their format, their stored form, their lifecycle, and the interface of the store of keys."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from datetime import datetime, timedelta  # noqa: TC003 - msgspec reads them at run time
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from peopleinfo.auth.principal import RESERVED, Principal, Scope
from peopleinfo.errors import ApiKeyError
from peopleinfo.people.fields import READ_ONLY_FIELDS

if TYPE_CHECKING:
    from collections.abc import Sequence

# pi_, 256 random bits, and a CRC-32 of both: secret scanners recognise a key by its format and verify the checksum.
KEY_PREFIX: Final = "pi_"
_DIGITS: Final = string.digits + string.ascii_letters
_BITS: Final = 256
_RANDOM_CHARS: Final = 43  # base-62 digits of the random bits
_CHECKSUM_CHARS: Final = 6  # base-62 digits of a CRC-32
_FORMAT: Final = re.compile(rf"{KEY_PREFIX}[0-9A-Za-z]{{{_RANDOM_CHARS + _CHECKSUM_CHARS}}}", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_ID_LENGTH: Final = 12  # hexadecimal digits of the digest


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """The stored form of an API key: its digest, its principal and its validity. The key itself is not stored."""

    key_hash: bytes = msgspec.field(name="digest")
    name: str
    scopes: frozenset[Scope]
    hidden_fields: frozenset[str] = msgspec.field(name="hidden", default=frozenset())
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def key_id(self) -> str:
        """Public id, which distinguishes keys of the same name: the first 12 hexadecimal digits of the digest."""
        return self.key_hash.hex()[:_ID_LENGTH]

    @property
    def principal(self) -> Principal:
        """The principal of a client with this key."""
        return Principal(name=self.name, scopes=self.scopes, hidden_fields=self.hidden_fields)

    def state(self, now: datetime) -> str:
        """Return "valid", "expired" or "revoked"."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"


class ApiKeyStore(Protocol):
    """A store of API keys, shared by all processes. A read returns every change that was acknowledged before.

    Every method may raise StoreUnavailable.
    """

    async def find(self, digest: bytes) -> ApiKey | None:
        """Return the key with this digest, in any state, or None."""

    async def save(self, *keys: ApiKey) -> None:
        """Store keys durably and atomically; a key replaces the stored key with the same digest."""

    async def all(self) -> list[ApiKey]:
        """Return every key that was ever created, oldest first."""

    async def any_exist(self) -> bool:
        """Return whether a key was ever created."""


def hash_key(credential: str) -> bytes:
    """Return the stored digest of a credential. A fast hash is safe, because 256 random bits resist brute force."""
    return hashlib.sha256(credential.encode()).digest()


def generate_key() -> str:
    """Return a new random key: `pi_` and 49 digits and letters."""
    key = KEY_PREFIX + _base62(secrets.randbits(_BITS), _RANDOM_CHARS)
    return key + _checksum(key)


def is_well_formed(credential: str) -> bool:
    """Return whether a text has the format and the checksum of a key, unlike a mistyped or truncated one."""
    return (
        _FORMAT.fullmatch(credential) is not None
        and _checksum(credential[:-_CHECKSUM_CHARS]) == credential[-_CHECKSUM_CHARS:]
    )


async def create_key(
    keys: ApiKeyStore,
    *,
    name: str,
    scopes: Sequence[Scope],
    hidden_fields: Sequence[str] = (),
    lifetime: timedelta | None,
    now: datetime,
) -> tuple[str, ApiKey]:
    """Create a key and return it with its stored form. The key cannot be retrieved later. Raises ApiKeyError, StoreUnavailable."""
    if _NAME.fullmatch(name) is None:
        raise ApiKeyError(
            "the name of a key must have 1 to 64 letters, digits, dots, hyphens or underscores, for example billing.export"
        )
    if name in RESERVED:
        raise ApiKeyError(f"{name} is reserved for a principal without an API key: choose another name")
    if any(key.name == name and key.state(now) == "valid" for key in await keys.all()):
        raise ApiKeyError(
            f"there is a valid key {name}: choose another name, or replace the key with `peopleinfo keys rotate {name}`"
        )
    if read_only := set(hidden_fields) & set(READ_ONLY_FIELDS):
        raise ApiKeyError(
            f"{', '.join(sorted(read_only))} cannot be hidden: clients need it to read and change records"
        )
    if hidden_fields and Scope.ADMIN in scopes:
        raise ApiKeyError(f"a key with the scope {Scope.ADMIN} has access to all fields: leave out the hidden fields")
    credential = generate_key()
    key = ApiKey(
        key_hash=hash_key(credential),
        name=name,
        scopes=frozenset(scopes),
        hidden_fields=frozenset(hidden_fields),
        created_at=now,
        expires_at=now + lifetime if lifetime else None,
    )
    await keys.save(key)
    return credential, key


async def revoke(keys: ApiKeyStore, name_or_id: str, *, now: datetime) -> list[ApiKey]:
    """Revoke the valid keys with this name or id and return them. Raises ApiKeyError if there is none."""
    revoked = [msgspec.structs.replace(key, revoked_at=now) for key in await _valid_keys(keys, name_or_id, now)]
    await keys.save(*revoked)
    return revoked


async def rotate(keys: ApiKeyStore, name_or_id: str, *, overlap: timedelta, now: datetime) -> tuple[str, ApiKey]:
    """Replace a key by a new one with the same permissions, and return that like `create_key`.

    The old key remains valid for `overlap`. Raises ApiKeyError unless exactly one valid key has this name or id.
    """
    valid = await _valid_keys(keys, name_or_id, now)
    if len(valid) > 1:
        ids = ", ".join(key.key_id for key in valid)
        raise ApiKeyError(f"there are {len(valid)} valid keys {name_or_id}: use the id of one of them, {ids}")
    (old,) = valid
    credential = generate_key()
    lifetime = old.expires_at - old.created_at if old.expires_at else None
    new = msgspec.structs.replace(
        old, key_hash=hash_key(credential), created_at=now, expires_at=now + lifetime if lifetime else None
    )
    old_expiry = min(now + overlap, old.expires_at or now + overlap)
    await keys.save(new, msgspec.structs.replace(old, expires_at=old_expiry))
    return credential, new


async def _valid_keys(keys: ApiKeyStore, name_or_id: str, now: datetime) -> list[ApiKey]:
    valid = [key for key in await keys.all() if name_or_id in (key.name, key.key_id) and key.state(now) == "valid"]
    if not valid:
        raise ApiKeyError(
            f"there is no valid key with the name or id {name_or_id}: see the output of `peopleinfo keys list`"
        )
    return valid


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), _CHECKSUM_CHARS)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
