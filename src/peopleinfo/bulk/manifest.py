"""The manifest of a backup: the list of its parts, updated after each part. Other files do not belong to the backup."""

from __future__ import annotations

import hashlib
import hmac
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from peopleinfo.crypto.cipher import Cipher
from peopleinfo.crypto.person_ids import derive_key
from peopleinfo.errors import DecryptionFailed, InvalidBackup, InvalidJson
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from peopleinfo.bulk.backup_storage import BackupStorage

MANIFEST_NAME: Final = "manifest.json"
FORMAT: Final = 3
_FORMATS: Final = (1, 2, FORMAT)  # format 1 has no versions, format 2 no supplement
_COMPRESSION_LEVEL: Final = 6
_GZIP_WBITS: Final = 31  # selects the gzip format in zlib


class Part(msgspec.Struct, frozen=True):
    """A file of the backup: gzip-compressed NDJSON of people, of their versions, then of other entries; encrypted if the backup has a key."""

    name: str
    people: int
    size: int
    sha256: str
    versions: int = 0
    entries: int = 0
    """In a part of the supplement. Its people must be current before its entries are stored; the digest does not count them."""

    @property
    def lines(self) -> int:
        """The number of lines."""
        return self.people + self.versions + self.entries


class PartLines(NamedTuple):
    """The lines of a part: the JSON of people, their versions, and other entries."""

    people: list[bytes]
    versions: list[bytes]
    entries: list[bytes]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of a backup. It contains no personal data."""

    format: int = FORMAT
    backup_id: str
    source: str
    """Fingerprint of the source store, which discloses nothing about it."""
    sealed: bool
    started_at: str
    finished_at: str | None = None
    after: bytes | None = None
    """Position in the source store from which to resume."""
    people: int = 0
    digest: str = f"{0:064x}"
    parts: list[Part] = []
    saved: tuple[int, str] | None = None
    """The number of people in the parts and their digest, if the supplement replaces some of them."""
    mac: str | None = None
    """HMAC-SHA-256 of the other fields, with the key of the backup: detects removed and swapped parts. None without a key."""

    @property
    def is_complete(self) -> bool:
        """Whether the backup was finished."""
        return self.finished_at is not None


def read_manifest(storage: BackupStorage, key: bytes | None) -> Manifest | None:
    """Return the manifest, or None if there is none. Raises InvalidBackup, also when it was changed or written with another key."""
    text = storage.read(MANIFEST_NAME)
    if text is None:
        return None
    try:
        manifest = strict_json.decode(text, Manifest)
    except InvalidJson as error:
        raise InvalidBackup(f"{MANIFEST_NAME} is not the manifest of a backup: {error}") from error
    if manifest.format not in _FORMATS:
        raise InvalidBackup(
            f"the backup has format {manifest.format}, this version supports {FORMAT}: upgrade PeopleInfo"
        )
    if key and not manifest.sealed:
        raise InvalidBackup("the backup is not encrypted: omit --key, or check the location")
    if key and not hmac.compare_digest(manifest.mac or "", _mac(text, key)):
        raise InvalidBackup(f"{MANIFEST_NAME} was written with another key, or changed")
    return manifest


def write_manifest(storage: BackupStorage, manifest: Manifest, key: bytes | None) -> None:
    """Store the manifest."""
    if key:
        manifest = msgspec.structs.replace(manifest, mac=_mac(msgspec.json.encode(manifest), key))
    storage.write(MANIFEST_NAME, msgspec.json.format(msgspec.json.encode(manifest), indent=1))


def key_fingerprint(secret: bytes) -> str:
    """Return the fingerprint of the store with this secret."""
    return hashlib.sha256(derive_key(secret, "backups")).hexdigest()[:32]


def write_part(storage: BackupStorage, manifest: Manifest, lines: PartLines, key: bytes | None) -> Part:
    """Store the lines of the next part of a backup."""
    kind, suffix = "supplement" if lines.entries else "people", ".sealed" if key else ""
    name = f"{kind}-{len(manifest.parts) + 1:06}.ndjson.gz{suffix}"
    compressor = zlib.compressobj(_COMPRESSION_LEVEL, wbits=_GZIP_WBITS)
    text = b"\n".join([*lines.people, *lines.versions, *lines.entries]) + b"\n"
    content = compressor.compress(text) + compressor.flush()
    if key:
        content = _cipher(key, manifest).encrypt(content, name.encode())
    storage.write(name, content)
    digest = hashlib.sha256(content).hexdigest()
    return Part(name, len(lines.people), len(content), digest, len(lines.versions), len(lines.entries))


def read_part(storage: BackupStorage, manifest: Manifest, part: Part, key: bytes | None) -> PartLines:
    """Return the lines of a part. Raises InvalidBackup when the part is missing or damaged."""
    content = storage.read(part.name)
    if content is None:
        raise InvalidBackup(f"{part.name} is missing")
    if len(content) != part.size or hashlib.sha256(content).hexdigest() != part.sha256:
        raise InvalidBackup(f"{part.name} is damaged")
    if manifest.sealed:
        if key is None:
            raise InvalidBackup("the backup is encrypted: set --key FILE")
        try:
            content = _cipher(key, manifest).decrypt(content, part.name.encode())
        except DecryptionFailed:
            raise InvalidBackup(f"{part.name} cannot be decrypted with this key") from None
    lines = zlib.decompress(content, wbits=_GZIP_WBITS).splitlines() if part.lines else []
    if len(lines) != part.lines:
        raise InvalidBackup(f"{part.name} contains {len(lines)} lines instead of {part.lines}")
    end = part.people + part.versions
    return PartLines(lines[: part.people], lines[part.people : end], lines[end:])


def _mac(text: bytes, key: bytes) -> str:
    """Return the MAC of a manifest. It covers the fields as they were written, which differ between formats."""
    content = msgspec.json.encode(msgspec.json.decode(text) | {"mac": None})
    return hmac.digest(derive_key(key, "backup manifest"), content, "sha256").hex()


def _cipher(key: bytes, manifest: Manifest) -> Cipher:
    return Cipher(derive_key(key, f"backup {manifest.backup_id}"))
