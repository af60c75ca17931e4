"""The JSON types of the list of imports and of their undo."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from peopleinfo.http.openapi.schemas import Id, Time  # noqa: TC001 - msgspec reads them at run time
from peopleinfo.people.import_log import ImportState, LeftReason  # noqa: TC001 - as above


class ImportedFile(Struct):
    """The file of an import."""

    name: Annotated[str | None, Meta(description="Its name, null if the client sent none.", examples=["members.csv"])]
    digest: Annotated[str | None, Meta(description="Its SHA-256, null if unknown.")]


class ImportEntry(Struct):
    """An import: its file, its state and its numbers of people."""

    import_id: Id
    started_at: Time
    principal: str | None
    file: ImportedFile
    state: Annotated[
        ImportState, Meta(description="started: running or interrupted. undoing: repeat the undo to complete it.")
    ]
    created: Annotated[int, Meta(description="Created people.")]
    updated: Annotated[int, Meta(description="Updated people.")]
    deleted: Annotated[int, Meta(description="People that the undo deleted.")]
    restored: Annotated[int, Meta(description="People that the undo restored.")]
    left: Annotated[int, Meta(description="People that the undo left unchanged.")]


class ImportPage(Struct):
    """A page of imports, newest first."""

    imports: list[ImportEntry]
    next_cursor: Annotated[str | None, Meta(description="The cursor of the next page; null on the last page.")]


class LeftPerson(Struct):
    """A person that the undo left unchanged."""

    person_id: Id
    reason: Annotated[
        LeftReason,
        Meta(
            description="changed: the person has changed since the import. deleted: an updated person was deleted since. "
            "no-history: the version before the import is not stored. "
            "identifier-taken: another person has the earlier value of a unique identifier."
        ),
    ]


class ImportDetails(ImportEntry):
    """An import, with the people that its undo left unchanged."""

    people_left: Annotated[list[LeftPerson], Meta(description="The first 1,000 of them.")]


IMPORT_HISTORY_TYPES: Final = (ImportedFile, ImportEntry, ImportPage, LeftPerson, ImportDetails)
