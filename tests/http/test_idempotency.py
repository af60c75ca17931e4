"""Idempotency-Key: a repeated request stores no second person."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx


@pytest.fixture
def key() -> str:
    return str(uuid.uuid4())


def post(client: httpx.Client, key: str, **fields: Any) -> httpx.Response:
    return client.post("/v1/people", json=fields, headers={"Idempotency-Key": key})


def count_people(client: httpx.Client, surname: str) -> int:
    return len(client.get("/v1/people", params={"surname": surname}).json()["people"])


def comparable(response: httpx.Response) -> tuple[int, bytes, str, str]:
    return response.status_code, response.content, response.headers["ETag"], response.headers["Location"]


def test_same_key_and_content_get_the_first_response(client: httpx.Client, surname: str, key: str) -> None:
    responses = [post(client, key, person_surname=surname, n=[1]) for _ in range(3)]
    assert responses[0].status_code == 201
    assert {comparable(response) for response in responses} == {comparable(responses[0])}
    assert count_people(client, surname) == 1


def test_first_response_is_repeated_after_a_change(client: httpx.Client, surname: str, key: str) -> None:
    first = post(client, key, person_surname=surname)
    client.patch(first.headers["Location"], json={"x": 1}, headers={"If-Match": "*"})
    assert comparable(post(client, key, person_surname=surname)) == comparable(first)


def test_same_key_with_other_content_is_rejected(client: httpx.Client, surname: str, key: str) -> None:
    post(client, key, person_surname=surname)
    response = post(client, key, person_surname=surname, person_name="Anna")
    assert (response.status_code, response.json()["type"]) == (422, "urn:peopleinfo:problem:idempotency-key-reused")
    assert count_people(client, surname) == 1


def test_rejected_request_does_not_consume_the_key(client: httpx.Client, surname: str, key: str) -> None:
    assert post(client, key, person_surname="").status_code == 422
    assert post(client, key, person_surname=surname).status_code == 201


def test_key_of_a_deleted_person_stores_no_person(client: httpx.Client, surname: str, key: str) -> None:
    client.delete(post(client, key, person_surname=surname).headers["Location"])
    response = post(client, key, person_surname=surname)
    assert (response.status_code, response.json()["type"]) == (409, "urn:peopleinfo:problem:person-deleted")
    assert count_people(client, surname) == 0


def test_keys_are_compared_exactly(client: httpx.Client, surname: str, key: str) -> None:
    for variant in (key, key.upper(), f"{key}x", f"é{key}"):
        header = {b"Idempotency-Key": variant.encode()}
        client.post("/v1/people", json={"person_surname": surname}, headers=header)
    assert count_people(client, surname) == 4


def test_concurrent_requests_with_one_key_store_one_person(client: httpx.Client, surname: str, key: str) -> None:
    with ThreadPoolExecutor(16) as threads:
        responses = list(threads.map(lambda _: post(client, key, person_surname=surname), range(32)))
    assert {comparable(response) for response in responses} == {comparable(responses[0])}
    assert count_people(client, surname) == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_key_has_1_to_255_characters(client: httpx.Client, surname: str, key: str) -> None:
    assert post(client, key, person_surname=surname).status_code == 400
    assert count_people(client, surname) == 0


def test_key_of_255_characters_is_accepted(client: httpx.Client, surname: str) -> None:
    longest = uuid.uuid4().hex.ljust(255, "x")
    assert [post(client, longest, person_surname=surname).status_code for _ in range(2)] == [201, 201]
    assert count_people(client, surname) == 1
