"""Types of requests and responses about merges."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from peopleinfo.http.openapi.schemas import Id, NewPerson, Person, Time, Version
from peopleinfo.matching.merge_rules import MAX_RECORDS, Keep


class VersionOfPerson(Struct):
    """A record and its version."""

    person_id: Id
    version: Version


class MergedPerson(Struct):
    """A merged record with the version that the merge created."""

    person_id: Id
    version: Version
    merged_into: Id


class MergeBody(Struct):
    """A merge: the current version of each record, and the values of the survivor."""

    survivor: VersionOfPerson
    merged: Annotated[list[VersionOfPerson], Meta(min_length=1, max_length=MAX_RECORDS - 1)]
    take: Annotated[
        dict[str, Id] | UnsetType,
        Meta(
            description="Field → id of the record from which the survivor takes the value. A record without the field removes it."
        ),
    ] = UNSET
    result: Annotated[
        NewPerson | UnsetType, Meta(description="All fields of the survivor, in place of the selected values.")
    ] = UNSET
    preview: Annotated[bool, Meta(description="Returns the result without a merge.")] = False


class Survivor(Person):
    """The surviving record, and the ids of all records that are merged into it."""

    replaces: list[Id] = []  # noqa: RUF012 - msgspec copies it


class FieldDifference(Struct):
    """A field in which the records differ."""

    field: str
    values: Annotated[dict[str, Any], Meta(description="Id of each record with the field → its value.")]
    taken: Annotated[Id | None, Meta(description="The record with the value of the survivor; null for another value.")]


class MergeOutcome(Struct):
    """A merge or its preview."""

    merge_id: Annotated[Id | None, Meta(description="The id of the merge; null for a preview.")]
    survivor: Survivor
    merged: list[MergedPerson]
    differences: list[FieldDifference]


class MergeSummary(Struct):
    """A merge without values. The versions are those that the merge created."""

    merge_id: Id
    survivor: VersionOfPerson
    merged: list[VersionOfPerson]
    at: Time
    by: Annotated[str | None, Meta(description="The principal; null if it is unknown.")]
    undone_at: Time | None
    undone_by: str | None


class MergePage(Struct):
    """The merges of a person, newest first."""

    merges: list[MergeSummary]


class UndoBody(Struct):
    """The decisions of an undo."""

    keep: Annotated[
        dict[str, Keep] | UnsetType,
        Meta(
            description="Field that a client changed after the merge → the record that has the change after the undo."
        ),
    ] = UNSET
    preview: Annotated[bool, Meta(description="Returns the result without an undo.")] = False


class UndoOutcome(Struct):
    """The records after an undo, or those that a preview shows."""

    merge_id: Id
    survivor: Annotated[Person | None, Meta(description="Null if the record was erased after the undo.")]
    merged: list[Person]
    edited: Annotated[list[str], Meta(description="The fields that a client changed after the merge.")]


MERGE_TYPES: Final = (
    VersionOfPerson,
    MergedPerson,
    MergeBody,
    Survivor,
    FieldDifference,
    MergeOutcome,
    MergeSummary,
    MergePage,
    UndoBody,
    UndoOutcome,
)
