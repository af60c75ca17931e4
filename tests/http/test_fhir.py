"""The FHIR facade: patients read, searched and matched by a client library, with the rules of the native API."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.capabilitystatement import CapabilityStatement
from fhirclient.models.operationoutcome import OperationOutcome
from fhirclient.models.parameters import Parameters
from fhirclient.models.patient import Patient

from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, Server, serving
from tests.http.test_audit import events
from tests.http.test_authentication import bearer, make_key
from tests.http.test_duplicates import someone, store_crowd
from tests.http.test_merges import merge
from tests.store_kinds import CACHED, ENCRYPTED

if TYPE_CHECKING:
    from pathlib import Path

STORE_KINDS = ["sqlite", CACHED, ENCRYPTED, "ministack"]
FHIR = "application/fhir+json"
GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
STRICT = {"Prefer": "handling=strict"}


@pytest.fixture(scope="module", autouse=True)
def crowd(server: Server) -> None:
    store_crowd(server)


@pytest.fixture(scope="module")
def library(server: Server) -> FHIRClient:
    """A client of the library fhirclient, which rejects resources that are not valid in FHIR R4."""
    return FHIRClient(settings={"app_id": "tests", "api_base": f"{server.url}/fhir/"})


def created(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    response = client.post("/v1/people", json=fields)
    assert response.status_code == 201, response.text
    person: dict[str, Any] = response.json()
    return person


def found(client: httpx.Client, headers: dict[str, str] | None = None, **params: Any) -> dict[str, Any]:
    response = client.get("/fhir/Patient", params=params, headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == FHIR
    bundle: dict[str, Any] = response.json()
    Bundle(bundle)  # raises an error if it is not valid
    return bundle


def ids(bundle: dict[str, Any]) -> list[str]:
    return [one["resource"]["id"] for one in bundle.get("entry", []) if one["search"]["mode"] == "match"]


def assert_outcome(response: httpx.Response, status: int, code: str, slug: str) -> list[dict[str, Any]]:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == FHIR
    OperationOutcome(response.json())
    issues: list[dict[str, Any]] = response.json()["issue"]
    assert {issue["code"] for issue in issues} == {code}
    assert {issue["details"]["coding"][0]["code"] for issue in issues} == {slug}
    return issues


def match(client: httpx.Client, resource: dict[str, Any], **params: Any) -> dict[str, Any]:
    kinds = {int: "valueInteger", bool: "valueBoolean"}
    listed = [{"name": name, kinds[type(value)]: value} for name, value in params.items()]
    body = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": resource}, *listed]}
    response = client.post("/fhir/Patient/$match", json=body, headers={"Content-Type": FHIR})
    assert response.status_code == 200, response.text
    bundle: dict[str, Any] = response.json()
    Bundle(bundle)
    return bundle


def test_client_library_reads_searches_and_pages(client: httpx.Client, library: FHIRClient, surname: str) -> None:
    people = [
        created(client, person_name=f"Anna {number}", person_surname=surname, person_birthdate="1990-02-11")
        for number in range(3)
    ]
    patient = Patient.read(people[0]["person_id"], library.server)
    assert (patient.name[0].family, patient.name[0].given) == (surname, ["Anna", "0"])
    assert patient.birthDate.as_json() == "1990-02-11"
    assert patient.meta.versionId == "1"
    search = Patient.where({"family": surname.upper(), "given": "ann", "birthdate": "1990", "_count": "2"})
    pages = list(search.perform_iter(library.server))
    assert [len(page.entry or []) for page in pages] == [2, 1]
    assert {entry.resource.id for page in pages for entry in page.entry} == {each["person_id"] for each in people}
    assert all(surname not in link.url for page in pages for link in page.link if link.relation == "next")


def test_client_library_matches_a_patient_with_grades(client: httpx.Client, library: FHIRClient, surname: str) -> None:
    person = someone(surname, email=f"{surname}@example.org")
    stored = created(client, **person)
    resource = {
        "resourceType": "Patient",
        "name": [{"family": surname, "given": [person["person_name"]]}],
        "birthDate": person["person_birthdate"],
        "address": [{"text": person["person_address"]}],
        "telecom": [{"system": "email", "value": person["email"]}],
    }
    parameters = Parameters({"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": resource}]})
    response = library.server.post_json("Patient/$match", parameters.as_json())
    [entry] = Bundle(response.json()).entry
    native = client.post("/v1/people/match", json={"person": person}).json()["candidates"][0]
    assert entry.resource.id == stored["person_id"]
    assert entry.search.score == native["score"]
    assert [(one.url, one.valueCode) for one in entry.search.extension] == [(GRADE, native["grade"])]
    assert entry.fullUrl.endswith(f"/fhir/Patient/{stored['person_id']}")
    assert ids(match(client, resource, count=1)) == [stored["person_id"]]
    read = client.get(f"/fhir/Patient/{stored['person_id']}").json()
    assert ids(client.post("/fhir/Patient/$match?count=3", json=read).json()) == [stored["person_id"]]


def test_several_certain_matches_are_no_result_for_a_client_that_wants_one(client: httpx.Client, surname: str) -> None:
    person = someone(surname, email=f"{surname}@example.org")
    resource = client.get(f"/fhir/Patient/{created(client, **person)['person_id']}").json()
    assert len(ids(match(client, resource, onlyCertainMatches=True))) == 1
    created(client, **person)
    bundle = match(client, resource, onlyCertainMatches=True, count=1)
    assert (bundle["total"], ids(bundle)) == (0, [])
    assert [one["resource"]["issue"][0]["code"] for one in bundle["entry"]] == ["multiple-matches"]
    assert len(ids(match(client, resource))) == 2


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"resourceType": "Parameters", "parameter": []}, "resource: must be a Patient"),
        ({"resourceType": "Parameters", "parameter": [1]}, "Parameters.parameter: must be a list"),
        ({"resourceType": "Person"}, "resource: must be a Patient"),
        ({"resourceType": "Patient", "birthDate": "2990-01-01"}, "/person_birthdate: must not be in the future"),
    ],
)
def test_invalid_match_is_an_outcome(client: httpx.Client, body: dict[str, Any], text: str) -> None:
    issues = assert_outcome(client.post("/fhir/Patient/$match", json=body), 400, "invalid", "invalid-search")
    assert any(text in issue["diagnostics"] for issue in issues)


def test_read_revalidates_with_the_weak_tag_of_the_version(client: httpx.Client, surname: str) -> None:
    path = f"/fhir/Patient/{created(client, person_surname=surname)['person_id']}"
    response = client.get(path)
    assert response.headers["ETag"] == 'W/"1"'
    assert response.headers["Content-Type"] == FHIR
    assert response.headers["Last-Modified"]
    assert client.get(path, headers={"If-None-Match": 'W/"1"'}).status_code == 304
    assert client.get(path, headers={"If-None-Match": 'W/"2"'}).status_code == 200
    assert client.head(path).headers["ETag"] == 'W/"1"'


def test_merged_patient_is_inactive_and_links_to_the_survivor(client: httpx.Client, surname: str) -> None:
    first, second, third = (created(client, person_name=name, person_surname=surname) for name in ("Ann", "Anna", "A"))
    path = f"/fhir/Patient/{second['person_id']}"
    survivor = merge(client, first, second).json()["survivor"]
    merge(client, third, survivor)
    for _ in range(2):  # the second response may come from the cache
        response = client.get(path)
        assert response.status_code == 200
        Patient(response.json())
        assert response.headers["Cache-Control"] == "no-store"
        assert response.json()["active"] is False
        assert response.json()["name"][0]["given"] == ["Anna"]
        [link] = response.json()["link"]
        assert link == {"other": {"reference": f"Patient/{third['person_id']}"}, "type": "replaced-by"}
    assert ids(found(client, family=surname)) == [third["person_id"]]


def test_names_match_from_their_start_and_exactly(client: httpx.Client, store_kind: str, surname: str) -> None:
    stored = created(client, person_name="Zoë Marie", person_surname=f"{surname}-Öz")
    created(client, person_name=surname)  # a single name is a given name
    prefix = f"{surname}-oz" if store_kind == ENCRYPTED else surname.lower()
    for params in (
        {"family": prefix},
        {"family": prefix, "given": "mar"},
        {"family": prefix, "given": ["zoe", "Mari"]},
        {"family:exact": f"{surname}-Öz", "given:exact": "Marie"},
        {"_id": stored["person_id"]},
    ):
        assert ids(found(client, **params)) == [stored["person_id"]], params
    for params in (
        {"family": prefix, "given": "arie"},
        {"family:exact": f"{surname}-öz"},
        {"family:exact": f"{surname}-Öz", "given:exact": "Mari"},
        {"_id": stored["person_id"], "given": "Marc"},
        {"_id": "unknown"},
    ):
        assert found(client, **params)["total"] == 0, params


@pytest.mark.parametrize(
    ("value", "birthdates"),
    [
        ("1990", {"1990", "1990-05", "1990-05-02"}),
        ("1990-05-02", {"1990-05-02"}),
        ("eq1990-05", {"1990-05", "1990-05-02"}),
        ("ne1990", {"1989-12-31", "1991"}),
        ("gt1990-05-02", {"1990", "1990-05", "1991"}),
        ("ge1990-05-02", {"1990", "1990-05", "1990-05-02", "1991"}),
        ("lt1990-05", {"1989-12-31", "1990"}),
        ("le1990-05", {"1989-12-31", "1990", "1990-05", "1990-05-02"}),
        ("sa1990", {"1991"}),
        ("eb1990", {"1989-12-31"}),
        (["ge1990", "lt1991"], {"1990", "1990-05", "1990-05-02"}),
    ],
)
def test_birthdates_compare_as_ranges(
    client: httpx.Client, births: tuple[str, dict[str, str]], value: str | list[str], birthdates: set[str]
) -> None:
    surname, by_id = births
    assert {by_id[each] for each in ids(found(client, family=surname, birthdate=value))} == birthdates


@pytest.fixture(scope="module")
def births(server: Server) -> tuple[str, dict[str, str]]:
    surname = f"Born{uuid.uuid4().hex}"
    dates = ("1989-12-31", "1990", "1990-05", "1990-05-02", "1991", "--05-02")
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
        people = [created(client, person_surname=surname, person_birthdate=date) for date in dates]
    return surname, {person["person_id"]: date for person, date in zip(people, dates, strict=True)}


def test_identifiers_find_patients_by_field_and_value(client: httpx.Client, surname: str) -> None:
    mail = f"{surname}@example.org".lower()
    people = [created(client, person_surname=surname, email=mail) for _ in range(2)]
    everyone = {person["person_id"] for person in people}
    assert set(ids(found(client, identifier=mail.upper()))) == everyone
    assert set(ids(found(client, identifier=f"urn:peopleinfo:field:email|{mail}"))) == everyone
    for other in (f"urn:peopleinfo:field:phone|{mail}", f"urn:oid:1.2.3|{mail}", f"x{mail}"):
        assert ids(found(client, identifier=other)) == []
    first = found(client, identifier=mail, _count=1)
    [link] = [one["url"] for one in first["link"] if one["relation"] == "next"]
    second = client.get(link).json()
    assert {*ids(first), *ids(second)} == everyone
    assert [one["relation"] for one in second["link"]] == ["self"]


def test_form_search_returns_the_page_of_the_query(client: httpx.Client, surname: str) -> None:
    created(client, person_surname=surname)
    response = client.post("/fhir/Patient/_search", data={"family": surname})
    assert response.json() == found(client, family=surname)


def test_unknown_parameters_follow_the_preferred_handling(client: httpx.Client, surname: str) -> None:
    stored = created(client, person_surname=surname)
    for headers in ({}, {"Prefer": "handling=lenient"}):
        bundle = found(client, headers, family=surname, mother="Eve")
        assert ids(bundle) == [stored["person_id"]]
        [note] = [one["resource"] for one in bundle["entry"] if one["search"]["mode"] == "outcome"]
        assert note["issue"][0]["diagnostics"] == "mother is not supported and was ignored"
        assert "mother" not in bundle["link"][0]["url"]
    response = client.get("/fhir/Patient", params={"family": surname, "mother": "Eve"}, headers=STRICT)
    assert_outcome(response, 400, "invalid", "invalid-search")


@pytest.mark.parametrize(
    "query",
    ["family:contains=a", "family=", "family=a,b", "family=a&family=b", "birthdate=11.02.1990", "birthdate=1990-02-30",
     "given=" + "a" * 257, "given:exact=" + "a" * 257, "identifier=" + "a" * 257, "_id=" + "a" * 257, "_count=0", "_count=many", "identifier:of-type=a|b|c"],
)  # fmt: skip
def test_invalid_parameters_are_outcomes(client: httpx.Client, query: str) -> None:
    assert_outcome(client.get(f"/fhir/Patient?{query}"), 400, "invalid", "invalid-search")


def test_errors_are_outcomes(client: httpx.Client) -> None:
    unknown = "0123456789abcdef0123456789abcdef"
    assert_outcome(client.get(f"/fhir/Patient/{unknown}"), 404, "not-found", "person-not-found")
    assert_outcome(client.get("/fhir/Observation"), 404, "not-found", "not-found")
    assert_outcome(client.delete(f"/fhir/Patient/{unknown}"), 405, "not-supported", "method-not-allowed")
    assert_outcome(client.get("/fhir/Patient?_cursor=x"), 400, "invalid", "invalid-cursor")
    assert_outcome(client.get("/fhir/Patient?_format=xml"), 406, "not-supported", "not-acceptable")
    only_xml = {"Accept": "application/fhir+xml"}
    assert_outcome(client.get(f"/fhir/Patient/{unknown}", headers=only_xml), 406, "not-supported", "not-acceptable")
    text = client.post("/fhir/Patient/$match", content="a", headers={"Content-Type": "text/plain"})
    assert_outcome(text, 415, "not-supported", "unsupported-media-type")
    broken = client.post("/fhir/Patient/$match", content="{", headers={"Content-Type": FHIR})
    assert_outcome(broken, 400, "invalid", "invalid-json")


def test_capability_statement_lists_what_the_facade_supports(client: httpx.Client, library: FHIRClient) -> None:
    statement = CapabilityStatement.read_from("metadata", library.server)
    [patients] = statement.rest[0].resource
    assert {one.code for one in patients.interaction} == {"read", "search-type"}
    assert {one.name for one in patients.searchParam} == {"_id", "family", "given", "birthdate", "identifier"}
    assert client.get("/fhir/metadata").headers["Content-Type"] == FHIR


def test_configured_identifiers_are_identifiers_of_the_patient(tmp_path: Path) -> None:
    with (
        serving(tmp_path, identifiers="mrn,email") as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        stored = created(client, person_surname="Müller", mrn="E-0042", email="a@example.org")
        patient = client.get(f"/fhir/Patient/{stored['person_id']}").json()
        assert patient["identifier"] == [{"system": "urn:peopleinfo:field:mrn", "value": "E-0042"}]
        assert patient["telecom"] == [{"system": "email", "value": "a@example.org"}]
        assert ids(found(client, identifier="urn:peopleinfo:field:mrn|e 0042")) == [stored["person_id"]]
        only_mrn = {"resourceType": "Patient", "identifier": patient["identifier"]}
        assert ids(match(client, only_mrn)) == [stored["person_id"]]


def test_scopes_limits_audit_and_hidden_fields_apply(tmp_path: Path) -> None:
    with (
        serving(
            tmp_path, admin_key=ADMIN_KEY, audit_log=f"file://{tmp_path / 'audit.jsonl'}", rate_limit=100
        ) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        store = {"person_name": "Ada", "person_surname": "Byron", "person_birthdate": "1815-12-10", "note": "canary"}
        person_id = client.post("/v1/people", json=store, headers=AS_ADMIN).json()["person_id"]
        assert client.get("/fhir/metadata").status_code == 200
        response = client.get("/fhir/Patient")
        assert_outcome(response, 401, "login", "not-authenticated")
        assert response.headers["WWW-Authenticate"]
        writer = bearer(make_key(tmp_path, "--scope", "people:write", name="writer"))
        assert_outcome(client.get("/fhir/Patient", headers=writer), 403, "forbidden", "access-denied")
        hide = ("--hide-field", "person_birthdate", "--hide-field", "*")
        reader = bearer(make_key(tmp_path, "--scope", "people:read", *hide, name="reader"))
        read = client.get(f"/fhir/Patient/{person_id}", headers=reader)
        assert read.headers["ETag"].startswith('W/"1-')
        page = client.get("/fhir/Patient?family=Byron", headers=reader)
        resource = {
            "resourceType": "Patient",
            "name": [{"family": "Byron", "given": ["Ada"]}],
            "birthDate": "1815-12-10",
        }
        matched = client.post("/fhir/Patient/$match", json=resource, headers=reader)
        for text in (read.text, page.text, matched.text):
            assert "1815" not in text
            assert "canary" not in text
        by_date = client.get("/fhir/Patient?birthdate=1815", headers=reader)
        assert_outcome(by_date, 403, "forbidden", "field-access-denied")
        for response, action in ((read, "readPatient"), (page, "findPatients"), (matched, "matchPatient")):
            [event] = events(tmp_path, response)
            assert (event["action"], event["principal"]) == (action, "reader")
            assert event.get("people", []) == ([] if response is matched else [person_id])
        for _ in range(100):
            limited = client.get("/fhir/Patient?family=Byron", headers=reader)
            if limited.status_code == 429:
                break
        assert_outcome(limited, 429, "throttled", "rate-limit-exceeded")
        assert limited.headers["Retry-After"]
