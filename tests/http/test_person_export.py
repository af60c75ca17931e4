"""Subject access: the export of a person contains the record and its audit events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANNA = {"person_name": "Anna", "person_surname": "Müller", "custom field": [1.50]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rights")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    with (
        serving(folder, admin_key=ADMIN_KEY, audit_log=f"file://{folder / 'audit.jsonl'}") as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN) as client,
    ):
        yield client


def create_person(client: httpx.Client) -> str:
    return str(client.post("/v1/people", json=ANNA).json()["person_id"])


def export(client: httpx.Client, person_id: str) -> dict[str, Any]:
    response = client.get(f"/v1/people/{person_id}/export")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "private, no-store"
    document: dict[str, Any] = response.json()
    return document


def test_export_contains_the_record_and_its_audit_events(client: httpx.Client) -> None:
    person_id, other = create_person(client), create_person(client)
    client.get(f"/v1/people/{other}")
    record = client.get(f"/v1/people/{person_id}").json()
    document = export(client, person_id)
    assert document["person"] == record
    audit = document["audit"]
    assert (audit["availability"], audit["omitted"]) == ("included", 0)
    assert [event["action"] for event in audit["events"]] == ["createPerson", "getPerson"]
    assert {tuple(event["people"]) for event in audit["events"]} == {(person_id,)}
    assert export(client, person_id)["audit"]["events"][-1]["action"] == "exportPerson"


def test_export_contains_earlier_versions(client: httpx.Client) -> None:
    person_id = create_person(client)
    first = client.get(f"/v1/people/{person_id}").json()
    changed = client.put(f"/v1/people/{person_id}", json={"person_surname": "New"}, headers={"If-Match": "*"}).json()
    document = export(client, person_id)
    assert document["person"] == changed
    assert document["history"] == [{"version": 1, "by": "admin-key", "operation": "created", "person": first}]


def test_export_includes_events_of_rotated_files(client: httpx.Client, folder: Path) -> None:
    person_id = create_person(client)
    (folder / "audit.jsonl").rename(folder / "audit.jsonl.1")
    client.get(f"/v1/people/{person_id}")
    actions = [event["action"] for event in export(client, person_id)["audit"]["events"]]
    assert actions == ["createPerson", "getPerson"]


def test_unreadable_audit_file_gets_503(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl.1").symlink_to("/proc/self/mem")  # reading it fails, even for root
    with (
        serving(tmp_path, audit_log=f"file://{tmp_path / 'audit.jsonl'}") as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        response = client.get(f"/v1/people/{create_person(client)}/export")
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "60"
        problem = response.json()
        assert problem["type"] == "urn:peopleinfo:problem:audit-unavailable"
        assert "make the audit files readable for the service" in problem["detail"]
        assert str(tmp_path) not in problem["detail"]
    assert "audit.jsonl.1" in next(line for line in server.log.read_text().splitlines() if "audit_read_failed" in line)


def test_export_of_a_deleted_person_is_not_found(client: httpx.Client) -> None:
    person_id = create_person(client)
    assert client.delete(f"/v1/people/{person_id}").status_code == 204
    assert client.get(f"/v1/people/{person_id}/export").status_code == 404


@pytest.mark.parametrize(("audit", "availability"), [("", "disabled"), ("stdout", "external")])
def test_export_states_why_it_has_no_audit_events(tmp_path: Path, audit: str, availability: str) -> None:
    with (
        serving(tmp_path, audit_log=audit) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        assert export(client, create_person(client))["audit"] == {"availability": availability}
