"""/v1/people: a person's life from the first POST to the DELETE."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

JSON = {"Content-Type": "application/json"}


def stored(client: httpx.Client, surname: str, **members: Any) -> httpx.Response:
    answer = client.post("/v1/people", json={"person_surname": surname} | members)
    assert answer.status_code == 201
    return answer


def place(answer: httpx.Response) -> str:
    return str(answer.headers["Location"])


def test_a_new_person_is_answered_with_its_place_and_its_etag(client: httpx.Client, surname: str) -> None:
    answer = stored(client, surname)
    assert (answer.headers["ETag"], answer.json()["version"]) == ('"1"', 1)
    assert place(answer) == f"/v1/people/{answer.json()['person_id']}"
    assert client.get(place(answer)).content == answer.content


def test_an_id_says_nothing_and_is_safe_in_a_url(client: httpx.Client, surname: str) -> None:
    ids = [stored(client, surname).json()["person_id"] for _ in range(2)]
    assert all(re.fullmatch("[0-9a-f]{32}", person_id) for person_id in ids)
    assert ids[0][:8] != ids[1][:8]


def test_the_times_are_utc_with_milliseconds(client: httpx.Client, surname: str) -> None:
    before = datetime.now(UTC)
    answer = stored(client, surname).json()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer["created_at"])
    assert answer["created_at"] == answer["updated_at"]
    assert abs((datetime.fromisoformat(answer["created_at"]) - before).total_seconds()) < 30


@pytest.mark.parametrize(
    "members",
    [
        {"person_name": "Prince"},
        {"person_surname": "Prince"},
        {"person_name": "Prince", "person_surname": None},
    ],
)
def test_one_name_is_enough(client: httpx.Client, members: dict[str, Any]) -> None:
    assert client.post("/v1/people", json=members).status_code == 201


@pytest.mark.parametrize("members", [{}, {"person_name": None}, {"person_address": "12 Example Street"}])
def test_no_name_is_not_enough(client: httpx.Client, members: dict[str, Any]) -> None:
    answer = client.post("/v1/people", json=members)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "")


@pytest.mark.parametrize("birthdate", ["1990-02-11", "1990-02", "1990", "--02-29"])
def test_a_birthdate_may_be_partial(client: httpx.Client, surname: str, birthdate: str) -> None:
    assert stored(client, surname, person_birthdate=birthdate).json()["person_birthdate"] == birthdate


@pytest.mark.parametrize("birthdate", ["1990-02-30", "11.02.1990", "2999-01-01", "--02-30", "0000", "", 1990])
def test_a_birthdate_is_a_day_that_has_been(client: httpx.Client, surname: str, birthdate: Any) -> None:
    answer = client.post("/v1/people", json={"person_surname": surname, "person_birthdate": birthdate})
    assert answer.status_code == 422
    assert [reason["pointer"] for reason in answer.json()["errors"]] == ["/person_birthdate"]


def test_every_reason_is_given_at_once(client: httpx.Client, surname: str) -> None:
    wrong = {"person_name": 3, "person_surname": "x" * 257, "person_birthdate": "soon", "person_id": "mine"}
    answer = client.post("/v1/people", json=wrong)
    pointers = {reason["pointer"] for reason in answer.json()["errors"]}
    assert pointers == {"/person_name", "/person_surname", "/person_birthdate", "/person_id"}


@pytest.mark.parametrize("member", ["person_id", "version", "created_at", "updated_at"])
def test_what_the_server_gives_cannot_be_given_to_it(client: httpx.Client, surname: str, member: str) -> None:
    answer = client.post("/v1/people", json={"person_surname": surname, member: "x"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{member}")


def test_what_the_server_gave_may_be_sent_back_unchanged(client: httpx.Client, surname: str) -> None:
    person = stored(client, surname).json()
    answer = client.put(f"/v1/people/{person['person_id']}", json=person, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["version"]) == (200, 2)


def test_text_is_kept_in_nfc_and_trimmed(client: httpx.Client, surname: str) -> None:
    answer = stored(client, surname, person_name=" Jose\u0301\u00a0", person_address="\n1\r\n2\t\n")
    assert (answer.json()["person_name"], answer.json()["person_address"]) == ("José", "1\r\n2")


@pytest.mark.parametrize(
    "literal", ["1.50", "1E5", "-0", "-0.0", "1e400", "0.1000000000000000055511151231257827", "9" * 60, "1e-999"]
)
def test_a_number_keeps_its_literal(client: httpx.Client, surname: str, literal: str) -> None:
    submitted = f'{{"person_surname":"{surname}","n":[{literal},{{"deep":{literal}}}]}}'
    place_ = place(client.post("/v1/people", content=submitted, headers=JSON))
    kept = f'"n":[{literal},{{"deep":{literal}}}]'
    assert kept in client.get(place_).text
    patched = client.patch(place_, json={"person_name": "Anna"}, headers={"If-Match": "*"})
    assert kept in patched.text


def test_a_record_of_64_kib_is_the_largest(client: httpx.Client, surname: str) -> None:
    frame = len(f'{{"person_surname":"{surname}","m":""}}')
    assert stored(client, surname, m="x" * (65_536 - frame)).status_code == 201
    answer = client.post("/v1/people", json={"person_surname": surname, "m": "x" * (65_537 - frame)})
    assert (answer.status_code, answer.json()["errors"][0]["reason"]) == (422, "is larger than 64 KiB")


def test_names_may_have_256_and_addresses_2000_characters(client: httpx.Client, surname: str) -> None:
    longest = {"person_name": "😀" * 256, "person_address": "😀" * 2000}
    assert stored(client, surname, **longest).json().items() >= longest.items()


def test_whoever_has_the_version_gets_304_without_a_body(client: httpx.Client, surname: str) -> None:
    where = place(stored(client, surname))
    whole = client.get(where)
    answer = client.get(where, headers={"If-None-Match": '"1"'})
    assert (answer.status_code, answer.content) == (304, b"")
    # RFC 9110, section 15.4.5: what a 200 would have said of caching
    assert {name: answer.headers.get(name) for name in ("ETag", "Cache-Control")} == {
        "ETag": whole.headers["ETag"],
        "Cache-Control": whole.headers["Cache-Control"],
    }


@pytest.mark.parametrize(
    ("known", "status"),
    [('"1"', 304), ('W/"1"', 304), ("*", 304), ('"7", "1"', 304), ('"2"', 200), ('"11"', 200), ("1", 400), ("", 400)],
)
def test_if_none_match_is_compared_with_each_tag(client: httpx.Client, surname: str, known: str, status: int) -> None:
    where = place(stored(client, surname))
    assert client.get(where, headers={"If-None-Match": known}).status_code == status


def test_a_person_may_be_kept_by_a_browser_only_if_it_asks_each_time(client: httpx.Client, surname: str) -> None:
    assert client.get(place(stored(client, surname))).headers["Cache-Control"] == "private, no-cache"


def test_head_is_get_without_the_body(client: httpx.Client, surname: str) -> None:
    where = place(stored(client, surname))
    whole, head = client.get(where), client.head(where)
    varying = {"x-request-id", "date", "cache-status"}
    assert head.content == b""
    assert {n: v for n, v in head.headers.items() if n not in varying} == {
        n: v for n, v in whole.headers.items() if n not in varying
    }


def test_put_replaces_everything_the_client_gave(client: httpx.Client, surname: str) -> None:
    where = place(stored(client, surname, person_name="Anna", shoes=41))
    answer = client.put(where, json={"person_surname": surname, "hat": 7}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    members = set(client.get(where).json())
    assert members == {"person_id", "person_surname", "hat", "version", "created_at", "updated_at"}


def test_the_creation_time_stays_and_the_time_of_the_update_goes_on(client: httpx.Client, surname: str) -> None:
    first = stored(client, surname)
    second = client.patch(place(first), json={"x": 1}, headers={"If-Match": "*"}).json()
    assert second["created_at"] == first.json()["created_at"] <= second["updated_at"]


def test_a_change_of_surname_moves_the_person(client: httpx.Client, surname: str) -> None:
    where = place(stored(client, surname))
    client.patch(where, json={"person_surname": f"New{surname}"}, headers={"If-Match": '"1"'})
    found = [client.get("/v1/people", params={"surname": s}).json()["people"] for s in (surname, f"New{surname}")]
    assert [len(people) for people in found] == [0, 1]
    assert found[1][0] == client.get(where).json()


@pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/json"])
def test_patch_merges(client: httpx.Client, surname: str, media_type: str) -> None:
    before = {"person_name": "Anna", "a": {"b": 1, "c": 2}, "list": [1, 2], "gone": "x", "kept": None}
    where = place(stored(client, surname, **before))
    answer = client.patch(
        where,
        content=b'{"person_name":null,"a":{"c":null,"d":{"e":null,"f":3}},"list":[9,null],"gone":null,"was never":null}',
        headers={"If-Match": '"1"', "Content-Type": media_type},
    )
    assert answer.status_code == 200
    own = {name: value for name, value in answer.json().items() if name in {*before, "was never"}}
    assert own == {"a": {"b": 1, "d": {"f": 3}}, "list": [9, None], "kept": None}


def test_a_patch_that_leaves_no_name_is_refused_and_changes_nothing(client: httpx.Client, surname: str) -> None:
    first = stored(client, surname)
    answer = client.patch(place(first), json={"person_surname": None}, headers={"If-Match": "*"})
    assert answer.status_code == 422
    assert client.get(place(first)).content == first.content


@pytest.mark.parametrize("patch", ["[]", "null", "3", '"x"'])
def test_a_patch_is_an_object(client: httpx.Client, surname: str, patch: str) -> None:
    where = place(stored(client, surname))
    answer = client.patch(where, content=patch, headers={"If-Match": "*", **JSON})
    assert (answer.status_code, answer.json()["errors"][0]["reason"]) == (422, "must be a JSON object")


def test_a_patch_cannot_make_a_record_too_large(client: httpx.Client, surname: str) -> None:
    where = place(stored(client, surname, a="x" * 40_000))
    assert client.patch(where, json={"b": "x" * 40_000}, headers={"If-Match": "*"}).status_code == 422


def test_a_birthdate_from_the_old_api_survives_changes_beside_it(client: httpx.Client, surname: str) -> None:
    data = {"person_name": "A", "person_surname": surname, "person_birthdate": "in May", "person_address": "x"}
    where = place(client.post("/data", json=data))
    assert client.patch(where, json={"person_name": "B"}, headers={"If-Match": "*"}).status_code == 200
    assert client.patch(where, json={"person_birthdate": "in June"}, headers={"If-Match": "*"}).status_code == 422


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_must_say_what_it_changes(client: httpx.Client, surname: str, method: str) -> None:
    where = place(stored(client, surname))
    assert client.request(method, where, json={"person_surname": surname}).status_code == 428


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
    first = stored(client, surname)
    document = None if method == "DELETE" else {"person_surname": surname}
    answer = client.request(method, place(first), headers={"If-Match": header}, json=document)
    assert answer.status_code == ((204 if method == "DELETE" else 200) if passes else 412)
    if not passes:
        assert client.get(place(first)).content == first.content


@pytest.mark.parametrize("header", ["1", "", '"1', "1, 2", '"1" "2"', "x*", "W/*"])
def test_an_if_match_that_cannot_be_read_is_refused(client: httpx.Client, surname: str, header: str) -> None:
    where = place(stored(client, surname))
    answer = client.put(where, json={"person_surname": surname}, headers={"If-Match": header})
    assert answer.status_code == 400


def test_an_erased_person_is_gone(client: httpx.Client, surname: str) -> None:
    where = place(stored(client, surname))
    answer = client.delete(where)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "Content-Type" not in answer.headers
    statuses = [
        client.get(where).status_code,
        client.delete(where).status_code,
        client.put(where, json={"person_surname": surname}, headers={"If-Match": "*"}).status_code,
        client.patch(where, json={}, headers={"If-Match": '"1"'}).status_code,
    ]
    assert statuses == [404] * 4
    assert client.get("/data", params={"person_surname": surname}).json() == []


@pytest.mark.parametrize(
    "person_id",
    ["0" * 32, "x", "0" * 31, "0" * 33, "F" * 32, "%00", "%2e%2e", "a%2Fb", "é", "..%2f..%2fetc", "x" * 9_000],
)
def test_an_id_that_was_never_given_is_not_found(client: httpx.Client, person_id: str) -> None:
    assert client.get(f"/v1/people/{person_id}").status_code == 404


def test_path_that_is_not_utf8_is_refused(client: httpx.Client) -> None:
    assert client.get("/v1/people/%ff").status_code == 400


def test_a_slash_at_the_end_leads_to_the_same_person(client: httpx.Client, surname: str) -> None:
    where = place(stored(client, surname))
    assert client.get(where + "/").content == client.get(where).content


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
def test_a_method_that_is_not_there_is_405_with_those_that_are(
    client: httpx.Client, path: str, allowed: set[str]
) -> None:
    answer = client.request("LOCK", path)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == allowed


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
def test_a_body_is_json_in_utf_8_however_that_is_said(
    client: httpx.Client, surname: str, media_type: str, status: int
) -> None:
    body = f'{{"person_surname":"{surname}"}}'
    assert client.post("/v1/people", content=body, headers={"Content-Type": media_type}).status_code == status
