"""The operations of the API on the trash, and the deletion of a person."""

from __future__ import annotations

from typing import Final

from peopleinfo.auth.principal import Scope
from peopleinfo.http.media_types import JSON
from peopleinfo.http.openapi.history_schemas import TrashPage
from peopleinfo.http.openapi.operation_types import IF_MATCH, PAGE, Operation, Parameter, Response
from peopleinfo.http.openapi.schemas import Person

ERASE_PERSON: Final = "erasePerson"  # action of a deletion that erases, in the audit log

TRASH_OPERATIONS: Final = (
    Operation(
        "/v1/people/{person_id}",
        "delete",
        Scope.WRITE,
        "deletePerson",
        "Delete a person",
        "Moves the person to the trash for the time that PEOPLEINFO_TRASH sets; without it, erases the person permanently, with all records that are merged with it. "
        "With If-Match, the request is rejected with 412 if the person has changed. "
        "A second request returns 404.",
        {204: Response("The person is deleted.")},
        (
            IF_MATCH._replace(required=False),
            Parameter(
                "query",
                "erase",
                bool,
                "Erases the person permanently, also from the trash. Requires the scope people:admin.",
            ),
        ),
        errors=(400, 404, 412, 422),
    ),
    Operation(
        "/v1/trash",
        "get",
        Scope.ADMIN,
        "listTrash",
        "List deleted people",
        "Returns the people in the trash with their names, the last deleted one first. "
        "After the time erased_after, a person cannot be restored and is erased.",
        {200: Response("A page of deleted people.", {JSON: TrashPage})},
        PAGE,
        errors=(422,),
    ),
    Operation(
        "/v1/trash/{person_id}/restore",
        "post",
        Scope.ADMIN,
        "restoreDeletedPerson",
        "Restore a deleted person",
        "Moves the person back from the trash under its id, with its history. "
        "The request is rejected with 409 if another person has one of its unique identifiers. "
        "A second request returns 404.",
        {200: Response("The person with its new version.", {JSON: Person}, ("ETag",))},
        errors=(404, 409),
    ),
    Operation(
        "/v1/trash/{person_id}",
        "delete",
        Scope.ADMIN,
        "eraseDeletedPerson",
        "Erase a deleted person",
        "Erases a person in the trash permanently, with its history. A second request returns 404.",
        {204: Response("The person is erased.")},
        errors=(404,),
    ),
)
