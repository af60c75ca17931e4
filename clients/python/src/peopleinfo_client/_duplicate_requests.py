"""Requests about duplicates and merges as plain data, the same for both clients. No I/O."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from peopleinfo_client._json import encode
from peopleinfo_client._requests import JSON, Request, checked_id, page_query, person_id_of, person_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from peopleinfo_client.duplicates import Pair
    from peopleinfo_client.models import Person


def match(person: Mapping[str, Any], count: int, threshold: float, *, only_certain: bool) -> Request:
    """Return the request for the people that may be the same as a person."""
    body = {"person": person, "count": count, "threshold": threshold, "only_certain": only_certain}
    return Request("POST", "/v1/people/match", JSON, encode(body))


def duplicates(person: Person | str, count: int) -> Request:
    """Return the request for the possible duplicates of a stored person."""
    return Request("GET", f"{person_path(person_id_of(person))}/duplicates?{urlencode({'count': count})}")


def pairs(state: str, grade: str | None, cursor: str | None) -> Request:
    """Return the request for a page of the review queue."""
    return Request("GET", f"/v1/duplicates?{page_query(cursor, state=state, grade=grade)}")


def get_pair(pair: str) -> Request:
    """Return the request that reads a pair."""
    return Request("GET", f"/v1/duplicates/{checked_id(pair)}")


def decide(pair: Pair | str, decision: str, note: str) -> Request:
    """Return the request that records a decision. It is repeatable: a repeated decision changes nothing."""
    pair_id, condition = (pair, {}) if isinstance(pair, str) else (pair.pair, {"If-Match": f'"{pair.version}"'})
    body = encode({"decision": decision, "note": note})
    return Request("POST", f"/v1/duplicates/{checked_id(pair_id)}", JSON | condition, body)


def merge(
    survivor: Person,
    merged: Sequence[Person],
    take: Mapping[str, str],
    idempotency_key: str | None,
    *,
    preview: bool,
) -> Request:
    """Return the request of a merge; its idempotency key makes it repeatable."""
    first, *others = [{"person_id": person.person_id, "version": person.version} for person in (survivor, *merged)]
    body = {"survivor": first, "merged": others, "take": take, "preview": preview}
    headers = JSON | {"Idempotency-Key": idempotency_key or secrets.token_hex(16)}
    return Request("POST", "/v1/merges", headers, encode(body))


def get_merge(merge_id: str) -> Request:
    """Return the request that reads a merge."""
    return Request("GET", f"/v1/merges/{checked_id(merge_id)}")


def merges(person: Person | str) -> Request:
    """Return the request for the merges of a person."""
    return Request("GET", f"{person_path(person_id_of(person))}/merges")


def undo_merge(merge_id: str, keep: Mapping[str, str], *, preview: bool) -> Request:
    """Return the request that undoes a merge."""
    body = encode({"keep": keep, "preview": preview})
    return Request("POST", f"/v1/merges/{checked_id(merge_id)}/undo", JSON, body)
