"""The list of a backup's parts, written anew after each of them: what it names is there, and what it does not name is not of the backup."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import zlib
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peopleinfo.crypto.ids import derive_key
from peopleinfo.errors import InvalidJson, PeopleInfoError
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from peopleinfo.bulk.backup_storage import BackupStorage

NAME: Final = "manifest.json"
FORMAT: Final = 1
KEY: Final = 32  # bytes of a key that seals backups
_NONCE: Final = 12
_LEVEL: Final = 6
_GZIP: Final = 31  # zlib's word for a gzip file


class InvalidBackup(PeopleInfoError):
    """There is no backup, or not the one that was meant, or not all of it; the message says which."""


class Part(msgspec.Struct, frozen=True):
    """A file of the backup: gzip of a person's JSON a line, and sealed if there is a key."""

    name: str
    people: int
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is made of. It holds nothing of a person's."""

    format: int = FORMAT
    backup_id: str
    source: str
    """A mark of the store: the same for the same store, and telling nothing of it."""
    sealed: bool
    started_at: str
    finished_at: str | None = None
    after: bytes | None = None
    """Where the store is read on."""
    people: int = 0
    digest: str = f"{0:064x}"
    parts: list[Part] = []
    mac: str | None = None
    """Of a sealed backup: HMAC-SHA-256 of all the rest, by its key; so nobody else leaves out parts, or swaps them."""

    @property
    def is_complete(self) -> bool:
        """Whether it was finished."""
        return self.finished_at is not None


def read_manifest(depot: BackupStorage, key: bytes | None) -> Manifest | None:
    """Return the manifest, None when there is none. Raises BackupUnusable, also when it is not as it was written with this key."""
    text = depot.read(NAME)
    if text is None:
        return None
    try:
        manifest = strict_json.decode(text, Manifest)
    except InvalidJson as error:
        raise InvalidBackup(f"{NAME} is not one of a backup: {error}") from error
    if manifest.format != FORMAT:
        raise InvalidBackup(
            f"the backup has format {manifest.format}, this PeopleInfo knows {FORMAT}: upgrade PeopleInfo"
        )
    if key and not manifest.sealed:
        raise InvalidBackup("the backup was begun without a key: leave --key out, if this is the one that is meant")
    if key and not hmac.compare_digest(manifest.mac or "", _mac(manifest, key)):
        raise InvalidBackup(f"{NAME} was not written with this key, or not as it is now")
    return manifest


def write_manifest(depot: BackupStorage, manifest: Manifest, key: bytes | None) -> None:
    """Keep the manifest."""
    if key:
        manifest = msgspec.structs.replace(manifest, mac=_mac(manifest, key))
    depot.write(NAME, msgspec.json.format(msgspec.json.encode(manifest), indent=1))


def key_fingerprint(secret: bytes) -> str:
    """Return the mark of the store with this secret."""
    return hashlib.sha256(derive_key(secret, "backups")).hexdigest()[:32]


def write_part(depot: BackupStorage, manifest: Manifest, bodies: list[bytes], key: bytes | None) -> Part:
    """Keep people as the next part of a backup."""
    name = f"people-{len(manifest.parts) + 1:06}.ndjson.gz" + (".sealed" if key else "")
    packer = zlib.compressobj(_LEVEL, wbits=_GZIP)
    content = packer.compress(b"\n".join(bodies) + b"\n") + packer.flush()
    if key:
        nonce = secrets.token_bytes(_NONCE)
        content = nonce + _cipher(key, manifest).encrypt(nonce, content, name.encode())
    depot.write(name, content)
    return Part(name, len(bodies), len(content), hashlib.sha256(content).hexdigest())


def read_part(depot: BackupStorage, manifest: Manifest, part: Part, key: bytes | None) -> list[bytes]:
    """Return the people of a part. Raises BackupUnusable when it is not as it was written."""
    content = depot.read(part.name)
    if content is None:
        raise InvalidBackup(f"{part.name} is missing")
    if len(content) != part.size or hashlib.sha256(content).hexdigest() != part.sha256:
        raise InvalidBackup(f"{part.name} is not as it was written")
    if manifest.sealed:
        if key is None:
            raise InvalidBackup("the backup is sealed: give its key with --key")
        try:
            content = _cipher(key, manifest).decrypt(content[:_NONCE], content[_NONCE:], part.name.encode())
        except InvalidTag:
            raise InvalidBackup(f"{part.name} does not open with this key") from None
    bodies = zlib.decompress(content, wbits=_GZIP).splitlines() if part.people else []
    if len(bodies) != part.people:
        raise InvalidBackup(f"{part.name} holds {len(bodies)} people, not {part.people}")
    return bodies


def _mac(manifest: Manifest, key: bytes) -> str:
    told = msgspec.json.encode(msgspec.structs.replace(manifest, mac=None))
    return hmac.digest(derive_key(key, "backup manifest"), told, "sha256").hex()


def _cipher(key: bytes, manifest: Manifest) -> AESGCM:
    return AESGCM(derive_key(key, f"backup {manifest.backup_id}"))
