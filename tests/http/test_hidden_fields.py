"""Hidden fields cannot be inferred: two stores that differ only in them return equal responses."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.commands import run
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.http.test_authentication import bearer, make_key

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 64 * 1024
NDJSON = {"Content-Type": "application/x-ndjson"}
CHANGES = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
HIDDEN_FIELDS = {
    "address": ("person_address",),
    "birthdate": ("person_birthdate",),
    "surname": ("person_surname",),
    "name": ("person_name",),
    "names": ("person_name", "person_surname"),
    "own": ("*",),
    "note": ("note",),
    "most": ("person_birthdate", "person_address", "*"),
}


class Side(NamedTuple):
    """One of two servers, with an admin client and a client for each restricted key."""

    admin: httpx.Client
    restricted: dict[str, httpx.Client]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    for folder in (first, second):
        run(folder, "store", "create")
        run(
            folder, "duplicates", "scan"
        )  # stores statistics, which the server would otherwise estimate at different times
    with (
        serving(first, admin_key=ADMIN_KEY, rate_limit=0) as one,
        serving(second, admin_key=ADMIN_KEY, rate_limit=0) as other,
    ):
        admins = [
            (folder, httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN))
            for folder, server in ((first, one), (second, other))
        ]
        created = [
            Side(admin, {name: restricted(folder, admin, name) for name in HIDDEN_FIELDS}) for folder, admin in admins
        ]
        yield created[0], created[1]
        for side in created:
            for client in (side.admin, *side.restricted.values()):
                client.close()


def restricted(folder: Any, admin: httpx.Client, name: str) -> httpx.Client:
    hidden = [option for field in HIDDEN_FIELDS[name] for option in ("--hide-field", field)]
    key = make_key(folder, "--scope", "people:read", "--scope", "people:write", *hidden, name=name)
    return httpx.Client(base_url=admin.base_url, timeout=HANG_TIMEOUT, headers=bearer(key))


# Values that vary by request, with a constant length.
VARYING = re.compile(
    rb'[0-9a-f]{32}|http://127\.0\.0\.1:\d+|\d{4}-\d\d-\d\dT[\d:.]{12}Z|"request_id":"[^"]*"|(?:cursor|"next")[=:"]+[\w-]+'
)


def normalized(response: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Return the complete response, with varying values replaced by their lengths."""

    def replaced(found: re.Match[bytes]) -> bytes:
        return b"?" if found[0].startswith(b'"request_id"') else b"?%d" % len(found[0])

    skipped = {"date", "last-modified", "x-request-id", "changes-token"}  # the token is encrypted with a random nonce
    if b'"request_id"' in response.content:  # it contains a counter, so its length may differ
        skipped.add("content-length")
    headers = [(name, VARYING.sub(replaced, value.encode()).decode()) for name, value in response.headers.multi_items()]
    return (
        response.status_code,
        VARYING.sub(replaced, response.content),
        [one for one in headers if one[0] not in skipped],
    )


def requests(client: httpx.Client, location: str, surname: str, patch: dict[str, Any]) -> Iterator[httpx.Response]:
    """Send every kind of request that a restricted key may send."""
    seen = client.get(location)
    yield seen
    yield client.head(location)
    yield client.get(location, headers={"If-None-Match": seen.headers["ETag"]})
    yield client.get(location, headers={"If-None-Match": '"1"'})
    yield client.get("/v1/people", params={"surname": surname})
    yield client.get("/v1/people", params={"surname": surname, "name": "Ada", "match": "exact"})
    yield client.get("/v1/people", params={"name": "Ada"})
    yield client.get("/v1/people", params={"limit": 1})
    yield client.get("/v1/people", params={"surname_prefix": surname[:-1], "limit": 1})
    yield client.get("/v1/people", params={"born_from": "1900"})
    yield client.post("/v1/people/search", json={"surname": surname})
    yield client.get("/data", params={"person_surname": surname, "limit": 1})
    patient = location.replace("/v1/people", "/fhir/Patient")
    yield client.get(patient)
    yield client.get(patient, headers={"If-None-Match": 'W/"1"'})
    yield client.get("/fhir/Patient", params={"family": surname[:-1], "_count": 1})
    yield client.get("/fhir/Patient", params={"family": surname, "given": "Ada"})
    yield client.get("/fhir/Patient", params={"birthdate": "ge1900"})
    yield client.get("/fhir/Patient", params={"identifier": "ada@example.org"})
    yield client.post("/fhir/Patient/$match", json={"resourceType": "Patient", "name": [{"family": surname}]})
    yield client.get("/v1/people/export")
    yield client.get("/v1/people/export", params={"format": "csv"})
    yield client.post("/v1/people/export", json={"name": "Ada"})
    yield client.get("/v1/people/export", params={"born_to": "2000"})
    yield client.get(f"{location}/export")
    yield client.delete(location)
    yield client.put(location, json={"person_name": "Eve"}, headers={"If-Match": "*"})
    changes: tuple[Any, ...] = (
        patch, {}, {"person_name": None}, {"person_surname": None}, {"person_name": None, "person_surname": None}, {"person_name": "Eve"},
        {"person_surname": ""}, {"person_birthdate": "1"}, {"person_address": None}, {"note": None}, {"pad": "x" * (SIZE - 200)}, {"pad": "x" * SIZE},
        {"pad": None}, {"version": 1}, [], "text",
    )  # fmt: skip
    for change in changes:
        yield client.patch(location, json=change, headers=CHANGES)
    for versions in ('"1"', '"2"', 'W/"2"', seen.headers["ETag"]):
        yield client.patch(location, json={"person_name": "Ida"}, headers=CHANGES | {"If-Match": versions})
    yield client.get(location)


texts = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f", exclude_categories=["Cc"]),
    max_size=60,
)
values = st.one_of(
    texts,
    st.integers(-(10**20), 10**20),
    st.booleans(),
    st.none(),
    st.lists(st.integers(), max_size=3),
    st.builds(lambda n: "x" * n, st.integers(0, 60_000)),
)
random_fields = st.fixed_dictionaries(
    {},
    optional={
        "person_name": st.sampled_from(["Ada", "Grace", "Zoë"]),
        "person_birthdate": st.sampled_from(["1985-12-10", "1985", "--02-29"]),
        "person_address": texts.map(lambda text: f"1 {text} Lane"),
        "note": values,
        "score": values,
        "person_surname": st.just(""),
    },
)


def hides(key_name: str, field: str) -> bool:
    return field in HIDDEN_FIELDS[key_name] or ("*" in HIDDEN_FIELDS[key_name] and not field.startswith("person_"))


def create(side: Side, fields: dict[str, Any]) -> str | None:
    response = side.admin.post("/v1/people", json=fields)
    return response.headers["Location"] if response.status_code == 201 else None


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    key_name=st.sampled_from(sorted(HIDDEN_FIELDS)),
    seen=random_fields,
    first=random_fields,
    second=random_fields,
    patch=random_fields,
    named=st.booleans(),
)
def test_stores_that_differ_in_hidden_fields_return_equal_responses(
    sides: tuple[Side, Side], key_name: str, seen: dict[str, Any], first: dict[str, Any], second: dict[str, Any],
    patch: dict[str, Any], *, named: bool,
) -> None:  # fmt: skip
    surname = "Alike"
    shown = {
        field: value for field, value in (seen | {"person_surname": surname}).items() if not hides(key_name, field)
    }
    if not named:  # the person has a surname only
        shown.pop("person_name", None)
    records = []
    for side, hidden in zip(sides, (first, second), strict=True):
        unseen = {field: value for field, value in hidden.items() if hides(key_name, field)}
        unseen |= (
            {"person_surname": f"{len(hidden)}Hidden"}
            if hides(key_name, "person_surname") and hidden.keys() & {"note"}
            else {}
        )
        unseen.pop("person_surname", None) if unseen.get("person_surname") == "" else None
        if not (shown | unseen).keys() & {"person_name", "person_surname"}:
            unseen["person_surname" if hides(key_name, "person_surname") else "person_name"] = "Needed"
        records.append((side, create(side, shown | unseen)))
    try:
        if all(location for _, location in records):
            responses = [
                list(requests(side.restricted[key_name], str(location), surname, patch)) for side, location in records
            ]
            for one, other in zip(*responses, strict=True):
                assert normalized(one) == normalized(other), (
                    f"{one.request.method} {one.request.url} {one.request.content[:200]!r}"
                )
    finally:
        for side, location in records:
            if location:
                side.admin.delete(location)


def reads_of_versions(client: httpx.Client, location: str, token: str) -> Iterator[httpx.Response]:
    for path in ("/history", "/history?limit=1", "/history/1", "/history/2", "/merges", "/duplicates"):
        yield client.get(location + path)
    yield client.post(f"{location}/restore", json={"version": 1}, headers={"If-Match": "*"})
    for path in ("/v1/trash", "/v1/duplicates", "/v1/imports"):
        yield client.get(path)
    yield client.get("/v1/changes", params={"since": token})
    yield client.get("/v1/changes", params={"since": token, "include": "person"})


def searches(client: httpx.Client, surname: str) -> Iterator[httpx.Response]:
    for text in (surname, "Ada", "1985", "Lane", "secret"):
        yield client.get("/v1/people", params={"q": text})
    for sort in ("name", "-updated_at"):
        yield client.get("/v1/people", params={"sort": sort})
    yield client.get("/v1/people/letters")
    yield client.get("/v1/people/count")
    for filters in ({"surname": surname}, {"name": "Ada"}, {"born_from": "1900"}):
        yield client.post("/v1/people/count", json=filters)
    person = {"person_name": "Ada", "person_surname": surname, "person_birthdate": "1985-12-10"}
    yield client.post("/v1/people/match", json={"person": person})
    yield client.post("/v1/people?duplicates=refuse", json=person)


def imports(client: httpx.Client, person_id: str, person: dict[str, Any]) -> Iterator[httpx.Response]:
    """Import rows that the server may compare with stored people."""
    own = {"person_id": person_id}
    for row in (person, own, own | UNSEEN, own | {"note": None}, own | {"pad": "x" * 60_000}):
        for options in ("", "&key=person_id", "&key=person_id&mode=replace", "&key=email", "&duplicates=report"):
            yield client.post(f"/v1/people/import?dry_run=true{options}", json=row, headers=NDJSON)


def batches(client: httpx.Client, person_id: str) -> Iterator[httpx.Response]:
    change = {"person_id": person_id, "version": "*"}
    items = [
        change | {"operation": "patch", "person": {"person_surname": None}},
        change | {"operation": "patch", "person": UNSEEN},
        change | {"operation": "replace", "person": {"person_name": "Eve"}},
        change | {"operation": "patch", "person": {}, "version": 1},
        change | {"operation": "delete"},
    ]
    yield client.post("/v1/people/batch-get", json={"ids": [person_id, "x"]})
    yield client.post("/v1/people/batch", json={"items": items})


UNSEEN = {
    "person_name": "Ada",
    "person_surname": "Alike",
    "person_birthdate": "1985-12-10",
    "person_address": "1 Lane",
    "note": "secret",
    "email": "ada@example.org",
}


@pytest.mark.parametrize("key_name", sorted(HIDDEN_FIELDS))
def test_hidden_fields_affect_no_list_history_batch_or_import(sides: tuple[Side, Side], key_name: str) -> None:
    seen = {field: value for field, value in UNSEEN.items() if not hides(key_name, field)}
    poor = seen if seen.keys() & {"person_name", "person_surname"} else seen | {"person_name": "Needed"}
    responses = []
    for side, person in zip(sides, (poor, UNSEEN), strict=True):
        client = side.restricted[key_name]
        token = side.admin.get("/v1/changes").json()["next"]
        location = str(create(side, person))
        person_id = location.rpartition("/")[2]
        answers = [
            *reads_of_versions(client, location, token),
            *searches(client, "Alike"),
            *imports(client, person_id, UNSEEN),
            *batches(client, person_id),
        ]
        responses.append(answers)
        for found in side.admin.get("/v1/people").json()["people"]:
            side.admin.delete(f"/v1/people/{found['person_id']}?erase=true")
    for one, other in zip(*responses, strict=True):
        assert normalized(one) == normalized(other), (
            f"{one.request.method} {one.request.url} {one.request.content[:200]!r}"
        )


def test_number_of_results_does_not_depend_on_the_sizes_of_hidden_fields(sides: tuple[Side, Side]) -> None:
    numbers = []
    for side, note in zip(sides, ("n" * 60_000, "n"), strict=True):
        client = side.restricted["note"]
        token = side.admin.get("/v1/changes").json()["next"]
        person = {"person_surname": "Sized", "note": note}
        rows = b"".join(json.dumps(person | {"row": row}).encode() + b"\n" for row in range(40))  # over 2 MiB
        stored = side.admin.post("/v1/people/import", content=rows, headers=NDJSON).text.splitlines()[:-1]
        ids = [json.loads(line)["person_id"] for line in stored]
        for number in range(40):
            change = {"note": f"{number}{note}"}
            assert side.admin.patch(f"/v1/people/{ids[0]}", json=change, headers=CHANGES).status_code == 200
        read = client.post("/v1/people/batch-get", json={"ids": ids}).json()["results"]
        history = client.get(f"/v1/people/{ids[0]}/history", params={"limit": 100}).json()
        feed = client.get("/v1/changes", params={"since": token, "limit": 1000, "include": "person"}).json()
        numbers.append(([one["status"] for one in read], len(history["versions"]), len(feed["changes"])))
        for person_id in ids:
            side.admin.delete(f"/v1/people/{person_id}")
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize("address", [None, "1 Short Lane", "x" * 2_000])
def test_maximum_visible_size_does_not_depend_on_hidden_fields(sides: tuple[Side, Side], address: str | None) -> None:
    admin, client = sides[0].admin, sides[0].restricted["address"]
    location = create(sides[0], {"person_name": "Measured"} | ({"person_address": address} if address else {}))
    assert location
    # The complete visible JSON is {"person_name":"Measured","pad":"…"}
    largest = SIZE - len(b'{"person_name":"Measured","pad":""}')
    assert client.patch(location, json={"pad": "x" * (largest + 1)}, headers=CHANGES).status_code == 422
    assert client.patch(location, json={"pad": "x" * largest}, headers=CHANGES).status_code == 200
    full = admin.get(location).json()
    assert (full.get("person_address"), len(full["pad"])) == (address, largest)
    admin.delete(location)


def test_oversized_record_can_change_but_not_grow(sides: tuple[Side, Side]) -> None:
    admin, client = sides[0].admin, sides[0].restricted["note"]
    location = create(sides[0], {"person_name": "Large", "note": "n" * 60_000})
    assert location
    assert client.patch(location, json={"pad": "x" * 60_000}, headers=CHANGES).status_code == 200
    assert admin.patch(location, json={"person_name": "Larger"}, headers=CHANGES).status_code == 422
    assert admin.patch(location, json={"person_name": "Small"}, headers=CHANGES).status_code == 200
    full = {name: value for name, value in admin.get(location).json().items() if name in ("person_name", "note", "pad")}
    assert admin.put(location, json=full, headers={"If-Match": "*"}).status_code == 200
    assert admin.patch(location, json={"note": None}, headers=CHANGES).status_code == 200
    admin.delete(location)


@pytest.mark.parametrize("key_name", ["address", "most"])
def test_representations_for_different_keys_have_different_tags(sides: tuple[Side, Side], key_name: str) -> None:
    admin, client = sides[0].admin, sides[0].restricted[key_name]
    location = create(sides[0], {"person_name": "Tagged", "person_address": "1 Secret Lane"})
    assert location
    full, seen = admin.get(location), client.get(location)
    assert full.headers["ETag"] != seen.headers["ETag"]
    # A browser that has cached the response to another key gets a complete response.
    assert client.get(location, headers={"If-None-Match": full.headers["ETag"]}).status_code == 200
    assert admin.get(location, headers={"If-None-Match": seen.headers["ETag"]}).status_code == 200
    assert client.get(location, headers={"If-None-Match": seen.headers["ETag"]}).status_code == 304
    # A change may name the version with either tag.
    changed = client.patch(location, json={"person_name": "B"}, headers=CHANGES | {"If-Match": seen.headers["ETag"]})
    assert changed.status_code == 200
    assert client.patch(location, json={"person_name": "C"}, headers=CHANGES | {"If-Match": '"2"'}).status_code == 200
    for tag in (changed.headers["ETag"], '"1"'):
        assert client.patch(location, json={}, headers=CHANGES | {"If-Match": tag}).status_code == 412
    for tag in (client.get(location).headers["ETag"], '"3"'):
        assert client.patch(location, json={}, headers=CHANGES | {"If-None-Match": tag}).status_code == 412
    admin.delete(location)
