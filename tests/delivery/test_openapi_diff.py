"""Breaking changes of the API are detected; compatible changes pass."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo.http.openapi.document import document
from scripts.check_api import DOCUMENT, problems, text
from scripts.commits import ROOT
from scripts.openapi_diff import breaking

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.delivery.repositories import Repository

Document = dict[str, Any]
PERSON = {
    "type": "object",
    "required": ["name", "kind"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 256},
        "kind": {"enum": ["member", "guest"]},
        "score": {"type": ["number", "null"]},
        "tags": {"type": "array", "maxItems": 10, "items": {"type": "string"}},
        "boss": {"$ref": "#/components/schemas/Person"},
        "contact": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
    },
}
OLD: Document = {
    "openapi": "3.1.0",
    "components": {"schemas": {"Person": PERSON}},
    "paths": {
        "/people": {
            "post": {
                "security": [{"key": ["write"]}, {"token": ["write"]}],
                "parameters": [{"in": "query", "name": "limit", "schema": {"type": "integer", "maximum": 100}}],
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Person"}}, "text/csv": {}}
                },
                "responses": {
                    "201": {
                        "headers": {"ETag": {}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}},
                    },
                    "409": {"description": "There already."},
                },
            },
            "get": {"responses": {"200": {"description": "All."}}},
        }
    },
}
# Responses have a separate schema, so that a test changes one direction only.
OLD["components"]["schemas"]["Answer"] = json.loads(json.dumps(PERSON).replace("schemas/Person", "schemas/Answer"))


def post(new: Document) -> Any:
    return new["paths"]["/people"]["post"]


def request_schema(new: Document) -> Any:
    return new["components"]["schemas"]["Person"]


def response_schema(new: Document) -> Any:
    return new["components"]["schemas"]["Answer"]


BREAKING: dict[str, tuple[Callable[[Document], Any], str]] = {
    "path removed": (lambda new: new["paths"].clear(), "GET /people was removed"),
    "method removed": (lambda new: new["paths"]["/people"].pop("get"), "GET /people was removed"),
    "response removed": (lambda new: post(new)["responses"].pop("201"), "response 201 was removed"),
    "header removed": (lambda new: post(new)["responses"]["201"]["headers"].clear(), "header ETag was removed"),
    "media type of the response removed": (
        lambda new: post(new)["responses"]["201"]["content"].clear(),
        "201: application/json was removed",
    ),
    "media type of the body removed": (
        lambda new: post(new)["requestBody"]["content"].pop("text/csv"),
        "body: text/csv was removed",
    ),
    "body newly required": (
        lambda new: post(new)["requestBody"].update(required=True),
        "a request body is newly required",
    ),
    "parameter removed": (lambda new: post(new)["parameters"].clear(), "parameter limit was removed"),
    "parameter newly required": (
        lambda new: post(new)["parameters"][0].update(required=True),
        "parameter limit is newly required",
    ),
    "new required parameter": (
        lambda new: post(new)["parameters"].append({"in": "header", "name": "If-Match", "required": True}),
        "parameter If-Match is newly required",
    ),
    "limit of a parameter": (
        lambda new: post(new)["parameters"][0]["schema"].update(maximum=50),
        "maximum is 50, lower than before",
    ),
    "more scopes": (
        lambda new: post(new)["security"][0].update(key=["write", "admin"]),
        "requires different credentials",
    ),
    "another scope": (lambda new: post(new).update({"x-required-scope": "admin"}), "requires different credentials"),
    "security scheme removed": (lambda new: post(new)["security"].pop(), "requires different credentials"),
    "credentials newly required": (
        lambda new: new["paths"]["/people"]["get"].update(security=[{"key": []}]),
        "requires different credentials",
    ),
    "field newly required": (
        lambda new: request_schema(new)["required"].append("score"),
        "member score is newly required",
    ),
    "field of the request removed": (
        lambda new: request_schema(new)["properties"].pop("score"),
        "member score was removed",
    ),
    "narrower type": (
        lambda new: request_schema(new)["properties"]["score"].update(type="number"),
        "score: no longer null",
    ),
    "number to integer": (
        lambda new: request_schema(new)["properties"]["score"].update(type=["integer", "null"]),
        "score: no longer number",
    ),
    "narrower enum": (
        lambda new: request_schema(new)["properties"]["kind"].update(enum=["member"]),
        'kind: no longer "guest"',
    ),
    "new enum": (
        lambda new: request_schema(new)["properties"]["name"].update(enum=["Anna"]),
        "name: no longer any value",
    ),
    "shorter": (
        lambda new: request_schema(new)["properties"]["name"].update(maxLength=100),
        "maxLength is 100, lower than before",
    ),
    "longer": (
        lambda new: request_schema(new)["properties"]["name"].update(minLength=2),
        "minLength is 2, higher than before",
    ),
    "new pattern": (lambda new: request_schema(new)["properties"]["name"].update(pattern="^A"), "pattern is newly ^A"),
    "new format": (
        lambda new: request_schema(new)["properties"]["name"].update(format="email"),
        "format None became email",
    ),
    "fewer items": (
        lambda new: request_schema(new)["properties"]["tags"].update(maxItems=5),
        "maxItems is 5, lower than before",
    ),
    "other items": (
        lambda new: request_schema(new)["properties"]["tags"]["items"].update(type="integer"),
        "items: no longer string",
    ),
    "no other fields": (
        lambda new: request_schema(new).update(additionalProperties=False),
        "additionalProperties allows less",
    ),
    "alternative removed": (
        lambda new: request_schema(new)["properties"]["contact"]["oneOf"].pop(),
        "different alternatives",
    ),
    "field of the response removed": (
        lambda new: response_schema(new)["properties"].pop("name"),
        "member name was removed",
    ),
    "field newly optional": (
        lambda new: response_schema(new)["required"].remove("name"),
        "member name may be missing",
    ),
    "newly nullable": (
        lambda new: response_schema(new)["properties"]["name"].update(type=["string", "null"]),
        "name: newly null",
    ),
    "new value of an enum": (
        lambda new: response_schema(new)["properties"]["kind"]["enum"].append("staff"),
        'kind: newly "staff"',
    ),
    "alternative added": (
        lambda new: response_schema(new)["properties"]["contact"]["oneOf"].append({"type": "boolean"}),
        "different alternatives",
    ),
}

HARMLESS: dict[str, Callable[[Document], Any]] = {
    "no change": lambda _: None,
    "new path": lambda new: new["paths"].update({"/more": {"get": {"responses": {"200": {}}}}}),
    "new optional parameter": lambda new: post(new)["parameters"].append(
        {"in": "query", "name": "match", "schema": {}}
    ),
    "new error": lambda new: post(new)["responses"].update({"429": {"description": "Slower."}}),
    "error removed": lambda new: post(new)["responses"].pop("409"),
    "another media type of the body": lambda new: post(new)["requestBody"]["content"].update({"text/xml": {}}),
    "fewer scopes": lambda new: post(new)["security"][0].update(key=[]),
    "another security scheme": lambda new: post(new)["security"].append({"cookie": []}),
    "new optional field": lambda new: request_schema(new)["properties"].update(email={"type": "string"}),
    "no longer required": lambda new: request_schema(new)["required"].remove("kind"),
    "wider type": lambda new: request_schema(new)["properties"]["name"].update(type=["string", "null"]),
    "wider enum": lambda new: request_schema(new)["properties"]["kind"]["enum"].append("staff"),
    "longer allowed": lambda new: request_schema(new)["properties"]["name"].update(maxLength=300),
    "another alternative": lambda new: request_schema(new)["properties"]["contact"]["oneOf"].append(
        {"type": "boolean"}
    ),
    "new field of the response": lambda new: response_schema(new)["properties"].update(email={"type": "string"}),
    "no longer nullable": lambda new: response_schema(new)["properties"]["score"].update(type="number"),
    "newly always present": lambda new: response_schema(new)["required"].append("score"),
    "other descriptions": lambda new: post(new).update(summary="Another.", description="Other words."),
}


@pytest.mark.parametrize("change", BREAKING)
def test_breaking_change_is_reported(change: str) -> None:
    apply, expected = BREAKING[change]
    new = copy.deepcopy(OLD)
    apply(new)
    found = breaking(OLD, new)
    assert any(expected in problem for problem in found), found


@pytest.mark.parametrize("change", HARMLESS)
def test_compatible_change_passes(change: str) -> None:
    new = copy.deepcopy(OLD)
    HARMLESS[change](new)
    assert breaking(OLD, new) == []


def released(repository: Repository) -> Document:
    """Release the current API, and return a document with a planted breaking change."""
    (repository.root / "docs").mkdir()
    (repository.root / DOCUMENT).write_text(json.dumps(document()))
    repository.commit("feat: start")
    repository.tag("v1.0.0")
    changed = document()
    del changed["paths"]["/v1/people/{person_id}"]["delete"]
    return changed


def test_planted_breaking_change_fails_the_check(repository: Repository) -> None:
    changed = released(repository)
    repository.commit("feat: tidy up")
    assert problems(changed, repository.root) == ["DELETE /v1/people/{person_id} was removed"]
    assert problems(document(), repository.root) == []


def test_announced_breaking_change_passes(repository: Repository) -> None:
    changed = released(repository)
    repository.commit("feat!: people are never deleted")
    assert problems(changed, repository.root) == []


def test_committed_document_is_the_baseline_before_the_first_release(repository: Repository) -> None:
    (repository.root / "docs").mkdir()
    (repository.root / DOCUMENT).write_text(text(document()))
    repository.commit("feat!: start")
    changed = document()
    del changed["paths"]["/v1/people/{person_id}"]["delete"]
    assert problems(changed, repository.root) == ["DELETE /v1/people/{person_id} was removed"]
    assert problems(document(), repository.root) == []


def test_committed_document_of_this_repository_is_compatible() -> None:
    assert breaking(json.loads((ROOT / DOCUMENT).read_text(encoding="utf-8")), document()) == []
