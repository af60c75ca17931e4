"""Types of batch requests and their responses, for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from peopleinfo.http.openapi.operation_types import Key  # noqa: TC001 - read at run time, as a type
from peopleinfo.http.openapi.schemas import Id, Person, Problem, Version  # noqa: TC001 - read at run time, as types

MAX_ITEMS: Final = 100  # ids or changes in a request


class BatchGetBody(Struct, forbid_unknown_fields=True):
    """The ids of people to read."""

    ids: Annotated[list[str], Meta(min_length=1, max_length=MAX_ITEMS)]


class BatchGetResult(Struct):
    """The result of one id."""

    person_id: Annotated[str, Meta(description="The id as the request has it.")]
    status: Annotated[int, Meta(description="The status that a request for this person alone would have.")]
    etag: Annotated[str | UnsetType, Meta(description="The version as an entity tag, with its quotes.")] = UNSET
    person: Person | UnsetType = UNSET
    problem: Annotated[Problem | UnsetType, Meta(description="Why the person is not returned.")] = UNSET


class BatchGetResults(Struct):
    """A result for each id, in order."""

    results: list[BatchGetResult]


class BatchItem(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A creation, or a change of one person."""

    operation: Literal["create", "replace", "patch", "delete"]
    person_id: Annotated[Id | None, Meta(description="The person to replace, patch or delete.")] = None
    version: Annotated[
        Version | Literal["*"] | None,
        Meta(description="The version to change, or * for any version. Required to replace and to patch."),
    ] = None
    person: Annotated[
        dict[str, Any] | None, Meta(description="The new fields; to patch, a JSON Merge Patch (RFC 7396).")
    ] = None
    idempotency_key: Annotated[
        Key | None, Meta(description="To create: identifies the creation for 24 hours, like the header.")
    ] = None


class BatchBody(Struct, forbid_unknown_fields=True):
    """The items of a batch."""

    items: Annotated[list[BatchItem], Meta(min_length=1, max_length=MAX_ITEMS)]


class BatchResult(Struct):
    """The result of one item."""

    status: Annotated[int, Meta(description="The status that a request for this item alone would have.")]
    etag: Annotated[str | UnsetType, Meta(description="The version as an entity tag, with its quotes.")] = UNSET
    person: Annotated[Person | UnsetType, Meta(description="The stored person; absent after a deletion.")] = UNSET
    problem: Annotated[Problem | UnsetType, Meta(description="Why the item is rejected.")] = UNSET


class BatchResults(Struct):
    """A result for each item, in order."""

    results: list[BatchResult]


BATCH_TYPES: Final = (BatchGetBody, BatchGetResult, BatchGetResults, BatchItem, BatchBody, BatchResult, BatchResults)
