"""A principal learns nothing about members that are hidden from it: two stores that differ only in those answer it alike."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.http.test_authentication import bearer, make_key

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 64 * 1024
CHANGES = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
MASKS = {
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
    """One of two servers, with a client of the administrator and one of each masked key."""

    admin: httpx.Client
    masked: dict[str, httpx.Client]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    with (
        serving(first, admin_key=ADMIN_KEY, rate_limit=0) as one,
        serving(second, admin_key=ADMIN_KEY, rate_limit=0) as other,
    ):
        opened = [
            (folder, httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN))
            for folder, server in ((first, one), (second, other))
        ]
        made = [Side(admin, {name: masked(folder, admin, name) for name in MASKS}) for folder, admin in opened]
        yield made[0], made[1]
        for side in made:
            for client in (side.admin, *side.masked.values()):
                client.close()


def masked(folder: Any, admin: httpx.Client, name: str) -> httpx.Client:
    hidden = [option for member in MASKS[name] for option in ("--hide-field", member)]
    key = make_key(folder, "--scope", "people:read", "--scope", "people:write", *hidden, name=name)
    return httpx.Client(base_url=admin.base_url, timeout=HANG_TIMEOUT, headers=bearer(key))


# What differs from one request to the next whoever asks: of the same length each time.
VARYING = re.compile(rb'[0-9a-f]{32}|\d{4}-\d\d-\d\dT[\d:.]{12}Z|"request_id":"[^"]*"|cursor[="]+[\w-]+')


def essence(answer: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Return the whole answer, with what varies by chance replaced by its length."""

    def replaced(found: re.Match[bytes]) -> bytes:
        return b"?" if found[0].startswith(b'"request_id"') else b"?%d" % len(found[0])

    skipped = {"date", "x-request-id"}
    if b'"request_id"' in answer.content:  # it counts the requests, so its length may differ
        skipped.add("content-length")
    headers = [(name, VARYING.sub(replaced, value.encode()).decode()) for name, value in answer.headers.multi_items()]
    return answer.status_code, VARYING.sub(replaced, answer.content), [one for one in headers if one[0] not in skipped]


def requests(client: httpx.Client, place: str, surname: str, patch: dict[str, Any]) -> Iterator[httpx.Response]:
    """Make every kind of request that a masked key may make."""
    seen = client.get(place)
    yield seen
    yield client.head(place)
    yield client.get(place, headers={"If-None-Match": seen.headers["ETag"]})
    yield client.get(place, headers={"If-None-Match": '"1"'})
    yield client.get("/v1/people", params={"surname": surname})
    yield client.get("/v1/people", params={"surname": surname, "name": "Ada", "match": "exact"})
    yield client.get("/v1/people", params={"name": "Ada"})
    yield client.get("/v1/people", params={"limit": 1})
    yield client.get("/v1/people", params={"surname_prefix": surname[:-1], "limit": 1})
    yield client.get("/v1/people", params={"born_from": "1900"})
    yield client.post("/v1/people/search", json={"surname": surname})
    yield client.get("/data", params={"person_surname": surname, "limit": 1})
    yield client.get("/v1/people/export")
    yield client.get("/v1/people/export", params={"format": "csv"})
    yield client.post("/v1/people/export", json={"name": "Ada"})
    yield client.get("/v1/people/export", params={"born_to": "2000"})
    yield client.get(f"{place}/export")
    yield client.delete(place)
    yield client.put(place, json={"person_name": "Eve"}, headers={"If-Match": "*"})
    changes: tuple[Any, ...] = (
        patch, {}, {"person_name": None}, {"person_surname": None}, {"person_name": None, "person_surname": None}, {"person_name": "Eve"},
        {"person_surname": ""}, {"person_birthdate": "1"}, {"person_address": None}, {"note": None}, {"pad": "x" * (SIZE - 200)}, {"pad": "x" * SIZE},
        {"pad": None}, {"version": 1}, [], "text",
    )  # fmt: skip
    for change in changes:
        yield client.patch(place, json=change, headers=CHANGES)
    for versions in ('"1"', '"2"', 'W/"2"', seen.headers["ETag"]):
        yield client.patch(place, json={"person_name": "Ida"}, headers=CHANGES | {"If-Match": versions})
    yield client.get(place)


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
own = st.fixed_dictionaries(
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


def hides(mask: str, member: str) -> bool:
    return member in MASKS[mask] or ("*" in MASKS[mask] and not member.startswith("person_"))


def stored(side: Side, members: dict[str, Any]) -> str | None:
    answer = side.admin.post("/v1/people", json=members)
    return answer.headers["Location"] if answer.status_code == 201 else None


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(mask=st.sampled_from(sorted(MASKS)), seen=own, first=own, second=own, patch=own, named=st.booleans())
def test_two_stores_that_differ_in_hidden_values_answer_alike(
    sides: tuple[Side, Side], mask: str, seen: dict[str, Any], first: dict[str, Any], second: dict[str, Any],
    patch: dict[str, Any], *, named: bool,
) -> None:  # fmt: skip
    surname = "Alike"
    shown = {member: value for member, value in (seen | {"person_surname": surname}).items() if not hides(mask, member)}
    if not named:  # where the surname is seen, a person of one name otherwise
        shown.pop("person_name", None)
    places = []
    for side, hidden in zip(sides, (first, second), strict=True):
        unseen = {member: value for member, value in hidden.items() if hides(mask, member)}
        unseen |= (
            {"person_surname": f"{len(hidden)}Hidden"}
            if hides(mask, "person_surname") and hidden.keys() & {"note"}
            else {}
        )
        unseen.pop("person_surname", None) if unseen.get("person_surname") == "" else None
        if not (shown | unseen).keys() & {"person_name", "person_surname"}:
            unseen["person_surname" if hides(mask, "person_surname") else "person_name"] = "Needed"
        places.append((side, stored(side, shown | unseen)))
    try:
        if all(place for _, place in places):
            answers = [list(requests(side.masked[mask], str(place), surname, patch)) for side, place in places]
            for one, other in zip(*answers, strict=True):
                assert essence(one) == essence(other), (
                    f"{one.request.method} {one.request.url} {one.request.content[:200]!r}"
                )
    finally:
        for side, place in places:
            if place:
                side.admin.delete(place)


@pytest.mark.parametrize("address", [None, "1 Short Lane", "x" * 2_000])
def test_the_largest_visible_part_does_not_depend_on_the_hidden_part(
    sides: tuple[Side, Side], address: str | None
) -> None:
    admin, client = sides[0].admin, sides[0].masked["address"]
    place = stored(sides[0], {"person_name": "Measured"} | ({"person_address": address} if address else {}))
    assert place
    # The whole visible JSON is {"person_name":"Measured","pad":"…"}
    largest = SIZE - len(b'{"person_name":"Measured","pad":""}')
    assert client.patch(place, json={"pad": "x" * (largest + 1)}, headers=CHANGES).status_code == 422
    assert client.patch(place, json={"pad": "x" * largest}, headers=CHANGES).status_code == 200
    whole = admin.get(place).json()
    assert (whole.get("person_address"), len(whole["pad"])) == (address, largest)
    admin.delete(place)


def test_a_record_that_has_outgrown_the_limit_can_still_be_changed_but_not_grow(sides: tuple[Side, Side]) -> None:
    admin, client = sides[0].admin, sides[0].masked["note"]
    place = stored(sides[0], {"person_name": "Large", "note": "n" * 60_000})
    assert place
    assert client.patch(place, json={"pad": "x" * 60_000}, headers=CHANGES).status_code == 200
    assert admin.patch(place, json={"person_name": "Larger"}, headers=CHANGES).status_code == 422
    assert admin.patch(place, json={"person_name": "Small"}, headers=CHANGES).status_code == 200
    whole = {name: value for name, value in admin.get(place).json().items() if name in ("person_name", "note", "pad")}
    assert admin.put(place, json=whole, headers={"If-Match": "*"}).status_code == 200
    assert admin.patch(place, json={"note": None}, headers=CHANGES).status_code == 200
    admin.delete(place)


@pytest.mark.parametrize("mask", ["address", "most"])
def test_representations_for_other_keys_have_other_tags(sides: tuple[Side, Side], mask: str) -> None:
    admin, client = sides[0].admin, sides[0].masked[mask]
    place = stored(sides[0], {"person_name": "Tagged", "person_address": "1 Secret Lane"})
    assert place
    whole, seen = admin.get(place), client.get(place)
    assert whole.headers["ETag"] != seen.headers["ETag"]
    # A browser that has the response to another key in its cache is sent this one.
    assert client.get(place, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 200
    assert admin.get(place, headers={"If-None-Match": seen.headers["ETag"]}).status_code == 200
    assert client.get(place, headers={"If-None-Match": seen.headers["ETag"]}).status_code == 304
    # A change may name the version by both.
    changed = client.patch(place, json={"person_name": "B"}, headers=CHANGES | {"If-Match": seen.headers["ETag"]})
    assert changed.status_code == 200
    assert client.patch(place, json={"person_name": "C"}, headers=CHANGES | {"If-Match": '"2"'}).status_code == 200
    for tag in (changed.headers["ETag"], '"1"'):
        assert client.patch(place, json={}, headers=CHANGES | {"If-Match": tag}).status_code == 412
    for tag in (client.get(place).headers["ETag"], '"3"'):
        assert client.patch(place, json={}, headers=CHANGES | {"If-None-Match": tag}).status_code == 412
    admin.delete(place)
