"""The JSON types of the export of all data about one person."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from peopleinfo.http.openapi.schemas import Person, Time, Version  # noqa: TC001 - read at run time, as types


class AuditEvent(Struct):
    """One event of the audit log."""

    event: Literal["audit"]
    time: Time
    writer: str
    seq: int
    action: Annotated[
        str, Meta(description="The operation; intent: a change is about to start; end: the process stopped.")
    ]
    intent: Annotated[str | UnsetType, Meta(description="The operation of an intent.")] = UNSET
    principal: str | UnsetType = UNSET
    outcome: int | UnsetType = UNSET
    people: list[str] | UnsetType = UNSET
    fields: list[str] | UnsetType = UNSET
    request_id: str | UnsetType = UNSET
    client: str | UnsetType = UNSET
    previous: str | UnsetType = UNSET


class AuditSection(Struct):
    """The audit events of a person."""

    availability: Annotated[
        Literal["included", "external", "disabled"],
        Meta(description="external: the service cannot read its audit log."),
    ]
    events: list[AuditEvent] | UnsetType = UNSET
    omitted: Annotated[int | UnsetType, Meta(description="Number of older events that are not included.")] = UNSET


class EarlierVersion(Struct):
    """An earlier version of a person."""

    version: Version
    by: str | None
    operation: str
    person: Person


class MergedRecordExport(Struct):
    """All data of a record that is merged into another one."""

    person: Person
    history: list[EarlierVersion]
    audit: AuditSection


class DeletionExport(Struct):
    """The deletion of a person in the trash."""

    at: Time
    by: str | None
    erased_after: Time


class PersonExport(Struct):
    """All data about a person."""

    person: Person
    history: list[EarlierVersion]
    audit: AuditSection
    deleted: DeletionExport | UnsetType = UNSET
    merged: list[MergedRecordExport] | UnsetType = UNSET


PERSON_EXPORT_TYPES: Final = (
    EarlierVersion,
    AuditEvent,
    AuditSection,
    PersonExport,
    MergedRecordExport,
    DeletionExport,
)
