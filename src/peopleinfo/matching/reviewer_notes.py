"""Notes of reviewers. They may name a person, so the links of a store hold them encrypted."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from msgspec.structs import replace

from peopleinfo.crypto.cipher import Cipher
from peopleinfo.crypto.person_ids import derive_key
from peopleinfo.errors import DecryptionFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.matching.duplicate_links import Link, LinkPage, LinkState, LinkStore
    from peopleinfo.matching.scoring import Grade


def note_cipher(secret: bytes) -> Cipher:
    """Return the cipher of the notes in a store with this secret."""
    return Cipher(derive_key(secret, "notes"))


class EncryptedNotes:
    """The links of a store, with encrypted notes. Implements `LinkStore`."""

    def __init__(self, links: LinkStore, cipher: Cipher) -> None:
        self._links = links
        self._cipher = cipher

    async def get(self, first: str, second: str) -> Link | None:
        """Return the link of two records; None without one."""
        link = await self._links.get(first, second)
        return self._decrypted(link) if link else None

    async def put(self, link: Link) -> bool:
        """Store a link with its encrypted note."""
        note = b64encode(self._cipher.encrypt(link.note.encode(), link.pair.encode())).decode() if link.note else ""
        return await self._links.put(replace(link, note=note))

    async def delete(self, link: Link) -> None:
        """Delete a link unless it was changed."""
        await self._links.delete(link)

    async def of_person(self, person_id: str) -> list[Link]:
        """Return all links of a record."""
        return [self._decrypted(link) for link in await self._links.of_person(person_id)]

    async def page(self, state: LinkState, grades: Sequence[Grade], *, after: bytes | None, limit: int) -> LinkPage:
        """Return a page of links."""
        page = await self._links.page(state, grades, after=after, limit=limit)
        return page._replace(links=[self._decrypted(link) for link in page.links])

    def _decrypted(self, link: Link) -> Link:
        """Return a link with its note, or without one if the note cannot be decrypted with the secret of this store."""
        if not link.note:
            return link
        try:
            note = self._cipher.decrypt(b64decode(link.note), link.pair.encode()).decode()
        except (ValueError, DecryptionFailed):
            note = ""
        return replace(link, note=note)
