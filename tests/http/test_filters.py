"""Filters: every route and every command rejects invalid and unknown filters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo.http.openapi.operations import OPERATIONS
from tests.cli.commands import run, stderr_of

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from peopleinfo.http.openapi.operation_types import Operation

INVALID: dict[str, Any] = {
    "born_from": "11.02.1990",
    "born_to": "1990-13",
    "match": "exactly",
    "surname": " ",
    "name": "",
    "born_form": "1990",
}
ROUTES = [
    ("GET", "/v1/people"),
    ("GET", "/v1/people/export"),
    ("POST", "/v1/people/search"),
    ("POST", "/v1/people/export"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("name", INVALID)
def test_invalid_filter_is_rejected_on_every_route(client: httpx.Client, method: str, path: str, name: str) -> None:
    filters = {name: INVALID[name]}
    response = client.get(path, params=filters) if method == "GET" else client.post(path, json=filters)
    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == [name]


@pytest.mark.parametrize(
    "operation",
    [one for one in OPERATIONS if 422 in one.errors and "{" not in one.path and one.path != "/data"],
    ids=lambda operation: operation.name,
)
def test_unknown_parameter_is_rejected_where_it_would_change_the_response(
    client: httpx.Client, operation: Operation
) -> None:
    media_type = next(iter(operation.body), "application/json")
    response = client.request(
        operation.method,
        operation.path,
        params={"surnane": "x"},
        content="{}" if operation.body else None,
        headers={"Content-Type": media_type},
    )
    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == ["surnane"]


def test_legacy_api_ignores_unknown_parameters(client: httpx.Client) -> None:
    assert client.get("/data", params={"person_surname": "x", "_": "1"}).status_code == 200
    missing = client.get("/data", params={"surname": "x"})
    assert (missing.status_code, missing.json()["error"]) == (400, "person_surname query parameter is required")


def test_body_filter_in_the_query_is_rejected(client: httpx.Client) -> None:
    for path in ("/v1/people/search", "/v1/people/export"):
        response = client.post(path, params={"surname": "x"}, json={})
        assert response.status_code == 422
        assert response.json()["errors"] == [{"pointer": "surname", "reason": "is unknown; send it in the body"}]


@pytest.mark.parametrize("query", ["dryrun=true", "dry_run=true&dry_run=false", "dry_run=perhaps"])
def test_misspelt_dry_run_stores_no_person(client: httpx.Client, surname: str, query: str) -> None:
    row = json.dumps({"person_surname": surname})
    response = client.post(f"/v1/people/import?{query}", content=row, headers={"Content-Type": "application/x-ndjson"})
    assert response.status_code in (400, 422)
    assert client.get("/v1/people", params={"surname": surname}).json()["people"] == []


@pytest.mark.parametrize("command", [["search"], ["export"], ["export", "people.csv"]])
@pytest.mark.parametrize(
    "filters",
    [
        ["--born-from", "11.02.1990"],
        ["--born-to", "1990-13"],
        ["--name", ""],
        ["--surname-prefix", " "],
        ["--born-form", "1990"],
    ],
)
def test_command_with_an_invalid_filter_prints_nothing_and_exits_with_2(
    tmp_path: Path, command: list[str], filters: list[str]
) -> None:
    run(tmp_path, "import", "-", stdin=b'{"person_surname":"Kept","person_birthdate":"1990"}')
    ran = run(tmp_path, *command, *filters)
    assert (ran.returncode, ran.stdout) == (2, b"")
    assert stderr_of(ran)
    assert not (tmp_path / "people.csv").exists()


def test_command_with_two_surnames_exits_with_2(tmp_path: Path) -> None:
    assert run(tmp_path, "search", "--surname", "muller", "--surname-prefix", "mu").returncode == 2
    assert run(tmp_path, "search", "--surname", "").returncode == 2
