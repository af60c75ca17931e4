"""/v1/people: create, read, change and delete a person."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

JSON = {"Content-Type": "application/json"}


def create(client: httpx.Client, surname: str, **fields: Any) -> httpx.Response:
    response = client.post("/v1/people", json={"person_surname": surname} | fields)
    assert response.status_code == 201
    return response


def location_of(response: httpx.Response) -> str:
    return str(response.headers["Location"])


def test_create_returns_location_and_etag(client: httpx.Client, surname: str) -> None:
    response = create(client, surname)
    assert (response.headers["ETag"], response.json()["version"]) == ('"1"', 1)
    assert location_of(response) == f"/v1/people/{response.json()['person_id']}"
    assert client.get(location_of(response)).content == response.content


def test_id_is_opaque_and_safe_in_a_url(client: httpx.Client, surname: str) -> None:
    ids = [create(client, surname).json()["person_id"] for _ in range(2)]
    assert all(re.fullmatch("[0-9a-f]{32}", person_id) for person_id in ids)
    assert ids[0][:8] != ids[1][:8]


def test_times_are_utc_with_milliseconds(client: httpx.Client, surname: str) -> None:
    before = datetime.now(UTC)
    response = create(client, surname).json()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", response["created_at"])
    assert response["created_at"] == response["updated_at"]
    assert abs((datetime.fromisoformat(response["created_at"]) - before).total_seconds()) < 30


@pytest.mark.parametrize(
    "fields",
    [
        {"person_name": "Prince"},
        {"person_surname": "Prince"},
        {"person_name": "Prince", "person_surname": None},
    ],
)
def test_one_name_is_sufficient(client: httpx.Client, fields: dict[str, Any]) -> None:
    assert client.post("/v1/people", json=fields).status_code == 201


@pytest.mark.parametrize("fields", [{}, {"person_name": None}, {"person_address": "12 Example Street"}])
def test_person_without_a_name_is_rejected(client: httpx.Client, fields: dict[str, Any]) -> None:
    response = client.post("/v1/people", json=fields)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "")


@pytest.mark.parametrize("birthdate", ["1990-02-11", "1990-02", "1990", "--02-29"])
def test_birthdate_may_be_partial(client: httpx.Client, surname: str, birthdate: str) -> None:
    assert create(client, surname, person_birthdate=birthdate).json()["person_birthdate"] == birthdate


@pytest.mark.parametrize("birthdate", ["1990-02-30", "11.02.1990", "2999-01-01", "--02-30", "0000", "", 1990])
def test_invalid_or_future_birthdate_is_rejected(client: httpx.Client, surname: str, birthdate: Any) -> None:
    response = client.post("/v1/people", json={"person_surname": surname, "person_birthdate": birthdate})
    assert response.status_code == 422
    assert [reason["pointer"] for reason in response.json()["errors"]] == ["/person_birthdate"]


def test_all_validation_errors_are_reported_at_once(client: httpx.Client, surname: str) -> None:
    wrong = {"person_name": 3, "person_surname": "x" * 257, "person_birthdate": "soon", "person_id": "mine"}
    response = client.post("/v1/people", json=wrong)
    pointers = {reason["pointer"] for reason in response.json()["errors"]}
    assert pointers == {"/person_name", "/person_surname", "/person_birthdate", "/person_id"}


@pytest.mark.parametrize("field", ["person_id", "version", "created_at", "updated_at"])
def test_server_assigned_fields_are_rejected(client: httpx.Client, surname: str, field: str) -> None:
    response = client.post("/v1/people", json={"person_surname": surname, field: "x"})
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, f"/{field}")


def test_unchanged_server_assigned_fields_are_accepted(client: httpx.Client, surname: str) -> None:
    person = create(client, surname).json()
    response = client.put(f"/v1/people/{person['person_id']}", json=person, headers={"If-Match": '"1"'})
    assert (response.status_code, response.json()["version"]) == (200, 2)


def test_text_is_normalized_to_nfc_and_trimmed(client: httpx.Client, surname: str) -> None:
    response = create(client, surname, person_name=" Jose\u0301\u00a0", person_address="\n1\r\n2\t\n")
    assert (response.json()["person_name"], response.json()["person_address"]) == ("José", "1\r\n2")


@pytest.mark.parametrize(
    "literal", ["1.50", "1E5", "-0", "-0.0", "1e400", "0.1000000000000000055511151231257827", "9" * 60, "1e-999"]
)
def test_number_keeps_its_literal(client: httpx.Client, surname: str, literal: str) -> None:
    submitted = f'{{"person_surname":"{surname}","n":[{literal},{{"deep":{literal}}}]}}'
    path = location_of(client.post("/v1/people", content=submitted, headers=JSON))
    expected = f'"n":[{literal},{{"deep":{literal}}}]'
    assert expected in client.get(path).text
    patched = client.patch(path, json={"person_name": "Anna"}, headers={"If-Match": "*"})
    assert expected in patched.text


def test_record_has_at_most_64_kib(client: httpx.Client, surname: str) -> None:
    frame = len(f'{{"person_surname":"{surname}","m":""}}')
    assert create(client, surname, m="x" * (65_536 - frame)).status_code == 201
    response = client.post("/v1/people", json={"person_surname": surname, "m": "x" * (65_537 - frame)})
    assert (response.status_code, response.json()["errors"][0]["reason"]) == (422, "must not be larger than 64 KiB")


def test_names_may_have_256_and_addresses_2000_characters(client: httpx.Client, surname: str) -> None:
    longest = {"person_name": "😀" * 256, "person_address": "😀" * 2000}
    assert create(client, surname, **longest).json().items() >= longest.items()


def test_current_etag_gets_304_without_a_body(client: httpx.Client, surname: str) -> None:
    path = location_of(create(client, surname))
    full = client.get(path)
    response = client.get(path, headers={"If-None-Match": '"1"'})
    assert (response.status_code, response.content) == (304, b"")
    # RFC 9110, section 15.4.5: a 304 has the caching headers of a 200.
    assert {name: response.headers.get(name) for name in ("ETag", "Cache-Control")} == {
        "ETag": full.headers["ETag"],
        "Cache-Control": full.headers["Cache-Control"],
    }


@pytest.mark.parametrize(
    ("known", "status"),
    [('"1"', 304), ('W/"1"', 304), ("*", 304), ('"7", "1"', 304), ('"2"', 200), ('"11"', 200), ("1", 400), ("", 400)],
)
def test_if_none_match_is_compared_with_each_tag(client: httpx.Client, surname: str, known: str, status: int) -> None:
    path = location_of(create(client, surname))
    assert client.get(path, headers={"If-None-Match": known}).status_code == status


def test_person_may_be_cached_only_with_revalidation(client: httpx.Client, surname: str) -> None:
    assert client.get(location_of(create(client, surname))).headers["Cache-Control"] == "private, no-cache"


def test_head_equals_get_without_the_body(client: httpx.Client, surname: str) -> None:
    path = location_of(create(client, surname))
    full, head = client.get(path), client.head(path)
    varying = {"x-request-id", "date", "cache-status"}
    assert head.content == b""
    assert {n: v for n, v in head.headers.items() if n not in varying} == {
        n: v for n, v in full.headers.items() if n not in varying
    }


def test_put_replaces_all_client_fields(client: httpx.Client, surname: str) -> None:
    path = location_of(create(client, surname, person_name="Anna", shoes=41))
    response = client.put(path, json={"person_surname": surname, "hat": 7}, headers={"If-Match": '"1"'})
    assert (response.status_code, response.headers["ETag"]) == (200, '"2"')
    fields = set(client.get(path).json())
    assert fields == {"person_id", "person_surname", "hat", "version", "created_at", "updated_at"}


def test_change_keeps_created_at_and_advances_updated_at(client: httpx.Client, surname: str) -> None:
    first = create(client, surname)
    second = client.patch(location_of(first), json={"x": 1}, headers={"If-Match": "*"}).json()
    assert second["created_at"] == first.json()["created_at"] <= second["updated_at"]


def test_person_is_found_only_by_the_new_surname(client: httpx.Client, surname: str) -> None:
    path = location_of(create(client, surname))
    client.patch(path, json={"person_surname": f"New{surname}"}, headers={"If-Match": '"1"'})
    found = [client.get("/v1/people", params={"surname": s}).json()["people"] for s in (surname, f"New{surname}")]
    assert [len(people) for people in found] == [0, 1]
    assert found[1][0] == client.get(path).json()


@pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/json"])
def test_patch_merges_fields(client: httpx.Client, surname: str, media_type: str) -> None:
    before = {"person_name": "Anna", "a": {"b": 1, "c": 2}, "list": [1, 2], "gone": "x", "kept": None}
    path = location_of(create(client, surname, **before))
    response = client.patch(
        path,
        content=b'{"person_name":null,"a":{"c":null,"d":{"e":null,"f":3}},"list":[9,null],"gone":null,"was never":null}',
        headers={"If-Match": '"1"', "Content-Type": media_type},
    )
    assert response.status_code == 200
    own = {name: value for name, value in response.json().items() if name in {*before, "was never"}}
    assert own == {"a": {"b": 1, "d": {"f": 3}}, "list": [9, None], "kept": None}


def test_patch_that_removes_the_only_name_is_rejected(client: httpx.Client, surname: str) -> None:
    first = create(client, surname)
    response = client.patch(location_of(first), json={"person_surname": None}, headers={"If-Match": "*"})
    assert response.status_code == 422
    assert client.get(location_of(first)).content == first.content


@pytest.mark.parametrize("patch", ["[]", "null", "3", '"x"'])
def test_patch_must_be_an_object(client: httpx.Client, surname: str, patch: str) -> None:
    path = location_of(create(client, surname))
    response = client.patch(path, content=patch, headers={"If-Match": "*", **JSON})
    assert (response.status_code, response.json()["errors"][0]["reason"]) == (422, "must be a JSON object")


def test_patch_that_makes_a_record_too_large_is_rejected(client: httpx.Client, surname: str) -> None:
    path = location_of(create(client, surname, a="x" * 40_000))
    assert client.patch(path, json={"b": "x" * 40_000}, headers={"If-Match": "*"}).status_code == 422


def test_legacy_birthdate_survives_changes_of_other_fields(client: httpx.Client, surname: str) -> None:
    data = {"person_name": "A", "person_surname": surname, "person_birthdate": "in May", "person_address": "x"}
    path = location_of(client.post("/data", json=data))
    assert client.patch(path, json={"person_name": "B"}, headers={"If-Match": "*"}).status_code == 200
    assert client.patch(path, json={"person_birthdate": "in June"}, headers={"If-Match": "*"}).status_code == 422


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_change_without_if_match_gets_428(client: httpx.Client, surname: str, method: str) -> None:
    path = location_of(create(client, surname))
    assert client.request(method, path, json={"person_surname": surname}).status_code == 428


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("header", "passes"),
    [
        ('"1"', True),
        ('"9", "1"', True),
        ('"9","1" ,"x"', True),
        ("*", True),
        ('"9" , "1"', True),
        ('"2"', False),
        ('W/"1"', False),
        ('"9", W/"1"', False),
        ('"01"', False),
        ('""', False),
        ('"a1"', False),
    ],
)
def test_if_match_is_compared_strongly_with_each_tag(
    client: httpx.Client, surname: str, method: str, header: str, *, passes: bool
) -> None:
    first = create(client, surname)
    document = None if method == "DELETE" else {"person_surname": surname}
    response = client.request(method, location_of(first), headers={"If-Match": header}, json=document)
    assert response.status_code == ((204 if method == "DELETE" else 200) if passes else 412)
    if not passes:
        assert client.get(location_of(first)).content == first.content


@pytest.mark.parametrize("header", ["1", "", '"1', "1, 2", '"1" "2"', "x*", "W/*"])
def test_invalid_if_match_is_rejected(client: httpx.Client, surname: str, header: str) -> None:
    path = location_of(create(client, surname))
    response = client.put(path, json={"person_surname": surname}, headers={"If-Match": header})
    assert response.status_code == 400


def test_deleted_person_is_not_found(client: httpx.Client, surname: str) -> None:
    path = location_of(create(client, surname))
    response = client.delete(path)
    assert (response.status_code, response.content) == (204, b"")
    assert "Content-Type" not in response.headers
    statuses = [
        client.get(path).status_code,
        client.delete(path).status_code,
        client.put(path, json={"person_surname": surname}, headers={"If-Match": "*"}).status_code,
        client.patch(path, json={}, headers={"If-Match": '"1"'}).status_code,
    ]
    assert statuses == [404] * 4
    assert client.get("/data", params={"person_surname": surname}).json() == []


@pytest.mark.parametrize(
    "person_id",
    ["0" * 32, "x", "0" * 31, "0" * 33, "F" * 32, "%00", "%2e%2e", "a%2Fb", "é", "..%2f..%2fetc", "x" * 1_000],
)
def test_unknown_id_is_not_found(client: httpx.Client, person_id: str) -> None:
    assert client.get(f"/v1/people/{person_id}").status_code == 404


def test_path_that_is_not_utf8_is_rejected(client: httpx.Client) -> None:
    assert client.get("/v1/people/%ff").status_code == 400


def test_trailing_slash_is_ignored(client: httpx.Client, surname: str) -> None:
    path = location_of(create(client, surname))
    assert client.get(path + "/").content == client.get(path).content


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/people", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("/v1/people/search", {"POST", "OPTIONS"}),
        ("/v1/people/" + "0" * 32, {"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"}),
        ("/data", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("/status", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_unsupported_method_gets_405_with_the_allowed_methods(
    client: httpx.Client, path: str, allowed: set[str]
) -> None:
    response = client.request("LOCK", path)
    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/json;charset=UTF-8", 201),
        ('APPLICATION/JSON ; v=1 ; charset="utf-8"', 201),
        ("application/json; charset=utf-8; v=1", 201),
        ("application/json; v=charset=latin-1", 201),
        ("application/json;", 201),
        ("application/json; charset=latin-1", 415),
        ("application/json;  charset = latin-1", 415),
        ("application/json; charset=utf-8; charset=utf-16", 415),
        ("application/json; charset=", 415),
    ],
)
def test_body_must_be_json_in_utf_8(client: httpx.Client, surname: str, media_type: str, status: int) -> None:
    body = f'{{"person_surname":"{surname}"}}'
    assert client.post("/v1/people", content=body, headers={"Content-Type": media_type}).status_code == status
