"""API keys: what they look like, what is kept of them, and the port to where that is kept."""

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
from peopleinfo.errors import PeopleInfoError
from peopleinfo.people.fields import READ_ONLY_FIELDS

if TYPE_CHECKING:
    from collections.abc import Sequence

# pi_, 256 bits of chance, a CRC-32 of both: scanners for secrets find a key by its form and are sure of it by its check.
KEY_PREFIX: Final = "pi_"
_DIGITS: Final = string.digits + string.ascii_letters
_BITS: Final = 256
_RANDOM_CHARS: Final = 43  # digits to the base of 62 for as many bits
_CHECKSUM_CHARS: Final = 6  # digits for a CRC-32
_FORM: Final = re.compile(rf"{KEY_PREFIX}[0-9A-Za-z]{{{_RANDOM_CHARS + _CHECKSUM_CHARS}}}", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_ID: Final = 12  # digits of the digest


class ApiKeyError(PeopleInfoError):
    """A key cannot be made, found or changed as it was asked for."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a key: who it stands for, and a digest by which it is recognised and from which nobody finds it."""

    key_hash: bytes = msgspec.field(name="digest")
    name: str
    scopes: frozenset[Scope]
    hidden_fields: frozenset[str] = msgspec.field(name="hidden", default=frozenset())
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def key_id(self) -> str:
        """What tells the key from others of the same name; no secret."""
        return self.key_hash.hex()[:_ID]

    @property
    def principal(self) -> Principal:
        """Whoever shows this key."""
        return Principal(name=self.name, scopes=self.scopes, hidden_fields=self.hidden_fields)

    def state(self, now: datetime) -> str:
        """Return "valid", "expired" or "revoked"."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"


class ApiKeyStore(Protocol):
    """Keeps API keys, the same for every process: whoever asks sees each change that was acknowledged before.

    Every method may raise StoreUnavailable.
    """

    async def find(self, digest: bytes) -> ApiKey | None:
        """Return the key with this digest, whatever its state, or None."""

    async def save(self, *keys: ApiKey) -> None:
        """Store keys durably, all of them or none, in the place of those with the same digests."""

    async def all(self) -> list[ApiKey]:
        """Return every key that was ever made, oldest first."""

    async def any_exist(self) -> bool:
        """Say whether a key was ever made."""


def hash_key(credential: str) -> bytes:
    """Return as what a credential is kept: 256 bits of chance cannot be tried out, so a hash need not be slow to be safe."""
    return hashlib.sha256(credential.encode()).digest()


def generate_key() -> str:
    """Return a key that nobody has: `pi_` and 49 digits and letters."""
    chance = KEY_PREFIX + _base62(secrets.randbits(_BITS), _RANDOM_CHARS)
    return chance + _check(chance)


def is_well_formed(credential: str) -> bool:
    """Say whether a text can be a key at all; what is mistyped or cut off cannot."""
    return (
        _FORM.fullmatch(credential) is not None
        and _check(credential[:-_CHECKSUM_CHARS]) == credential[-_CHECKSUM_CHARS:]
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
    """Make a key and return it, which nobody can do again, with what is kept of it. Raises InvalidKey, StoreUnavailable."""
    if _NAME.fullmatch(name) is None:
        raise ApiKeyError(
            "a name has 1 to 64 letters, digits, dots, hyphens and underscores, as in ci or billing.export"
        )
    if name in RESERVED:
        raise ApiKeyError(f"{name} stands in the audit for somebody who shows no key of yours: take another name")
    if any(key.name == name and key.state(now) == "valid" for key in await keys.all()):
        raise ApiKeyError(
            f"there is a valid key {name}: take another name, or renew it by `peopleinfo keys rotate {name}`"
        )
    if given := set(hidden_fields) & set(READ_ONLY_FIELDS):
        raise ApiKeyError(f"{', '.join(sorted(given))} cannot be hidden: without it nobody can be named or changed")
    if hidden_fields and Scope.ADMIN in scopes:
        raise ApiKeyError(f"a key with the scope {Scope.ADMIN} may do everything, so nothing can be hidden from it")
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


async def revoke(keys: ApiKeyStore, which: str, *, now: datetime) -> list[ApiKey]:
    """End the valid keys with this name, or the one with this id, and return them. Raises InvalidKey when there is none."""
    revoked = [msgspec.structs.replace(key, revoked_at=now) for key in await _valid(keys, which, now)]
    await keys.save(*revoked)
    return revoked


async def rotate(keys: ApiKeyStore, which: str, *, overlap: timedelta, now: datetime) -> tuple[str, ApiKey]:
    """Make a key like the one with this name or id, which goes on for `overlap`, and return it as `issue` does.

    Raises InvalidKey unless there is exactly one valid key.
    """
    valid = await _valid(keys, which, now)
    if len(valid) > 1:
        ids = ", ".join(key.key_id for key in valid)
        raise ApiKeyError(f"there are {len(valid)} valid keys {which}: name one of them by its id, {ids}")
    (old,) = valid
    credential = generate_key()
    lifetime = old.expires_at - old.created_at if old.expires_at else None
    new = msgspec.structs.replace(
        old, key_hash=hash_key(credential), created_at=now, expires_at=now + lifetime if lifetime else None
    )
    ends = min(now + overlap, old.expires_at or now + overlap)
    await keys.save(new, msgspec.structs.replace(old, expires_at=ends))
    return credential, new


async def _valid(keys: ApiKeyStore, which: str, now: datetime) -> list[ApiKey]:
    found = [key for key in await keys.all() if which in (key.name, key.key_id) and key.state(now) == "valid"]
    if not found:
        raise ApiKeyError(
            f"there is no valid key with the name or id {which}: `peopleinfo keys list` shows those that are there"
        )
    return found


def _check(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), _CHECKSUM_CHARS)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
