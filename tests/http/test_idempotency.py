"""Idempotency-Key: a request that is sent again stores nobody twice."""

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


def post(client: httpx.Client, key: str, **members: Any) -> httpx.Response:
    return client.post("/v1/people", json=members, headers={"Idempotency-Key": key})


def how_many(client: httpx.Client, surname: str) -> int:
    return len(client.get("/v1/people", params={"surname": surname}).json()["people"])


def essence(answer: httpx.Response) -> tuple[int, bytes, str, str]:
    return answer.status_code, answer.content, answer.headers["ETag"], answer.headers["Location"]


def test_the_same_key_and_content_get_the_first_answer_again(client: httpx.Client, surname: str, key: str) -> None:
    answers = [post(client, key, person_surname=surname, n=[1]) for _ in range(3)]
    assert answers[0].status_code == 201
    assert {essence(answer) for answer in answers} == {essence(answers[0])}
    assert how_many(client, surname) == 1


def test_the_first_answer_comes_even_when_the_person_has_changed_since(
    client: httpx.Client, surname: str, key: str
) -> None:
    first = post(client, key, person_surname=surname)
    client.patch(first.headers["Location"], json={"x": 1}, headers={"If-Match": "*"})
    assert essence(post(client, key, person_surname=surname)) == essence(first)


def test_the_same_key_with_other_content_is_refused(client: httpx.Client, surname: str, key: str) -> None:
    post(client, key, person_surname=surname)
    answer = post(client, key, person_surname=surname, person_name="Anna")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:peopleinfo:problem:idempotency-key-reused")
    assert how_many(client, surname) == 1


def test_a_refused_request_does_not_use_the_key_up(client: httpx.Client, surname: str, key: str) -> None:
    assert post(client, key, person_surname="").status_code == 422
    assert post(client, key, person_surname=surname).status_code == 201


def test_the_key_of_an_erased_person_stores_nobody(client: httpx.Client, surname: str, key: str) -> None:
    client.delete(post(client, key, person_surname=surname).headers["Location"])
    answer = post(client, key, person_surname=surname)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:peopleinfo:problem:person-deleted")
    assert how_many(client, surname) == 0


def test_keys_are_told_apart_to_the_letter(client: httpx.Client, surname: str, key: str) -> None:
    for variant in (key, key.upper(), f"{key}x", f"é{key}"):
        header = {b"Idempotency-Key": variant.encode()}
        client.post("/v1/people", json={"person_surname": surname}, headers=header)
    assert how_many(client, surname) == 4


def test_many_at_once_with_one_key_store_one_person(client: httpx.Client, surname: str, key: str) -> None:
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: post(client, key, person_surname=surname), range(32)))
    assert {essence(answer) for answer in answers} == {essence(answers[0])}
    assert how_many(client, surname) == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_1_to_255_characters(client: httpx.Client, surname: str, key: str) -> None:
    assert post(client, key, person_surname=surname).status_code == 400
    assert how_many(client, surname) == 0


def test_the_longest_key_is_a_key(client: httpx.Client, surname: str) -> None:
    longest = uuid.uuid4().hex.ljust(255, "x")
    assert [post(client, longest, person_surname=surname).status_code for _ in range(2)] == [201, 201]
    assert how_many(client, surname) == 1
