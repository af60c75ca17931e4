"""The data of a store besides its current records: merges, the trash, reviewed pairs and imports. Backups and copies contain it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from peopleinfo.bulk.import_log_entry import ImportFile, decrypt_file, encrypt_file, iter_batches
from peopleinfo.errors import ImportUndone, PersonNotFound, VersionConflict
from peopleinfo.matching.duplicate_links import STATES, Link
from peopleinfo.matching.merge_store import MergeRecord, StoredLog, decode_log, encode_log, reencoded
from peopleinfo.matching.review_queue import ALL_GRADES
from peopleinfo.matching.reviewer_notes import EncryptedNotes, note_cipher
from peopleinfo.people.history import Operation, Origin, PersonVersion, default_operation, update_time
from peopleinfo.people.import_log import (
    UNDO_STATES,
    ImportBatch,
    ImportedPeople,
    ImportEntry,
    ImportLog,
    ImportState,
    UndoOutcome,
    batch_key,
)
from peopleinfo.people.person import StoredPerson, decode_header, timestamp
from peopleinfo.people.version_archive import PersonHistory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from peopleinfo.bulk.archived_store import ArchivedStore
    from peopleinfo.matching.duplicate_links import LinkStore
    from peopleinfo.people.trash import TrashedPerson, TrashStore

_PAGE: Final = 100  # people in the trash, links or imports read at a time
_MAX_ATTEMPTS: Final = 20  # reads of a merge that changes at the same time
_RETRY_DELAY: Final = 0.1  # seconds
_IMPORT_STATES: Final = (ImportState.STARTED, ImportState.FINISHED)


class ArchivedMerge(msgspec.Struct, frozen=True, tag="merge", omit_defaults=True):
    """A merge, and the log of its survivor at a version; empty for an undone merge."""

    merge: MergeRecord
    version: int = 0
    log: msgspec.Raw = msgspec.Raw()


class ArchivedDeletion(msgspec.Struct, frozen=True, tag="deleted"):
    """A person in the trash, deleted at `version`. The record before the deletion is among the people of its batch."""

    person_id: str
    version: int
    deleted_at: datetime
    deleted_by: str | None
    expires_at: datetime


class ArchivedLink(msgspec.Struct, frozen=True, tag="pair"):
    """A pair of possible duplicates, with its note unencrypted."""

    link: Link


class ArchivedImport(msgspec.Struct, frozen=True, tag="import"):
    """An import without its file, which each store encrypts with its own key."""

    entry: ImportEntry
    file: ImportFile


class ArchivedImportBatch(msgspec.Struct, frozen=True, tag="imported"):
    """People of an import, by the number of the batch."""

    import_id: bytes
    number: int
    people: ImportedPeople
    outcome: UndoOutcome | None = None


Entry = ArchivedMerge | ArchivedDeletion | ArchivedLink | ArchivedImport | ArchivedImportBatch

encode_entry: Final = msgspec.json.Encoder().encode
decode_entry: Final = msgspec.json.Decoder(Entry).decode


class SupplementBatch(NamedTuple):
    """Entries, and the histories of the records that must be current before the entries are stored."""

    entries: Sequence[Entry]
    histories: Sequence[PersonHistory] = ()
    survivors: Sequence[bytes] = ()
    """Those of the records that stay current."""

    @property
    def people(self) -> dict[str, bytes]:
        """The records by id."""
        return {history.person_id: history.versions[-1].body for history in self.histories}

    def changed_since(self, since: str) -> dict[str, bytes | None]:
        """Return the people that may have changed since a time, by id: the current record, None if there is none."""
        current = {decode_header(body).person_id: body for body in self.survivors}
        times = dict.fromkeys(self.people, "")
        for entry in self.entries:
            if isinstance(entry, ArchivedDeletion):
                times[entry.person_id] = timestamp(entry.deleted_at)
            elif isinstance(entry, ArchivedMerge):
                times |= dict.fromkeys(times, entry.merge.at)
        times |= {person_id: update_time(body) for person_id, body in current.items()}
        return {person_id: current.get(person_id) for person_id, at in times.items() if at >= since}


async def iter_supplement(store: ArchivedStore) -> AsyncIterator[SupplementBatch]:
    """Yield the supplement of a store in the order in which it must be stored."""
    for merge_id in await store.merges.merge_ids():
        if batch := await _read_merge(store, merge_id):
            yield batch
    async for batch in _iter_trash(store):
        yield batch
    async for batch in _iter_links(store):
        yield batch
    async for batch in _iter_imports(store):
        yield batch


async def store_entries(store: ArchivedStore, entries: Sequence[Entry]) -> None:
    """Store entries after their people. Safe to repeat: a newer entry of the store is not overwritten."""
    for entry in entries:
        match entry:
            case ArchivedMerge(merge, version, log):
                stored = StoredLog(version, decode_log(bytes(log))) if bytes(log) else None
                await store.merges.store_merge(merge, stored)
            case ArchivedDeletion():
                await _store_deletion(store.trash, entry)
            case ArchivedLink(link):
                await _store_link(_links_of(store), link)
            case ArchivedImport(entry=imported, file=file):
                await _store_import(store, imported, file)
            case ArchivedImportBatch():
                await _store_import_batch(store.imports, entry)


async def _read_merge(store: ArchivedStore, merge_id: str) -> SupplementBatch | None:
    """Return a merge with its people; None if it was erased meanwhile."""
    for _ in range(_MAX_ATTEMPTS):
        merge = await store.merges.read_merge(merge_id)
        if merge is None:
            return None
        if merge.undone_at is not None:
            return SupplementBatch([ArchivedMerge(merge)])
        if batch := await _merge_in_effect(store, merge):
            return batch
        await asyncio.sleep(_RETRY_DELAY)  # a change of one of its people is between two reads
    return None


async def _merge_in_effect(store: ArchivedStore, merge: MergeRecord) -> SupplementBatch | None:
    """Return a merge with the records before it and the survivor; None if they do not fit together."""
    log = await store.merges.read_log(merge.survivor.person_id)
    found = {history.person_id: history for history in await store.archive.read_histories(merge.people)}
    if log is None or len(found) < len(merge.people):
        return None
    ends = {each.person_id: each.version - 1 for each in merge.merged} | {merge.survivor.person_id: log.version}
    histories = [_history_until(found[person_id], end) for person_id, end in ends.items()]
    if not all(histories):
        return None
    last = found[merge.survivor.person_id].versions[-1]
    entry = ArchivedMerge(merge, log.version, msgspec.Raw(encode_log(log.log)))
    survivors = [last.body] if last.version == log.version else []
    return SupplementBatch([entry], [history for history in histories if history], survivors)


async def _iter_trash(store: ArchivedStore) -> AsyncIterator[SupplementBatch]:
    after: bytes | None = None
    while True:
        page = await store.trash.page(after=after, limit=_PAGE)
        histories = await store.archive.read_histories([person.person_id for person in page.people])
        found = {history.person_id: history for history in histories}
        entries = [_deletion(person) for person in page.people if person.person_id in found]
        before = [_history_until(found[entry.person_id], entry.version - 1) for entry in entries]
        yield SupplementBatch(entries, [history for history in before if history])
        if (after := page.next) is None:
            return


async def _iter_links(store: ArchivedStore) -> AsyncIterator[SupplementBatch]:
    links = _links_of(store)
    if links is None:
        return
    for state in STATES:
        after: bytes | None = None
        while True:
            page = await links.page(state, ALL_GRADES, after=after, limit=_PAGE)
            yield SupplementBatch([ArchivedLink(link) for link in page.links])
            if (after := page.next) is None:
                break


async def _iter_imports(store: ArchivedStore) -> AsyncIterator[SupplementBatch]:
    before: bytes | None = None
    while entries := await store.imports.list_imports(before=before, limit=_PAGE):
        for entry in entries:
            file = decrypt_file(store.secret, entry)
            yield SupplementBatch([ArchivedImport(msgspec.structs.replace(entry, file=b""), file)])
            number = 0
            async for batch in iter_batches(store.imports, entry.import_id):
                number += 1
                yield SupplementBatch([ArchivedImportBatch(entry.import_id, number, batch.people, batch.outcome)])
        before = entries[-1].import_id


def _links_of(store: ArchivedStore) -> LinkStore | None:
    """Return the links with their notes, which each store encrypts with its own key; None without a match index."""
    return EncryptedNotes(store.matches.links, note_cipher(store.secret)) if store.matches is not None else None


async def _store_deletion(trash: TrashStore, deletion: ArchivedDeletion) -> None:
    with suppress(PersonNotFound, VersionConflict):  # deleted before, or changed since
        await trash.add(
            deletion.person_id,
            expected=deletion.version - 1,
            expires_at=deletion.expires_at,
            principal=deletion.deleted_by,
            deleted_at=deletion.deleted_at,
        )


async def _store_link(links: LinkStore | None, link: Link) -> None:
    if links is None:
        return
    stored = await links.get(link.first, link.second)
    if stored is None:
        await links.put(msgspec.structs.replace(link, version=1))
    elif stored.at < link.at:
        await links.put(msgspec.structs.replace(link, version=stored.version + 1))


async def _store_import(store: ArchivedStore, entry: ImportEntry, file: ImportFile) -> None:
    encrypted = msgspec.structs.replace(entry, file=encrypt_file(store.secret, entry.import_id, file))
    with suppress(ImportUndone):
        await store.imports.start_import(encrypted)
        await store.imports.update_import(encrypted, expected=_IMPORT_STATES)


async def _store_import_batch(imports: ImportLog, batch: ArchivedImportBatch) -> None:
    entry = await imports.read_import(batch.import_id)
    if batch.outcome is not None or entry.state not in UNDO_STATES:
        stored = ImportBatch(batch_key(batch.number), batch.people, batch.outcome)
        await imports.store_batches(batch.import_id, [stored])


def _history_until(history: PersonHistory, version: int) -> PersonHistory | None:
    """Return the versions up to one; None if it is not known.

    A deletion keeps the fields of the record. So the version before it is known even if it is not stored, except for its time.
    """
    versions = [each for each in history.versions if each.version <= version]
    last = history.versions[-1]
    if (
        last.version == version + 1
        and last.origin.operation is Operation.DELETED
        and (not versions or versions[-1].version < version)
    ):
        record = reencoded(StoredPerson(history.person_id, last.version, last.body), version, update_time(last.body))
        versions.append(PersonVersion(version, Origin(default_operation(version)), record.body))
    return PersonHistory(history.person_id, versions) if versions and versions[-1].version == version else None


def _deletion(person: TrashedPerson) -> ArchivedDeletion:
    deleted_at = datetime.fromisoformat(update_time(person.body))
    return ArchivedDeletion(person.person_id, person.version, deleted_at, person.deleted_by, person.expires_at)
