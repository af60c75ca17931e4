"""Types of requests and responses on the history of people, on the trash and on the feed of changes."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from peopleinfo.http.openapi.schemas import Cursor, Id, Person, Time, Version  # noqa: TC001 - read at run time, as types


class VersionSummary(Struct):
    """A version of a person without its values."""

    version: Version
    at: Time
    by: Annotated[str | None, Meta(description="The principal; null if it is unknown.")]
    operation: Annotated[
        Literal["created", "updated", "restored", "merged", "unmerged", "deleted"],
        Meta(description="How the version was created."),
    ]
    fields: Annotated[
        list[str] | None, Meta(description="The changed fields; null if the previous version is not stored.")
    ]


class HistoryPage(Struct):
    """A page of versions, oldest first; on the last page, next_cursor is null."""

    versions: list[VersionSummary]
    next_cursor: Cursor | None


class RestoreBody(Struct):
    """The version to restore."""

    version: Version


class DeletedPerson(Struct, kw_only=True):
    """A person in the trash."""

    person_id: Id
    person_name: str | UnsetType = UNSET
    person_surname: str | UnsetType = UNSET
    version: Annotated[int, Meta(ge=1, description="The version that the deletion created.")]
    deleted_at: Time
    deleted_by: Annotated[str | None, Meta(description="The principal; null if it is unknown.")]
    erased_after: Annotated[
        str,
        Meta(
            description="The time from which the person cannot be restored.", extra_json_schema={"format": "date-time"}
        ),
    ]


class TrashPage(Struct):
    """A page of deleted people, the last deleted one first; on the last page, next_cursor is null."""

    people: list[DeletedPerson]
    next_cursor: Cursor | None


class Change(Struct):
    """A change of a person."""

    person_id: Id
    version: Version
    operation: Literal["created", "updated", "restored", "merged", "unmerged", "deleted"]
    at: Time
    merged_into: Annotated[Id | UnsetType, Meta(description="The survivor of a merged record.")] = UNSET
    person: Annotated[
        Person | UnsetType,
        Meta(description="With include=person: the current record; absent if the person is deleted."),
    ] = UNSET


class ChangePage(Struct):
    """Changes and the token to continue with."""

    changes: list[Change]
    next: Annotated[str, Meta(description="The token of the next request.")]
    more: Annotated[bool, Meta(description="Whether more changes follow.")]


HISTORY_TYPES: Final = (VersionSummary, HistoryPage, RestoreBody, Change, ChangePage, DeletedPerson, TrashPage)
