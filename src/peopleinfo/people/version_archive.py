"""The histories of many people at once, for backups and copies."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from peopleinfo.people.history import Operation, Origin, PersonVersion, milliseconds, update_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from peopleinfo.people.history import HistoryLimits


class PersonHistory(NamedTuple):
    """All stored versions of a person, oldest first; the last one is the current version, or that of the deletion or the merge."""

    person_id: str
    versions: list[PersonVersion]


class VersionArchive(Protocol):
    """Reads and stores histories. The feed of changes does not contain the stored versions."""

    async def read_histories(self, person_ids: Sequence[str]) -> list[PersonHistory]:
        """Return the histories of these people, in any order; unknown ids are omitted.

        The people may also be in the trash or merged into others.
        """

    async def store_histories(self, histories: Sequence[PersonHistory]) -> None:
        """Store the versions below the current one of each person, and the origin of the current version. Repeatable.

        Versions beyond the limits and those of unknown people are omitted.
        """


_NO_JSON: Final = msgspec.Raw()


class ArchivedVersion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version in a backup; `person` is its JSON, empty if it is the current version, which the backup has anyway."""

    version_of: str
    version: int
    operation: Operation
    principal: str | None = None
    import_id: bytes | None = None
    person: msgspec.Raw = _NO_JSON


_decode = msgspec.json.Decoder(ArchivedVersion).decode


def encode_history(history: PersonHistory) -> list[bytes]:
    """Return the lines of a history in a backup."""
    *earlier, current = history.versions
    lines = [_archived(history.person_id, version, msgspec.Raw(version.body)) for version in earlier]
    return [msgspec.json.encode(line) for line in (*lines, _archived(history.person_id, current, _NO_JSON))]


def decode_histories(lines: Sequence[bytes], people: dict[str, bytes]) -> list[PersonHistory]:
    """Return the histories in lines of a backup; `people` has the current JSON of each person."""
    histories: dict[str, PersonHistory] = {}
    for line in lines:
        one = _decode(line)
        body = bytes(one.person) or people.get(one.version_of)
        if body is not None:
            origin = Origin(one.operation, one.principal, one.import_id)
            history = histories.setdefault(one.version_of, PersonHistory(one.version_of, []))
            history.versions.append(PersonVersion(one.version, origin, body))
    return list(histories.values())


def replaced_versions(
    history: PersonHistory, current: int, limits: HistoryLimits, now: datetime
) -> Iterator[tuple[PersonVersion, int]]:
    """Yield the versions below `current` within the limits, each with the time of its replacement in milliseconds."""
    if limits.max_versions == 0:
        return
    ends = [milliseconds(datetime.fromisoformat(update_time(version.body))) for version in history.versions[1:]]
    for version, replaced_at in zip(history.versions, [*ends, milliseconds(now)], strict=True):
        is_kept = version.version >= limits.oldest_version(current) and replaced_at > limits.replaced_after(now)
        if version.version < current and is_kept:
            yield version, replaced_at


def _archived(person_id: str, version: PersonVersion, person: msgspec.Raw) -> ArchivedVersion:
    operation, principal, import_id = version.origin
    return ArchivedVersion(
        version_of=person_id,
        version=version.version,
        operation=operation,
        principal=principal,
        import_id=import_id,
        person=person,
    )
