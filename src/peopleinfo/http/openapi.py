"""The OpenAPI 3.1 document, made from `contract`."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final

import msgspec

from peopleinfo import __version__
from peopleinfo.http.operations import OPERATIONS, PROBLEMS, Operation, Parameter, Response
from peopleinfo.http.schemas import TYPES

_REF: Final = "#/components/schemas/{name}"
_HEADERS: Final = {
    "ETag": "The version as an entity tag.",
    "Location": "Where the person is.",
    "Cache-Status": "Where the answer came from (RFC 9211), when there is a cache.",
    "Link": 'The next page (RFC 8288, rel="next").',
}
_TAGS: Final = {"/v1/": "people", "/data": "the first API", "/": "operation"}
# Of every operation: a condition that cannot be read, another origin, a false condition, another name, an unavailable store.
_ANYTIME: Final = (400, 403, 412, 421, 503)
_BEARER: Final = "bearer"
_BEARER_SCHEME: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key (`peopleinfo keys create`) or a token of the OpenID provider, whose scopes cover those of the operation.",
}


def document() -> dict[str, Any]:
    """Return the OpenAPI document as a JSON object."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    _, schemas = msgspec.json.schema_components(TYPES, ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PeopleInfo",
            "version": __version__,
            "summary": "Stores people and finds them again.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {_BEARER: _BEARER_SCHEME}},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    tag = next(tag for prefix, tag in _TAGS.items() if operation.path.startswith(prefix))
    described: dict[str, Any] = {"operationId": operation.name, "summary": operation.summary, "tags": [tag]}
    described["security"] = [] if operation.scope is None else [{_BEARER: [operation.scope.value]}]
    parameters = [_path_parameter(name) for name in re.findall(r"{(\w+)}", operation.path)]
    parameters += [_parameter(parameter) for parameter in operation.parameters]
    if parameters:
        described["parameters"] = parameters
    if operation.body:
        described["requestBody"] = {"required": True, "content": _content(operation.body)}
    answers = {str(status): _answer(answer) for status, answer in operation.answers.items()}
    for status in (*operation.errors, *(() if operation.scope is None else (401, 429)), *_ANYTIME):
        if status not in operation.answers:
            answers[str(status)] = _answer(Response(f"{HTTPStatus(status).phrase}.", PROBLEMS))
    described["responses"] = answers
    return described


def _answer(answer: Response) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.body:
        described["content"] = _content(answer.body)
    if answer.headers:
        described["headers"] = {
            name: {"description": _HEADERS[name], "schema": {"type": "string"}} for name in answer.headers
        }
    return described


def _content(body: dict[str, Any]) -> dict[str, Any]:
    return {
        media_type: {"schema": {"type": "string"} if kind is None else _schema(kind)}
        for media_type, kind in body.items()
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = _schema(parameter.type)
    # A parameter that is absent is absent: null is for bodies.
    if alternatives := [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]:
        schema = {name: value for name, value in schema.items() if name != "anyOf"} | alternatives[0]
    if None in schema.get("enum", ()):
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    described = parameter.description or schema.pop("description", "")
    return {"name": parameter.name, "in": parameter.where, "required": parameter.required, "schema": schema} | (
        {"description": described} if described else {}
    )


def _path_parameter(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": "The person's id.",
    }


def _schema(kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REF)
    return schema
