"""/fhir: a facade of FHIR R4 with which clients read, search and match people as patients. It changes no record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode

import falcon
import msgspec

from peopleinfo.errors import FieldError, InvalidSearch, PersonMerged, PersonNotFound
from peopleinfo.http import etags
from peopleinfo.http.bodies import FORM_SIZE, read_body, read_json
from peopleinfo.http.etags import EvaluatesConditions
from peopleinfo.http.falcon_app import MAX_PARAMETERS
from peopleinfo.http.fhir_documents import (
    PATH,
    Entry,
    bundle,
    capability_statement,
    hint,
    match_bundle,
    patient,
    replaced_patient,
)
from peopleinfo.http.fhir_match import parse_match
from peopleinfo.http.fhir_search import PatientFilter, PatientSearch, parse_identifier, parse_search
from peopleinfo.http.media_types import FHIR, FORM, JSON
from peopleinfo.http.memory_budget import RESPONSES
from peopleinfo.http.middleware.audit import audit_of
from peopleinfo.http.people import outermost_survivor
from peopleinfo.http.request_headers import is_fresh, preferred
from peopleinfo.http.responses import set_cache_status, set_private
from peopleinfo.http.sessions import is_over_tls
from peopleinfo.people import strict_json
from peopleinfo.people.field_access import check_search, redact
from peopleinfo.people.person import is_id
from peopleinfo.people.search_index import MAX_HITS
from peopleinfo.people.store import Page, first_page

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.auth.principal import Principal
    from peopleinfo.http.cursors import Cursors
    from peopleinfo.matching.match_service import MatchService
    from peopleinfo.matching.merge_service import MergeService
    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.service import PeopleService

_CURSOR: Final = "_cursor"
_MEDIA_TYPES: Final = (FHIR, JSON, "text/json")
_FORMATS: Final = ("json", *_MEDIA_TYPES)
_STRICT: Final = "handling=strict"
_SEARCHES: Final = b"fhir"  # fingerprint of the cursors
_Position = tuple[PatientSearch, bytes]


class PatientResource(EvaluatesConditions):
    """/fhir/Patient/{person_id}: a person as a patient."""

    def __init__(self, people: PeopleService, merges: MergeService) -> None:
        self._people = people
        self._merges = merges

    async def on_get(self, req: Request, resp: Response, person_id: str) -> None:
        """Return the patient; an inactive one with a link to the survivor if the record is merged into another one."""
        _check_format(req)
        try:
            record, status = await self._people.get_cached(person_id, fresh=is_fresh(req))
        except PersonMerged as merged:
            await self._get_merged(req, resp, person_id, merged)
            return
        if status is not None:
            set_cache_status(req, resp, status)
        if record is None:
            raise PersonNotFound(person_id)
        self._set(req, resp, record)

    async def _get_merged(self, req: Request, resp: Response, person_id: str, merged: PersonMerged) -> None:
        survivor = await outermost_survivor(self._people, merged)
        self._set(req, resp, await self._merges.before_merge(person_id), survivor)
        resp.set_header("Cache-Control", "no-store")  # the merge can be undone

    def _set(self, req: Request, resp: Response, record: StoredPerson, survivor: str | None = None) -> None:
        hidden = req.context.principal.hidden_fields
        current = etags.of_record(record, hidden)
        if etags.are_given(req) and survivor is None:
            etags.answer_read(req, resp, current)
        body = redact(record.body, hidden) if hidden else record.body
        names = self._people.identifiers
        _set(resp, replaced_patient(body, names, survivor) if survivor else patient(body, names))
        if survivor is None:  # a client must not revalidate a patient that is replaced
            resp.set_header("ETag", f"W/{current.tag}")
        resp.last_modified = current.modified

    on_head = on_get


class PatientsResource:
    """/fhir/Patient: a search for patients."""

    def __init__(self, people: PeopleService, cursors: Cursors, *, body_timeout: float) -> None:
        self._people = people
        self._cursors = cursors
        self._body_timeout = body_timeout

    async def on_get(self, req: Request, resp: Response) -> None:
        """Search by the query parameters."""
        await self._search(_query(req), req, resp)

    async def on_post_search(self, req: Request, resp: Response) -> None:
        """Search by the fields of a form, which keeps names out of URLs and logs."""
        form = await read_body(req, seconds=self._body_timeout, media_types=(FORM,), size=FORM_SIZE)
        await self._search([*_query(req), *_parse_form(form)], req, resp)

    async def _search(self, params: list[tuple[str, str]], req: Request, resp: Response) -> None:
        _check_format(req, params)
        RESPONSES.require_room()
        principal = req.context.principal
        search, after = self._parse(params, req)
        check_search(search.filters, principal.hidden_fields)
        page = await self._page(search, after, principal, fresh=is_fresh(req))
        if trail := audit_of(req):
            trail.set_people(page.people)
        entries = [Entry(patient(body, self._people.identifiers), {"mode": "match"}) for body in page.people]
        notes = [
            hint("warning", "not-supported", f"{name} is not supported and was ignored") for name in search.ignored
        ]
        base = base_url(req)
        links = {"self": f"{base}Patient?{urlencode(search.parameters)}"}
        if page.next is not None:
            links["next"] = f"{base}Patient?{urlencode({_CURSOR: self._cursor(search, page.next, principal)})}"
        total = len(entries) if not after and page.next is None else None
        _set(resp, bundle([*entries, *notes], base, links, total))

    def _parse(self, params: list[tuple[str, str]], req: Request) -> _Position:
        """Return the search and the position of its page, empty for the first one. Raises InvalidSearch, InvalidCursor."""
        cursor = dict(params).get(_CURSOR)
        if cursor is None:
            prefer = (req.get_header("Prefer") or "").lower()
            is_strict = _STRICT in map(str.strip, prefer.replace(";", ",").split(","))
            return parse_search(params, strict=is_strict), b""
        position = self._cursors.decode(cursor, _SEARCHES, req.context.principal.name)
        decoded: _Position = msgspec.json.decode(position, type=_Position)
        return decoded

    def _cursor(self, search: PatientSearch, after: bytes, principal: Principal) -> str:
        return self._cursors.encode(msgspec.json.encode((search, after)), _SEARCHES, principal.name)

    async def _page(self, search: PatientSearch, after: bytes, principal: Principal, *, fresh: bool) -> Page:
        """Return a page without the hidden fields of the principal."""
        hidden = principal.hidden_fields
        where = PatientFilter(search, finds_prefixes=self._people.finds_prefixes)
        if (person_id := search.one("_id")) is not None:
            found = await self._of_id(person_id.value, hidden, fresh=fresh)
        elif (token := search.one("identifier")) is not None:
            found = await self._of_identifier(token.value, hidden)
        else:
            page, _ = await self._people.find_cached(
                where, after=after or None, limit=search.limit, fresh=fresh, hidden=hidden
            )
            return page
        return _slice([body for body in found if where.matches(body)], int(after or b"0"), search.limit)

    async def _of_id(self, person_id: str, hidden: frozenset[str], *, fresh: bool) -> list[bytes]:
        found = (await self._people.get_many([person_id], fresh=fresh))[0] if is_id(person_id) else {}
        return [redact(record.body, hidden) if hidden else record.body for record in found.values()]

    async def _of_identifier(self, token: str, hidden: frozenset[str]) -> list[bytes]:
        wanted = parse_identifier(token, self._people.identifiers)
        if not wanted.fields:
            return []
        found = await self._people.search(wanted.query, limit=MAX_HITS, hidden=hidden, forgiving=False)
        return [strict_json.encode(person.fields) for person in found.people if wanted.is_of(person.fields)]

    on_head = on_get


class PatientMatchResource:
    """/fhir/Patient/$match: the stored patients that may be the same as a patient in the request."""

    def __init__(self, matches: MatchService, people: PeopleService, *, body_timeout: float) -> None:
        self._matches = matches
        self._people = people
        self._body_timeout = body_timeout

    async def on_post(self, req: Request, resp: Response) -> None:
        """Match a patient without storing it."""
        params = _query(req)
        _check_format(req, params)
        body = await read_json(req, seconds=self._body_timeout, media_types=(FHIR,))
        hidden, identifiers = req.context.principal.hidden_fields, self._people.identifiers
        fields, options = parse_match(body, dict(params), identifiers, hidden, self._people.today)
        RESPONSES.require_room()
        found = await self._matches.match(fields, options)
        if trail := audit_of(req):
            trail.set_ids(tuple(found.people))
        _set(resp, match_bundle(found, identifiers, base_url(req), only_certain=options.only_certain))


class CapabilityResource:
    """/fhir/metadata: the interactions that the facade supports."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Return the capability statement."""
        _check_format(req)
        resp.content_type = FHIR
        resp.data = strict_json.encode(capability_statement(base_url(req)))

    on_head = on_get


def base_url(req: Request) -> str:
    """Return the URL of the facade as the client sees it."""
    return f"{'https' if is_over_tls(req) else 'http'}://{req.netloc}{PATH}"


def _set(resp: Response, resource: dict[str, Any]) -> None:
    resp.content_type = FHIR
    resp.data = strict_json.encode(resource)
    set_private(resp)


def _query(req: Request) -> list[tuple[str, str]]:
    return parse_qsl(req.query_string, keep_blank_values=True)


def _parse_form(form: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(form.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except ValueError:
        reason = f"must be a form in UTF-8 with at most {MAX_PARAMETERS} fields"
        raise InvalidSearch([FieldError("", reason)]) from None


def _check_format(req: Request, params: list[tuple[str, str]] | None = None) -> None:
    """Raise HTTPNotAcceptable if the client accepts no JSON."""
    form = dict(_query(req) if params is None else params).get("_format")
    is_json = preferred(req, _MEDIA_TYPES) is not None if form is None else form.split(";")[0].strip() in _FORMATS
    if not is_json:
        raise falcon.HTTPNotAcceptable(description=f"the only format is JSON: send Accept: {FHIR} or _format=json")


def _slice(found: list[bytes], start: int, limit: int) -> Page:
    """Return a page of found people."""
    page = first_page(found[start:], limit)
    end = start + len(page)
    return Page(page, str(end).encode() if end < len(found) else None)
