"""A change of the API that breaks a client is found, and one that does not is let through."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo.http.openapi import document
from scripts.check_api import DOCUMENT, problems
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
# What clients are sent is a schema of its own here, so that a test changes one direction alone.
OLD["components"]["schemas"]["Answer"] = json.loads(json.dumps(PERSON).replace("schemas/Person", "schemas/Answer"))


def post(new: Document) -> Any:
    return new["paths"]["/people"]["post"]


def sent(new: Document) -> Any:
    return new["components"]["schemas"]["Person"]


def answer(new: Document) -> Any:
    return new["components"]["schemas"]["Answer"]


BREAKING: dict[str, tuple[Callable[[Document], Any], str]] = {
    "path gone": (lambda new: new["paths"].clear(), "GET /people was removed"),
    "method gone": (lambda new: new["paths"]["/people"].pop("get"), "GET /people was removed"),
    "answer gone": (lambda new: post(new)["responses"].pop("201"), "response 201 was removed"),
    "header gone": (lambda new: post(new)["responses"]["201"]["headers"].clear(), "header ETag was removed"),
    "answer's type of content gone": (
        lambda new: post(new)["responses"]["201"]["content"].clear(),
        "201: application/json was removed",
    ),
    "type of body gone": (
        lambda new: post(new)["requestBody"]["content"].pop("text/csv"),
        "body: text/csv was removed",
    ),
    "body newly required": (
        lambda new: post(new)["requestBody"].update(required=True),
        "a request body is newly required",
    ),
    "parameter gone": (lambda new: post(new)["parameters"].clear(), "parameter limit was removed"),
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
    "more rights": (
        lambda new: post(new)["security"][0].update(key=["write", "admin"]),
        "requires different credentials",
    ),
    "one way to sign in gone": (lambda new: post(new)["security"].pop(), "requires different credentials"),
    "credentials where none were": (
        lambda new: new["paths"]["/people"]["get"].update(security=[{"key": []}]),
        "requires different credentials",
    ),
    "member newly required": (lambda new: sent(new)["required"].append("score"), "member score is newly required"),
    "member of the request gone": (lambda new: sent(new)["properties"].pop("score"), "member score was removed"),
    "narrower type": (lambda new: sent(new)["properties"]["score"].update(type="number"), "score: no longer null"),
    "number to integer": (
        lambda new: sent(new)["properties"]["score"].update(type=["integer", "null"]),
        "score: no longer number",
    ),
    "narrower enum": (lambda new: sent(new)["properties"]["kind"].update(enum=["member"]), 'kind: no longer "guest"'),
    "new enum": (lambda new: sent(new)["properties"]["name"].update(enum=["Anna"]), "name: no longer any value"),
    "shorter": (
        lambda new: sent(new)["properties"]["name"].update(maxLength=100),
        "maxLength is 100, lower than before",
    ),
    "longer": (lambda new: sent(new)["properties"]["name"].update(minLength=2), "minLength is 2, higher than before"),
    "new pattern": (lambda new: sent(new)["properties"]["name"].update(pattern="^A"), "pattern is newly ^A"),
    "new format": (lambda new: sent(new)["properties"]["name"].update(format="email"), "format None became email"),
    "fewer items": (lambda new: sent(new)["properties"]["tags"].update(maxItems=5), "maxItems is 5, lower than before"),
    "other items": (
        lambda new: sent(new)["properties"]["tags"]["items"].update(type="integer"),
        "items: no longer string",
    ),
    "no other members": (lambda new: sent(new).update(additionalProperties=False), "additionalProperties allows less"),
    "one alternative less": (
        lambda new: sent(new)["properties"]["contact"]["oneOf"].pop(),
        "different alternatives",
    ),
    "member of the answer gone": (lambda new: answer(new)["properties"].pop("name"), "member name was removed"),
    "member that may be missing": (lambda new: answer(new)["required"].remove("name"), "member name may be missing"),
    "newly null": (lambda new: answer(new)["properties"]["name"].update(type=["string", "null"]), "name: newly null"),
    "new value of an enum": (
        lambda new: answer(new)["properties"]["kind"]["enum"].append("staff"),
        'kind: newly "staff"',
    ),
    "one alternative more": (
        lambda new: answer(new)["properties"]["contact"]["oneOf"].append({"type": "boolean"}),
        "different alternatives",
    ),
}

HARMLESS: dict[str, Callable[[Document], Any]] = {
    "nothing": lambda _: None,
    "new path": lambda new: new["paths"].update({"/more": {"get": {"responses": {"200": {}}}}}),
    "new optional parameter": lambda new: post(new)["parameters"].append(
        {"in": "query", "name": "match", "schema": {}}
    ),
    "new error": lambda new: post(new)["responses"].update({"429": {"description": "Slower."}}),
    "an error less": lambda new: post(new)["responses"].pop("409"),
    "another type of body": lambda new: post(new)["requestBody"]["content"].update({"text/xml": {}}),
    "fewer rights": lambda new: post(new)["security"][0].update(key=[]),
    "another way to sign in": lambda new: post(new)["security"].append({"cookie": []}),
    "new optional member": lambda new: sent(new)["properties"].update(email={"type": "string"}),
    "no longer required": lambda new: sent(new)["required"].remove("kind"),
    "wider type": lambda new: sent(new)["properties"]["name"].update(type=["string", "null"]),
    "wider enum": lambda new: sent(new)["properties"]["kind"]["enum"].append("staff"),
    "longer allowed": lambda new: sent(new)["properties"]["name"].update(maxLength=300),
    "another alternative": lambda new: sent(new)["properties"]["contact"]["oneOf"].append({"type": "boolean"}),
    "new member of the answer": lambda new: answer(new)["properties"].update(email={"type": "string"}),
    "never null again": lambda new: answer(new)["properties"]["score"].update(type="number"),
    "always there": lambda new: answer(new)["required"].append("score"),
    "other words": lambda new: post(new).update(summary="Another.", description="Other words."),
}


@pytest.mark.parametrize("change", BREAKING)
def test_what_breaks_a_client_is_named(change: str) -> None:
    make, expected = BREAKING[change]
    new = copy.deepcopy(OLD)
    make(new)
    found = breaking(OLD, new)
    assert any(expected in problem for problem in found), found


@pytest.mark.parametrize("change", HARMLESS)
def test_what_breaks_nobody_is_let_through(change: str) -> None:
    new = copy.deepcopy(OLD)
    HARMLESS[change](new)
    assert breaking(OLD, new) == []


def released(repository: Repository) -> Document:
    """Release the API as it is, and return a document in which a planted change breaks it."""
    (repository.root / "docs").mkdir()
    (repository.root / DOCUMENT).write_text(json.dumps(document()))
    repository.commit("feat: begin")
    repository.tag("v1.0.0")
    changed = document()
    del changed["paths"]["/v1/people/{person_id}"]["delete"]
    return changed


def test_a_planted_breaking_change_of_our_api_fails_the_check(repository: Repository) -> None:
    changed = released(repository)
    repository.commit("feat: tidy up")
    assert problems(changed, repository.root) == ["DELETE /v1/people/{person_id} was removed"]
    assert problems(document(), repository.root) == []


def test_a_breaking_change_that_is_announced_passes(repository: Repository) -> None:
    changed = released(repository)
    repository.commit("feat!: people are never erased")
    assert problems(changed, repository.root) == []


def test_before_the_first_release_nothing_can_break(repository: Repository) -> None:
    repository.commit("feat: begin")
    assert problems({"paths": {}}, repository.root) == []
