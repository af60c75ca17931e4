"""The OpenAPI document and its page: they describe the service, and load no external resources."""

from __future__ import annotations

import functools
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jsonschema_rs
import pytest

from peopleinfo import __version__
from peopleinfo.auth.authenticator import Authenticator
from peopleinfo.bulk.importer import ImportTarget
from peopleinfo.http import app
from peopleinfo.http.openapi import document as openapi
from peopleinfo.http.openapi.operations import PUBLIC_PAGES
from peopleinfo.http.sessions import Sessions
from peopleinfo.people.person import utc_now
from tests.store_kinds import NoEndedSessions

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

STORE_KINDS = ["sqlite"]  # the document is the same on every store
METHODS = {"get", "put", "post", "delete", "patch"}
document = functools.cache(openapi.document)  # no test changes it


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            assert method in METHODS
            yield path, method, operation


def schemas() -> list[dict[str, Any]]:
    """Return the distinct schemas of the document."""
    found = list(document()["components"]["schemas"].values())
    for _, _, operation in operations():
        found += [parameter["schema"] for parameter in operation.get("parameters", ())]
        for content in (operation.get("requestBody", {}), *operation["responses"].values()):
            found += [body["schema"] for body in content.get("content", {}).values()]
    return list({json.dumps(schema, sort_keys=True): schema for schema in found}.values())


def test_server_returns_the_document(client: httpx.Client) -> None:
    response = client.get("/openapi.json")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert response.json() == document()


def test_document_is_openapi_3_1_of_this_version() -> None:
    assert document()["openapi"].startswith("3.1.")
    assert document()["info"]["version"] == __version__
    assert set(document()) <= {"openapi", "info", "servers", "paths", "components", "tags", "security"}


def test_every_operation_has_a_unique_id() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[a-z][A-Za-z]+", name) for name in ids)


def test_every_operation_has_a_summary_and_responses() -> None:
    for path, method, operation in operations():
        assert operation["summary"], (path, method)
        assert 2 <= operation["description"].count(". ") + 1 <= 3, (path, method)
        assert set(operation["tags"]) <= {tag["name"] for tag in document()["tags"]}, (path, method)
        statuses = operation["responses"]
        assert any(status.startswith("2") for status in statuses), (path, method)
        assert all(response["description"] for response in statuses.values()), (path, method)


def test_every_body_has_an_example_that_matches_its_schema() -> None:
    for path, method, operation in operations():
        for message in (operation.get("requestBody", {}), *operation["responses"].values()):
            for media_type, body in message.get("content", {}).items():
                schema = body["schema"] | {"components": document()["components"]}
                validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
                assert list(validator.iter_errors(body["example"])) == [], (path, method, media_type)


def test_document_describes_exactly_the_path_parameters() -> None:
    for path, _, operation in operations():
        named = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
        assert all(p["required"] for p in operation.get("parameters", ()) if p["in"] == "path")


def test_no_parameter_is_repeated() -> None:
    for _, _, operation in operations():
        places = [(p["in"], p["name"].lower()) for p in operation.get("parameters", ())]
        assert len(set(places)) == len(places)


def test_every_schema_is_json_schema_2020_12() -> None:
    for schema in schemas():
        jsonschema_rs.Draft202012Validator(schema | {"components": document()["components"]})


def test_names_of_schemas_do_not_reveal_modules() -> None:
    assert [name for name in document()["components"]["schemas"] if "." in name] == []


def test_every_reference_has_a_target() -> None:
    references = re.findall(r"'\$ref': '#/components/schemas/([^']+)'", str(document()))
    assert references
    assert set(references) <= set(document()["components"]["schemas"])


def test_every_error_is_described_as_a_problem() -> None:
    for path, _, operation in operations():
        for status, response in operation["responses"].items():
            if status.startswith(("4", "5")) and not path.startswith("/status"):
                is_fhir = path.startswith("/fhir/")
                media_type = "application/fhir+json" if is_fhir else "application/problem+json"
                assert set(response["content"]) == {media_type}


def routes() -> dict[str, set[str]]:
    """Return the paths and methods of the app, as Falcon reports them."""
    from falcon import inspect

    from peopleinfo.http.services import Services
    from peopleinfo.http.shutdown import GracefulShutdown
    from peopleinfo.settings import Settings
    from peopleinfo.telemetry.access_log import AccessLog
    from peopleinfo.telemetry.prometheus import Exposition

    store: Any = _StoreStub()  # only the routes are inspected
    services = Services(
        people=store,
        people_list=store,
        history=store,
        matches=store,
        new_records=store,
        merges=store,
        review=store,
        trash=store,
        personal_data=store,
        imports=ImportTarget(store, bytes(32), utc_now),
        import_history=store,
        store=store,
        authenticator=Authenticator(store, now=utc_now),
        sessions=Sessions(bytes(32), NoEndedSessions(), now=lambda: datetime.now(UTC)),
        exposition=Exposition("here"),
        access_log=AccessLog(silent=True),
        shutdown=GracefulShutdown(0),
    )
    served = app.create_app(services, Settings())
    return {
        route.path: {method.method.lower() for method in route.methods if not method.internal} - {"head"}
        for route in inspect.inspect_routes(served)
    }


class _StoreStub:
    """The attributes of a store that building the app requires."""

    update_gauges = check = print
    identifiers = ()


def test_document_describes_exactly_the_routes() -> None:
    described: dict[str, set[str]] = {}
    for path, method, _ in operations():
        described.setdefault(path, set()).add(method)
    assert {path: methods for path, methods in routes().items() if path not in PUBLIC_PAGES} == described


def test_docs_page_references_only_paths_of_the_server(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    references = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(references) >= 3
    for reference in references:
        if not reference.startswith("data:"):
            assert urlsplit(reference).netloc == ""
            assert client.get(reference).status_code == 200, reference


@pytest.mark.parametrize("asset", ["/docs/start.js", "/docs/page.css", "/docs/swagger.js", "/docs/swagger.css"])
def test_assets_have_their_media_types(client: httpx.Client, asset: str) -> None:
    response = client.get(asset)
    media_type = "text/javascript" if asset.endswith("js") else "text/css"
    assert response.headers["Content-Type"].startswith(media_type)
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_docs_page_forbids_requests_to_other_origins(client: httpx.Client) -> None:
    policy = client.get("/docs").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_examples_match_their_schemas() -> None:
    for schema in schemas():
        for member in (schema, *schema.get("properties", {}).values()):
            for example in member.get("examples", ()):
                jsonschema_rs.validate(member | {"components": document()["components"]}, example)
