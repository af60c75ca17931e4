"""Imports, and the people that their undo left unchanged."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
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


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportPreview:
    """The people and errors in the first part of a file, and the detected format.

    `mapping` has the columns of each field. Each of the `columns` has a `name`, a `field` and `examples`. Each of the `rows` has a `line`
    and a `result` (valid, rejected or skipped), with a `person` or `errors`. Each of the `warnings` has a `message`.
    """

    format: str
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    other_sheets: list[str] = field(default_factory=list)
    header_line: int | None = None
    columns: list[dict[str, Any]] = field(default_factory=list)
    mapping: dict[str, list[str]] = field(default_factory=dict)
    date_formats: list[str] = field(default_factory=list)
    date_choices: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Parse the JSON of a preview. Fields of a newer server are ignored."""
        found = decode(text)
        return cls(**{known.name: found[known.name] for known in fields(cls) if known.name in found})


class ImportPage(NamedTuple):
    """A page of imports; `next_cursor` is None on the last page."""

    imports: list[Import]
    next_cursor: str | None

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Parse the JSON of a page."""
        page = decode(text)
        return cls([Import.from_fields(one) for one in page["imports"]], page["next_cursor"])
