"""Imports, and the people that their undo left unchanged."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from peopleinfo_client._json import decode

if TYPE_CHECKING:
    from collections.abc import Mapping


class LeftPerson(NamedTuple):
    """A person that an undo left unchanged; `reason` is changed, deleted, no-history or identifier-taken."""

    person_id: str
    reason: str


class Import(NamedTuple):
    """An import with its numbers of people. `state` is started, finished, undoing or undone.

    `people_left` has the first people that the undo left unchanged; it is empty in a list of imports.
    """

    import_id: str
    started_at: datetime
    principal: str | None
    file_name: str | None
    file_digest: str | None
    state: str
    created: int
    updated: int
    deleted: int
    restored: int
    left: int
    people_left: list[LeftPerson]

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Parse the JSON of an import."""
        return cls.from_fields(decode(text))

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Make an import of its JSON fields."""
        values = {name: fields[name] for name in cls._fields if name in fields}
        values["started_at"] = datetime.fromisoformat(fields["started_at"])
        values["people_left"] = [LeftPerson(**one) for one in fields.get("people_left", ())]
        return cls(**values, file_name=fields["file"]["name"], file_digest=fields["file"]["digest"])


class ImportPage(NamedTuple):
    """A page of imports; `next_cursor` is None on the last page."""

    imports: list[Import]
    next_cursor: str | None

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Parse the JSON of a page."""
        page = decode(text)
        return cls([Import.from_fields(one) for one in page["imports"]], page["next_cursor"])
