"""/v1/duplicates: the review queue of possible duplicates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast, get_args

import msgspec

from peopleinfo.auth.principal import Scope
from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.http import etags
from peopleinfo.http.bodies import read_json
from peopleinfo.http.etags import EvaluatesConditions
from peopleinfo.http.memory_budget import RESPONSES
from peopleinfo.http.middleware.audit import audit_of
from peopleinfo.http.responses import set_private
from peopleinfo.http.search_params import parse_page
from peopleinfo.matching.duplicate_links import LinkState
from peopleinfo.matching.match_service import encode_evidence
from peopleinfo.matching.scoring import Grade
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.http.cursors import Cursors
    from peopleinfo.matching.review_queue import Review, ReviewPair

_CHOICES: Final = {"state": get_args(LinkState), "grade": get_args(Grade)}
_DECISIONS: Final = ("different", "later")
_MAX_NOTE: Final = 500  # characters


class DuplicateQueueResource:
    """/v1/duplicates: the pairs that wait, or that have a decision."""

    def __init__(self, review: Review, cursors: Cursors) -> None:
        self._review = review
        self._cursors = cursors

    async def on_get(self, req: Request, resp: Response) -> None:
        """Return a page of pairs, the most certain first."""
        params, principal = dict(req.params), req.context.principal
        state, grade = (params.pop(name, None) for name in _CHOICES)
        limit, cursor = parse_page(params)
        errors = [
            FieldError(name, f"must be one of {', '.join(_CHOICES[name])}")
            for name, value in (("state", state), ("grade", grade))
            if value is not None and value not in _CHOICES[name]
        ]
        if errors:
            raise InvalidSearch(errors)
        context = f"duplicates {state} {grade}".encode()
        after = self._cursors.decode(cursor, context, principal.name) if cursor else None
        RESPONSES.require_room()
        page = await self._review.page(
            cast("LinkState", state or "open"), cast("Grade | None", grade), after=after, limit=limit
        )
        if trail := audit_of(req):
            trail.set_ids(tuple({person.person_id for pair in page.pairs for person in pair.people}))
        next_cursor = self._cursors.encode(page.next, context, principal.name) if page.next else None
        resp.data = strict_json.encode(
            {"duplicates": [fields_of(pair) for pair in page.pairs], "next_cursor": next_cursor}
        )
        set_private(resp)

    on_head = on_get


class DuplicatePairResource(EvaluatesConditions):
    """/v1/duplicates/{pair}: one pair."""

    def __init__(self, review: Review, *, body_timeout: float) -> None:
        self._review = review
        self._body_timeout = body_timeout

    async def on_get(self, req: Request, resp: Response, pair: str) -> None:
        """Return the pair, or 304 if the client has its current version."""
        has_conditions = etags.are_given(req)
        if has_conditions:
            etags.read(req)  # an invalid one is an error, whether or not the pair exists
        found = await self._review.get(pair)
        if has_conditions:
            etags.answer_read(req, resp, etags.of_pair(found.link))
        _set_pair(req, resp, found)

    on_head = on_get

    async def on_post(self, req: Request, resp: Response, pair: str) -> None:
        """Record a decision."""
        req.context.principal.require_scope(Scope.READ)  # the response has the people
        conditions = etags.read(req)
        decision, note = _parse_decision(await read_json(req, seconds=self._body_timeout))
        if trail := audit_of(req):
            trail.record_intent()
        found = await self._review.decide(
            pair,
            decision,
            precondition=lambda link: conditions.require(etags.of_pair(link)),
            by=req.context.principal.name,
            note=note,
        )
        _set_pair(req, resp, found)


def fields_of(pair: ReviewPair) -> dict[str, Any]:
    """Return a pair with its two records as a JSON object."""
    link = pair.link
    return {
        "pair": link.pair,
        "version": link.version,
        "state": link.state,
        "grade": link.grade,
        "score": round(link.score, 6),
        "relatives": round(link.relatives, 6),
        "evidence": encode_evidence(link.evidence),
        "by": link.by,
        "at": link.at,
        "note": link.note,
        "people": [msgspec.Raw(person.body) for person in pair.people],
    }


def _set_pair(req: Request, resp: Response, pair: ReviewPair) -> None:
    if trail := audit_of(req):
        trail.set_ids(tuple(person.person_id for person in pair.people))
    resp.data = strict_json.encode(fields_of(pair))
    resp.set_header("ETag", etags.etag(pair.link.version))
    set_private(resp)


def _parse_decision(body: Any) -> tuple[LinkState, str]:
    """Return the decision and the note in a body. Raises InvalidSearch with all errors."""
    fields = body if isinstance(body, dict) else {}
    errors = [
        FieldError(f"/{name}", "is unknown; known fields are decision, note")
        for name in fields
        if name not in ("decision", "note")
    ]
    decision, note = fields.get("decision"), fields.get("note", "")
    if decision not in _DECISIONS:
        errors.append(FieldError("/decision", f"must be one of {', '.join(_DECISIONS)}"))
    if not isinstance(note, str) or len(note) > _MAX_NOTE:
        errors.append(FieldError("/note", f"must be a text of at most {_MAX_NOTE} characters"))
    if errors:
        raise InvalidSearch(errors)
    return cast("LinkState", decision), note
