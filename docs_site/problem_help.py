"""Meaning and remedy of each problem type, for the error catalogue of the documentation."""

from __future__ import annotations

from typing import Final, NamedTuple


class Help(NamedTuple):
    """The explanation of a problem type."""

    meaning: str
    remedy: str


PROBLEMS: Final = {
    # the problem type's slug
    "invalid-json": Help(
        "The body is not JSON, or two parsers could read it differently (duplicate names, invalid UTF-8).",
        "Correct the body. The detail has the position of the error.",
    ),
    "invalid-person": Help(
        "The document is valid JSON but not a valid record.",
        "Correct every field that `errors` lists: `pointer` locates the field, `reason` describes the rule.",
    ),
    "invalid-search": Help(
        "A filter or a parameter of the search is unknown or invalid.",
        "Correct the parameters that `errors` lists.",
    ),
    "invalid-batch": Help(
        "A batch, or one of its items, has an invalid form: for example more than 100 items, or an unknown field.",
        "Correct every field that `errors` lists.",
    ),
    "invalid-cursor": Help(
        "The cursor belongs to another search, another API key or another deployment, or was changed.",
        "Repeat the search without a cursor.",
    ),
    "invalid-input": Help(
        "The rows of an import cannot be read in the declared format.",
        "Check the format, the encoding, the delimiter and the column mapping.",
    ),
    "person-not-found": Help(
        "No record has this ID, or it was deleted.",
        "Check the ID. IDs of another deployment do not exist here.",
    ),
    "merged": Help(
        "The record is merged into the record in `merged_into`. It cannot be changed, and takes part in no other merge.",
        "Use the record in `merged_into`, or undo the merge in `merge_id`.",
    ),
    "merge-not-found": Help(
        "No merge has this ID, or its people were erased.",
        "Read the merges of a record: `/v1/people/{id}/merges`.",
    ),
    "invalid-merge": Help(
        "A parameter of the merge or of the undo is unknown or invalid.",
        "Correct the parameters that `errors` lists.",
    ),
    "cycle": Help(
        "The merge names a record twice.",
        "Name each record once.",
    ),
    "merge-too-large": Help(
        "The merge has more than 20 records, or its chain would be longer than 16 merges.",
        "Merge fewer records at a time, or merge the innermost records into one survivor.",
    ),
    "undo-first": Help(
        "The surviving record is itself merged into another one.",
        "Undo the merge in `merge_id` first.",
    ),
    "changed-since": Help(
        "A client changed fields that the merge took over. The change may belong to either person.",
        "Send `keep` with `survivor`, `merged` or `both` for each of the `fields`.",
    ),
    "version-not-found": Help(
        "The record has no such version, or the version has expired (`PEOPLEINFO_HISTORY`).",
        "Read the history of the record for its stored versions.",
    ),
    "invalid-token": Help(
        "The token is not a position in the feed of changes, or belongs to another deployment.",
        "Request `/v1/changes` without `since` for the current token.",
    ),
    "possible-duplicate": Help(
        "A stored person may be the same as the new one, which was not stored (`duplicates=refuse`).",
        "Compare the `candidates`. To store the person anyway, send the request with `duplicates=report`.",
    ),
    "pair-not-found": Help(
        "The two people are not in the review queue, or one of them was deleted.",
        "List the pairs with `GET /v1/duplicates`.",
    ),
    "duplicates-disabled": Help(
        "The store has no index for the detection of duplicates.",
        "Add duplicates to PEOPLEINFO_SEARCH_INDEXES, and run `peopleinfo reindex`.",
    ),
    "token-expired": Help(
        "Changes after the token have expired (`PEOPLEINFO_CHANGES`), or a backup has replaced the store.",
        "Request the current token, export all people, then continue with that token.",
    ),
    "version-conflict": Help(
        "The record has another version than `If-Match` states: another client changed it.",
        "Read the record, apply the change to the new version and send its `ETag`.",
    ),
    "identifier-conflict": Help(
        "Another record has the same value of a unique identifier (`unique:` in `PEOPLEINFO_IDENTIFIERS`). The member `field` names it, "
        "and `person_id` the other record, unless it is hidden from the client.",
        "Correct the value, or update the other record.",
    ),
    "idempotency-key-reused": Help(
        "The `Idempotency-Key` was used for a different request.",
        "Use a new key for a new request, and the same key only to repeat one.",
    ),
    "person-deleted": Help(
        "The record that this `Idempotency-Key` created was deleted; a repetition does not create it again.",
        "Use a new key to create a new record.",
    ),
    "import-already-running": Help(
        "The same import is running on this or another process.",
        "Wait until it ends, then send the same request to read its result.",
    ),
    "import-not-found": Help(
        "There is no import with this id, or its entry has expired.",
        "List the imports with `GET /v1/imports`. A key without `people:admin` sees its own imports only.",
    ),
    "import-undone": Help(
        "The undo of this import has started, so the import cannot store more people.",
        "Complete the undo, then import the file again with a new key.",
    ),
    "not-authenticated": Help(
        "The request has no valid credential. The response does not reveal the reason.",
        "Send `Authorization: Bearer` with an API key or a token. Check that the key is valid: `peopleinfo keys list`.",
    ),
    "access-denied": Help(
        "The credential is valid, but lacks the scope that the operation requires.",
        "Use a key with the scope that `WWW-Authenticate` names.",
    ),
    "rate-limit-exceeded": Help(
        "The client has used up its rate limit.",
        "Wait for the seconds in `Retry-After`, then repeat the request.",
    ),
    "overloaded": Help(
        "The server has no memory or no files left for another request of this kind. It did not process the request.",
        "Repeat the request after `Retry-After`.",
    ),
    "field-access-denied": Help(
        "The API key may not read a field that the request reads, searches by or changes.",
        "Leave out the hidden field, or use a key without hidden fields.",
    ),
    "outcome-unknown": Help(
        "The connection to the store broke before the store confirmed the change: it may have been stored.",
        "Read the record before you repeat the change, or repeat it with the same `Idempotency-Key`.",
    ),
    "audit-unavailable": Help(
        "The audit log cannot be written or read. The server did not make the change.",
        "Repeat the request later. Operators: free disk space or fix the permissions, see `/status`.",
    ),
    "store-unavailable": Help(
        "The store does not respond, is damaged or cannot be opened. Nothing was stored.",
        "Repeat the request after `Retry-After`. Operators: see `/status` and the log.",
    ),
    "internal-error": Help(
        "An unexpected error in the server.",
        "Report it with the `request_id`. The log has the class and the location of the error under this ID.",
    ),
}
# the status of errors that HTTP itself defines
HTTP_ERRORS: Final = {
    400: Help(
        "A header, the path or the query is malformed or ambiguous.",
        "Correct the part that the detail names.",
    ),
    403: Help(
        "A page of another origin sent the request.",
        "Add the origin to `PEOPLEINFO_CORS_ORIGINS`, if its pages may use the API.",
    ),
    404: Help("The path does not exist.", "Check the path against `/docs`."),
    405: Help("The path does not have this method.", "Use a method of the `Allow` header."),
    406: Help("The client accepts no JSON from the FHIR facade.", "Send `Accept: application/fhir+json`."),
    408: Help(
        "The body did not arrive within `PEOPLEINFO_BODY_TIMEOUT`.",
        "Send the body faster, or in smaller parts.",
    ),
    412: Help(
        "A condition of the request is false, for example `If-None-Match: *` for an existing record.",
        "Read the record and decide again.",
    ),
    413: Help("The body exceeds its limit.", "Send less: an import has no limit on its total size."),
    415: Help(
        "The operation does not take this `Content-Type` or `Content-Encoding`.",
        "Use a type from the detail or the `Accept` header of the response.",
    ),
    421: Help(
        "The `Host` header names another host, and the server has no API keys.",
        "Use a name of this machine, or create an API key to serve other names.",
    ),
    428: Help(
        "An update must state the version that it is based on.",
        "Send `If-Match` with the `ETag` of the record.",
    ),
    431: Help("The headers exceed 32 KiB or 100 fields.", "Send fewer or shorter headers."),
    503: Help(
        "The server has reached `PEOPLEINFO_MAX_CONNECTIONS`, or is shutting down.",
        "Repeat the request after `Retry-After`.",
    ),
}
