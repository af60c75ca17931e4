"""Decisions about the rows of an import: create a person, update one, or change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from peopleinfo.people.person import PersonData

if TYPE_CHECKING:
    from peopleinfo.bulk.rows import Row, RowDuplicate, Status
    from peopleinfo.errors import FieldError


class KeyedRow(NamedTuple):
    """The fields of a row that has a key. `version` is that of the record when the row was exported, None if unknown."""

    person_id: str
    version: int | None
    fields: dict[str, Any]


class Decision(NamedTuple):
    """A row and what to do with it: create a person, update one by its key, or report a status."""

    row: Row
    action: PersonData | KeyedRow | Status
    errors: tuple[FieldError, ...] = ()
    person_id: str | None = None
    is_stored: bool = False
    """Whether an earlier run of the import has processed the row."""
    duplicate: RowDuplicate | None = None

    @property
    def creates(self) -> bool:
        """Whether the row creates a person."""
        return isinstance(self.action, PersonData) and not self.is_stored

    @property
    def may_change(self) -> bool:
        """Whether the row may create or update a person."""
        return isinstance(self.action, PersonData | KeyedRow) and not self.is_stored
