"""Duplicates: the people that may be the same as a person, given in a request or stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from peopleinfo.errors import FieldError, InvalidPerson, InvalidSearch
from peopleinfo.http.bodies import read_json
from peopleinfo.http.memory_budget import RESPONSES
from peopleinfo.http.middleware.audit import audit_of
from peopleinfo.http.openapi.duplicates_schemas import MAX_COUNT
from peopleinfo.http.responses import set_private
from peopleinfo.http.search_params import parse_number
from peopleinfo.matching.candidates import DEFAULT_COUNT
from peopleinfo.matching.match_service import DEFAULT_OPTIONS, MatchOptions, encode
from peopleinfo.people.person import parse_person

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from falcon.asgi import Request, Response

    from peopleinfo.matching.match_service import Matched, MatchService
    from peopleinfo.people.service import PeopleService

_KNOWN: Final = ("person", "count", "only_certain", "threshold")


class MatchResource:
    """/v1/people/match: the stored people that may be the same as a person in the request."""

    def __init__(self, matches: MatchService, people: PeopleService, *, body_timeout: float) -> None:
        self._matches = matches
        self._people = people
        self._body_timeout = body_timeout

    async def on_post(self, req: Request, resp: Response) -> None:
        """Match a person without storing it."""
        body = await read_json(req, seconds=self._body_timeout)
        person, options = parse_match(body, req.context.principal.hidden_fields, self._people.today)
        RESPONSES.require_room()
        _respond(req, resp, await self._matches.match(person, options))


class DuplicatesResource:
    """/v1/people/{person_id}/duplicates: the other people that may be the same as a stored person."""

    def __init__(self, matches: MatchService) -> None:
        self._matches = matches

    async def on_get(self, req: Request, resp: Response, person_id: str) -> None:
        """Match a stored person."""
        options = _options(dict(req.params), req.context.principal.hidden_fields)
        RESPONSES.require_room()
        _respond(req, resp, await self._matches.duplicates(person_id, options), person_id)

    on_head = on_get


def _respond(req: Request, resp: Response, found: Matched, *others: str) -> None:
    if trail := audit_of(req):
        trail.set_ids((*others, *found.people))
    resp.data = encode(found)
    set_private(resp)


def parse_match(body: Any, hidden: frozenset[str], today: date) -> tuple[dict[str, Any], MatchOptions]:
    """Return the fields and the options of a match. Raises InvalidSearch with all errors."""
    if not isinstance(body, dict):
        raise InvalidSearch([FieldError("", "must be a JSON object")])
    errors = [
        FieldError(f"/{name}", f"is unknown; known fields are {', '.join(_KNOWN)}")
        for name in body
        if name not in _KNOWN
    ]
    fields: dict[str, Any] = {}
    try:
        fields = parse_person(body.get("person"), today=today, require_name=False).to_dict()
    except InvalidPerson as error:
        errors += [FieldError(f"/person{one.pointer}", one.reason) for one in error.errors]
    try:
        options = _options(body, hidden, "/")
    except InvalidSearch as error:
        errors += error.errors
    if errors:
        raise InvalidSearch(errors)
    return fields, options


def _options(params: Mapping[str, Any], hidden: frozenset[str], root: str = "") -> MatchOptions:
    """Return the options in query parameters or in the fields of a body. Raises InvalidSearch with all errors."""
    errors = [
        FieldError(name, f"is unknown; known parameters are {', '.join(_KNOWN[1:])}")
        for name in params
        if not root and name not in _KNOWN[1:]
    ]
    count = parse_number(f"{root}count", params.get("count", str(DEFAULT_COUNT)), 1, MAX_COUNT, errors)
    threshold = _share(params["threshold"]) if "threshold" in params else DEFAULT_OPTIONS.threshold
    if threshold is None:
        errors.append(FieldError(f"{root}threshold", "must be a number from 0 to 1"))
    only_certain = {"true": True, "false": False}.get(str(params.get("only_certain", False)).lower())
    if only_certain is None:
        errors.append(FieldError(f"{root}only_certain", "must be true or false"))
    if errors or threshold is None or only_certain is None:
        raise InvalidSearch(errors)
    return MatchOptions(count, threshold, only_certain, hidden)


def _share(value: Any) -> float | None:
    """Return a number from 0 to 1, or None if it is invalid."""
    try:
        number = float(value if isinstance(value, str) else bytes(value))
    except (TypeError, ValueError):
        return None
    return number if 0 <= number <= 1 else None
