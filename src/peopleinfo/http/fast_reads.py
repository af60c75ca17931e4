"""The hot path: reads by id and by surname, answered before the framework (docs/adr/0022).

Clients send the same header lines with every request. A request whose header lines the server has parsed before needs no parser, no
scope, no task and no middleware: the header lines name the credential, the request line names the read. Everything else, and every
exception from the usual case, is the work of the framework: this module then returns None and has changed nothing.

The rules of the middleware are applied in the same order: shutdown, authentication, scope, hidden fields, rate limit, memory, audit.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from time import perf_counter, time
from typing import TYPE_CHECKING, Final

from falcon.uri import parse_query_string

from peopleinfo.auth.principal import ANONYMOUS, Scope
from peopleinfo.errors import AuditUnavailable, InvalidSearch, PeopleInfoError
from peopleinfo.http.client_address import address_of
from peopleinfo.http.falcon_app import target_error
from peopleinfo.http.fast_headers import KnownHeaders, forwarded_for
from peopleinfo.http.memory_budget import RESPONSES
from peopleinfo.http.search_params import parse_query
from peopleinfo.people.person import is_id
from peopleinfo.people.store import CacheStatus
from peopleinfo.privacy.audit import AuditEvent, person_ids
from peopleinfo.telemetry import tracing
from peopleinfo.telemetry.access_log import AccessRecord
from peopleinfo.telemetry.metrics import STORE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from peopleinfo.auth.principal import Principal
    from peopleinfo.http.cursors import Cursors
    from peopleinfo.http.middleware.host_check import LocalhostOnly
    from peopleinfo.http.search_params import SearchRequest
    from peopleinfo.http.services import Services
    from peopleinfo.people.store import ImmediateReader

    Headers = list[tuple[bytes, bytes]]
    Response = bytes | None

_END: Final = b" HTTP/1.1"
_PERSON: Final = b"GET /v1/people/"
_SEARCH: Final = b"GET /v1/people?"
_START_SIZE: Final = len(_PERSON)  # of both
_END_SIZE: Final = len(_END)
_PERSON_LINE: Final = _START_SIZE + 32 + _END_SIZE
_PERSON_ROUTE: Final = "/v1/people/{person_id}"
_SEARCH_ROUTE: Final = "/v1/people"
_SOURCES: Final = {
    None: b"",
    CacheStatus.LOCAL: b"cache-status: peopleinfo; hit; detail=local\r\n",
    CacheStatus.SHARED: b"cache-status: peopleinfo; hit; detail=shared\r\n",
    CacheStatus.MISS: b"cache-status: peopleinfo; fwd=miss\r\n",
    CacheStatus.BYPASS: b"cache-status: peopleinfo; fwd=bypass\r\n",
}
_READERS: Final = frozenset((Scope.READ, Scope.ADMIN))
_UNITS_OF_READ: Final = 1
_UNITS_OF_SEARCH: Final = 5
_AUDITED_READ: Final = "getPerson"
_PLAIN_QUERY: Final = re.compile(rb"[!$-~]*")  # without a fragment

_new_record = partial(tuple.__new__, AccessRecord)  # half the instructions of AccessRecord()


class FastReads:
    """Answers known reads. Use it only in the thread of the event loop."""

    def __init__(
        self,
        services: Services,
        reader: ImmediateReader,
        cursors: Cursors,
        new_request_id: Callable[[], str],
        *,
        varies: bool,
        proxies: int = 0,
        hosts: LocalhostOnly | None = None,
    ) -> None:
        """`varies`: responses depend on the header Origin, which no request that is answered here has."""
        self._authenticator = services.authenticator
        self._limiter = services.rate_limiter
        self._audit = services.audit
        self._log = services.access_log
        self._shutdown = services.shutdown
        self._people = services.people
        self._get = reader.get_now
        self._find = reader.find_now
        self._source = reader.source
        self._waits = reader.source is not None
        self._cursors = cursors
        self._new_request_id = new_request_id
        self._proxies = proxies
        self._headers = KnownHeaders(hosts)
        self._credentials = self._headers.credentials
        self._charge: Callable[[Principal, int, str], bool] = self._charge_audited
        if services.audit is None and services.rate_limiter is not None:  # the usual case needs one call less
            self._charge = services.rate_limiter.spend
        self._cache_line = _SOURCES[reader.source]
        self._vary = b"vary: Origin\r\n" if varies else b""
        self._default_headers: Headers = []
        self._start = b""  # the status line and the headers that all responses of a second have
        self._seconds: dict[str, list[float]] = {"get": [], "find": []}  # durations of reads of the store
        services.access_log.before_flush = self._count

    def learn(self, request: bytes, headers: Headers) -> None:
        """Remember the header lines of a request that the server has parsed, if only the credential matters."""
        self._headers.learn(request[request.find(b"\r\n") :], headers)

    def respond(
        self, request: bytes, default_headers: Headers, peer: tuple[str, int] | None = None
    ) -> Response | Coroutine[None, None, Response]:
        """Return the response to the bytes of a request, or a coroutine that waits for the shared cache or the store.

        Without a response, or if the coroutine returns none, the framework must handle the request. `peer` is the address of the connection.
        """
        end = request.find(b"\r\n")
        head = request[end:]
        credential = self._credentials.get(head)
        if credential is None:
            credential = self._headers.varying_credential(head)
        if credential is None or not request.endswith(_END, 0, end):
            return None
        principal = self._reader(credential or None)
        if principal is None:
            return None
        if default_headers is not self._default_headers:
            self._use(default_headers)
        client = ""
        if principal is ANONYMOUS or self._audit is not None:
            client = address_of(forwarded_for(head) if self._proxies else "", peer and peer[0], self._proxies)
        if end == _PERSON_LINE and request.startswith(_PERSON):
            person_id = request[_START_SIZE : end - _END_SIZE].decode("latin-1")
            return self._person(person_id, principal, client, perf_counter())
        if request.startswith(_SEARCH):
            return self._page(request[_START_SIZE : end - _END_SIZE], principal, client, perf_counter())
        return None

    def _reader(self, credential: str | None) -> Principal | None:
        """Return the principal of a credential if it may read all fields and needs no further check."""
        if self._shutdown.is_on or tracing.enabled():
            return None
        principal = self._authenticator.cached_principal(credential)
        if principal is None or principal.hidden_fields or principal.scopes.isdisjoint(_READERS):
            return None
        return principal

    def _person(
        self, person_id: str, principal: Principal, client: str, started: float
    ) -> Response | Coroutine[None, None, Response]:
        record = self._get(person_id)
        if record is None:
            if self._waits and is_id(person_id) and self._charge(principal, _UNITS_OF_READ, client):
                return self._person_later(person_id, principal, client, started)
            return None
        if self._source is None:
            self._seconds["get"].append(perf_counter() - started)
        if not self._charge(principal, _UNITS_OF_READ, client):
            return None
        lines = b'%betag: "%d"\r\n' % (self._cache_line, record.version)
        return self._respond(_PERSON_ROUTE, lines, record.body, principal, client, self._source, started)

    async def _person_later(self, person_id: str, principal: Principal, client: str, started: float) -> Response:
        try:
            record, source = await self._people.get_cached(person_id)
            if record is not None and not self._shutdown.is_on:
                lines = b'%betag: "%d"\r\n' % (_SOURCES[source], record.version)
                return self._respond(_PERSON_ROUTE, lines, record.body, principal, client, source, started)
        except PeopleInfoError:
            pass
        self._refund(principal, _UNITS_OF_READ, client)
        return None

    def _page(
        self, query: bytes, principal: Principal, client: str, started: float
    ) -> Response | Coroutine[None, None, Response]:
        search = _search_of(query)
        if search is None or self._audit is not None or RESPONSES.used >= RESPONSES.size:
            return None
        page = self._find(search.where, search.limit)
        if page is None:
            if self._waits and self._charge(principal, _UNITS_OF_SEARCH, client):
                return self._page_later(search, principal, client, started)
            return None
        if self._source is None:
            self._seconds["find"].append(perf_counter() - started)
        if not self._charge(principal, _UNITS_OF_SEARCH, client):
            return None
        body = self._document(search, page, principal)
        return self._respond(_SEARCH_ROUTE, self._cache_line, body, principal, client, self._source, started)

    async def _page_later(self, search: SearchRequest, principal: Principal, client: str, started: float) -> Response:
        try:
            page, source = await self._people.find_cached(search.where, after=None, limit=search.limit)
            if not self._shutdown.is_on:
                body = self._document(search, (b",".join(page.people), page.next), principal)
                return self._respond(_SEARCH_ROUTE, _SOURCES[source], body, principal, client, source, started)
        except PeopleInfoError:
            pass
        self._refund(principal, _UNITS_OF_SEARCH, client)
        return None

    def _document(self, search: SearchRequest, page: tuple[bytes, bytes | None], principal: Principal) -> bytes:
        """Return the body of the response to a search."""
        people, position = page
        if position is None:
            return b'{"people":[%b],"next_cursor":null}' % people
        cursor = self._cursors.encode(position, search.where.fingerprint, principal.name)
        return b'{"people":[%b],"next_cursor":"%b"}' % (people, cursor.encode())

    def _charge_audited(self, principal: Principal, units: int, client: str) -> bool:
        """Charge a client if the audit log accepts events, return whether."""
        if self._audit is not None:
            try:
                self._audit.check_writable(change=False)
            except AuditUnavailable:
                return False
        return self._limiter is None or self._limiter.spend(principal, units, client)

    def _refund(self, principal: Principal, units: int, client: str) -> None:
        """Return the units of a read that the framework will charge again."""
        if self._limiter is not None:
            self._limiter.refund(principal, units, client)

    def _respond(
        self, route: str, lines: bytes, body: bytes, principal: Principal, client: str, source: CacheStatus | None,
        started: float,
    ) -> bytes:  # fmt: skip
        """Log the request and return the response; `lines` are its own header lines."""
        size = len(body)
        name = principal.name
        request_id = self._new_request_id()
        at = time()
        if self._audit is not None:
            people = person_ids([body])
            self._audit.record(AuditEvent(at, name, _AUDITED_READ, 200, people, (), request_id, client))
        record = (route, "GET", 200, perf_counter() - started, request_id, at, size, name, source, "")
        self._log.append(_new_record(record))
        return (
            b"%b%bcache-control: private, no-cache\r\nx-request-id: %b\r\ncontent-length: %d\r\n"
            b"content-type: application/json\r\n\r\n%b" % (self._start, lines, request_id.encode(), size, body)
        )

    def _use(self, default_headers: Headers) -> None:
        """Prepare the start of all responses with these headers, which the server replaces every second."""
        lines = b"".join(b"%b: %b\r\n" % header for header in default_headers)
        self._start = b"HTTP/1.1 200 OK\r\n%b%b" % (lines, self._vary)
        self._default_headers = default_headers

    def _count(self) -> None:
        """Count the reads of the store since the last batch."""
        for operation, seconds in self._seconds.items():
            if seconds:
                STORE_SECONDS.observe_all(seconds, operation)
                seconds.clear()


@lru_cache(maxsize=2_000)
def _search_of(query: bytes) -> SearchRequest | None:
    """Return the search of a query, None if it is invalid or no first page of a search by surname."""
    if not _PLAIN_QUERY.fullmatch(query) or target_error({"query_string": query, "raw_path": b""}):
        return None
    text = query.decode("latin-1")
    params = parse_query_string(text, keep_blank=True)
    if not params.keys() <= {"surname", "limit"} or len(params) <= text.count("&"):
        return None
    try:
        search = parse_query(text, params)
    except InvalidSearch:
        return None
    return search if search.where.surname_key is not None else None
