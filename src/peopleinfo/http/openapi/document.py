"""The OpenAPI 3.1 document, generated from `operations`."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec

from peopleinfo import __version__
from peopleinfo.http.fhir_documents import PATH as FHIR_PATH
from peopleinfo.http.openapi import examples
from peopleinfo.http.openapi.batch_schemas import BATCH_TYPES
from peopleinfo.http.openapi.duplicates_schemas import TYPES as DUPLICATES_TYPES
from peopleinfo.http.openapi.fhir_operations import FHIR_ERRORS, FHIR_TYPES
from peopleinfo.http.openapi.history_schemas import HISTORY_TYPES
from peopleinfo.http.openapi.import_history_schemas import IMPORT_HISTORY_TYPES
from peopleinfo.http.openapi.import_schemas import IMPORT_TYPES
from peopleinfo.http.openapi.list_operations import LIST_TYPES
from peopleinfo.http.openapi.merge_schemas import MERGE_TYPES
from peopleinfo.http.openapi.operations import OPERATIONS, PROBLEMS
from peopleinfo.http.openapi.person_export_schemas import PERSON_EXPORT_TYPES
from peopleinfo.http.openapi.schemas import TYPES

if TYPE_CHECKING:
    from peopleinfo.http.openapi.operation_types import Operation, Parameter, Response

_REF: Final = "#/components/schemas/{name}"
_HEADERS: Final = {
    "ETag": "The version as an entity tag.",
    "Location": "The URL of the person or of the merge.",
    "Cache-Status": "Whether the cache had the record (RFC 9211); absent without a cache.",
    "Changes-Token": "The token of the feed at the start of the export, for `since` of /v1/changes.",
    "Link": 'A related resource (RFC 8288): the next page (rel="next"), or the duplicates of the person (rel="related").',
    "Duplicates": "With duplicates: the numbers of certain and probable duplicates, for example `certain=0, probable=1`.",
}
_PATH_PARAMETERS: Final = {
    "person_id": ("The id of the person.", "string", examples.PERSON_ID),
    "import_id": ("The id of the import.", "string", examples.IMPORT_ID),
    "version": ("The number of the version.", "integer", 1),
    "merge_id": ("The id of the merge.", "string", examples.MERGE_ID),
    "pair": ("The id of the pair: the ids of both people, in order.", "string", "0123456789abcdef" * 4),
}
_TAGS: Final = {"/v1/": "people", "/fhir/": "fhir", "/data": "legacy", "/": "operations"}
_TAG_DESCRIPTIONS: Final = {
    "people": "Create, search, change, import and export people.",
    "fhir": "Read, search and match people as FHIR R4 patients.",
    "legacy": "The API of the service that PeopleInfo replaces.",
    "operations": "Health checks and metrics.",
}
# Any operation can return these: a malformed condition, a foreign origin, a failed condition, a foreign host, an unavailable store.
_COMMON_ERRORS: Final = (400, 403, 412, 421, 503)
_BEARER: Final = "bearer"
_BEARER_SCHEME: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key (`peopleinfo keys create`) or a token of the OpenID provider, with the scope in `x-required-scope` of the operation.",
}
_INFO: Final = {
    "title": "PeopleInfo",
    "version": __version__,
    "summary": "Stores and searches person records.",
    "description": (
        "HTTP API to store and search person records: name, surname, birthdate, address and any extra JSON fields.\n\n"
        "Errors are problem documents (RFC 9457). "
        "Pages of other origins can call the API only if PEOPLEINFO_CORS_ORIGINS contains their origin."
    ),
    "contact": {"name": "The operators of this server"},
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}


def document() -> dict[str, Any]:
    """Return the OpenAPI document as a JSON object."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    types = (
        *TYPES,
        *PERSON_EXPORT_TYPES,
        *IMPORT_TYPES,
        *HISTORY_TYPES,
        *BATCH_TYPES,
        *DUPLICATES_TYPES,
        *FHIR_TYPES,
        *IMPORT_HISTORY_TYPES,
        *LIST_TYPES,
        *MERGE_TYPES,
    )
    _, schemas = msgspec.json.schema_components(types, ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAG_DESCRIPTIONS.items()],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {_BEARER: _BEARER_SCHEME}},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    tag = next(tag for prefix, tag in _TAGS.items() if operation.path.startswith(prefix))
    result: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": operation.description,
        "tags": [tag],
        "security": [],
    }
    if operation.scope is not None:
        # An extension, because linters accept scopes of OAuth 2.0 and OpenID Connect schemes only.
        result |= {"security": [{_BEARER: []}], "x-required-scope": operation.scope.value}
    parameters = [_path_parameter(name) for name in re.findall(r"{(\w+)}", operation.path)]
    parameters += [_parameter(parameter) for parameter in operation.parameters]
    if parameters:
        result["parameters"] = parameters
    if operation.body:
        result["requestBody"] = {"required": True, "content": _content(operation.body)}
    result["responses"] = _responses(operation)
    return result


def _responses(operation: Operation) -> dict[str, Any]:
    responses = {str(status): _response(response) for status, response in operation.responses.items()}
    for status in (*operation.errors, *(() if operation.scope is None else (401, 429)), *_COMMON_ERRORS):
        if status not in operation.responses:
            responses[str(status)] = _error(status, operation.path)
    return responses


def _response(response: Response) -> dict[str, Any]:
    result: dict[str, Any] = {"description": response.description}
    if response.body:
        result["content"] = _content(response.body)
    if response.headers:
        result["headers"] = {
            name: {"description": _HEADERS[name], "schema": {"type": "string"}} for name in response.headers
        }
    return result


def _error(status: int, path: str) -> dict[str, Any]:
    is_fhir = path.startswith(FHIR_PATH)
    example = examples.operation_outcome(status) if is_fhir else examples.problem(status)
    content = {
        media_type: {"schema": _schema(kind), "example": example}
        for media_type, kind in (FHIR_ERRORS if is_fhir else PROBLEMS).items()
    }
    return {"description": f"{HTTPStatus(status).phrase}.", "content": content}


def _content(body: dict[str, Any]) -> dict[str, Any]:
    return {
        media_type: {
            "schema": {"type": "string"} if kind is None else _schema(kind),
            "example": examples.example(media_type, kind),
        }
        for media_type, kind in body.items()
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = _schema(parameter.type)
    # A parameter is absent or has a value; null exists in bodies only.
    if alternatives := [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]:
        schema = {name: value for name, value in schema.items() if name != "anyOf"} | alternatives[0]
    if None in schema.get("enum", ()):
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    description = parameter.description or schema.pop("description", "")
    result = {"name": parameter.name, "in": parameter.location, "required": parameter.required, "schema": schema}
    return result | ({"description": description} if description else {})


def _path_parameter(name: str) -> dict[str, Any]:
    description, kind, example = _PATH_PARAMETERS[name]
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": kind},
        "description": description,
        "example": example,
    }


def _schema(kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REF)
    return schema
