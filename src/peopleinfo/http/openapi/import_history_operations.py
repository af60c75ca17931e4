"""The operations of the API on the list of imports, and the undo of an import."""

from __future__ import annotations

from typing import Final

from peopleinfo.auth.principal import Scope
from peopleinfo.http.media_types import JSON
from peopleinfo.http.openapi.import_history_schemas import ImportDetails, ImportPage
from peopleinfo.http.openapi.operation_types import PAGE, Operation, Response

IMPORT_HISTORY_OPERATIONS: Final = (
    Operation(
        "/v1/imports",
        "get",
        Scope.WRITE,
        "listImports",
        "List imports",
        "Returns the imports that created or updated people, newest first. "
        "A principal without people:admin sees its own imports only. "
        "Entries expire with the history (PEOPLEINFO_HISTORY).",
        {200: Response("A page of imports.", {JSON: ImportPage})},
        PAGE,
        errors=(422,),
    ),
    Operation(
        "/v1/imports/{import_id}",
        "get",
        Scope.WRITE,
        "getImport",
        "Get an import",
        "Returns an import with its numbers of people. "
        "After an undo, it lists the people that the undo left unchanged.",
        {200: Response("The import.", {JSON: ImportDetails})},
        errors=(404,),
    ),
    Operation(
        "/v1/imports/{import_id}/undo",
        "post",
        Scope.ADMIN,
        "undoImport",
        "Undo an import",
        "Deletes the people that the import created, and restores those that it updated. "
        "People that have changed since are left unchanged and listed. "
        "A long undo returns its progress after 20 seconds: repeat the request until the state is `undone`.",
        {200: Response("The import after the undo, or its progress.", {JSON: ImportDetails})},
        errors=(404,),
    ),
)
