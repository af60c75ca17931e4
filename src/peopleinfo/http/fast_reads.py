"""The hot path: reads by id and by surname that need no waiting, answered before the framework (docs/adr/0022).

Clients send the same header lines with every request. A request whose header lines the server has parsed before needs no parser, no
scope, no task and no middleware: the header lines name the credential, the request line names the read. Everything else, and every
exception from the usual case, is the work of the framework: this module then returns None and has changed nothing.

The rules of the middleware are applied in the same order: shutdown, authentication, scope, hidden fields, rate limit, memory.
"""

from __future__ import annotations

from functools import lru_cache, partial
from time import perf_counter, time
from typing import TYPE_CHECKING, Final

from falcon.uri import parse_query_string

from peopleinfo.auth.principal import Scope
from peopleinfo.errors import InvalidSearch
from peopleinfo.http.bodies import target_error
from peopleinfo.http.memory_budget import RESPONSES
from peopleinfo.http.middleware.auth import bearer
from peopleinfo.http.search_params import parse_query
from peopleinfo.people.store import CacheStatus
from peopleinfo.telemetry import tracing
from peopleinfo.telemetry.access_log import AccessRecord
from peopleinfo.telemetry.metrics import STORE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from peopleinfo.auth.principal import Principal
    from peopleinfo.http.cursors import Cursors
    from peopleinfo.http.search_params import SearchRequest
    from peopleinfo.http.services import Services
    from peopleinfo.people.store import ImmediateReader

    Headers = list[tuple[bytes, bytes]]

_MAX_HEADS: Final = 1_000  # different header lines; then the oldest ones are forgotten
_MAX_HEAD_SIZE: Final = 2_048  # bytes
_END: Final = b" HTTP/1.1"
_PERSON: Final = b"GET /v1/people/"
_PERSON_LINE: Final = len(_PERSON) + 32 + len(_END)
_SEARCH: Final = b"GET /v1/people?"
# Header lines that do not change the response to a read, except the credential.
_NEUTRAL: Final = frozenset(
    (b"host", b"authorization", b"user-agent", b"accept", b"accept-encoding", b"accept-language", b"connection")
)
_SOURCES: Final = {None: b"", CacheStatus.LOCAL: b"cache-status: peopleinfo; hit; detail=local\r\n"}
_READERS: Final = frozenset((Scope.READ, Scope.ADMIN))
_UNITS_OF_READ: Final = 1
_UNITS_OF_SEARCH: Final = 5
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
    ) -> None:
        """`varies`: responses depend on the header Origin, which no request that is answered here has."""
        self._authenticator = services.authenticator
        self._limiter = services.rate_limiter
        self._log = services.access_log
        self._shutdown = services.shutdown
        self._get = reader.get_now
        self._find = reader.find_now
        self._source = reader.source
        self._cursors = cursors
        self._new_request_id = new_request_id
        self._credentials: dict[bytes, str] = {}  # header lines → credential
        self._fixed = _SOURCES[reader.source]
        self._vary = b"vary: Origin\r\n" if varies else b""
        self._default_headers: Headers = []
        self._start = b""  # the status line and the headers that all responses of a second have
        self._seconds: dict[str, list[float]] = {"get": [], "find": []}  # durations of reads of the store
        services.access_log.before_flush = self._count

    def learn(self, request: bytes, headers: Headers) -> None:
        """Remember the header lines of a request that the server has parsed, if only the credential matters."""
        by_name = dict(headers)
        if len(by_name) < len(headers) or not by_name.keys() <= _NEUTRAL or len(request) > _MAX_HEAD_SIZE:
            return
        credential = bearer(by_name.get(b"authorization", b"").decode("latin-1"))
        if credential and by_name.get(b"connection", b"keep-alive").lower() == b"keep-alive":
            if len(self._credentials) >= _MAX_HEADS:
                del self._credentials[next(iter(self._credentials))]
            self._credentials[request.partition(b"\r\n")[2]] = credential

    def respond(self, request: bytes, default_headers: Headers) -> bytes | None:
        """Return the response to the bytes of a request, None if the framework must handle it."""
        line, _, head = request.partition(b"\r\n")
        credential = self._credentials.get(head)
        if credential is None or not line.endswith(_END):
            return None
        if default_headers is not self._default_headers:
            self._use(default_headers)
        started = perf_counter()
        if len(line) == _PERSON_LINE and line.startswith(_PERSON):
            return self._person(line[len(_PERSON) : -len(_END)].decode("latin-1"), credential, started)
        if line.startswith(_SEARCH):
            return self._page(line[len(_SEARCH) : -len(_END)], credential, started)
        return None

    def _person(self, person_id: str, credential: str, started: float) -> bytes | None:
        principal = self._reader(credential)
        if principal is None or (record := self._get(person_id)) is None:
            return None
        self._record("get", started)
        tag = b'etag: "%d"\r\n' % record.version
        return self._respond("/v1/people/{person_id}", tag, record.body, principal, _UNITS_OF_READ, started)

    def _page(self, query: bytes, credential: str, started: float) -> bytes | None:
        search = _search_of(query)
        principal = self._reader(credential)
        if search is None or principal is None or RESPONSES.used >= RESPONSES.size:
            return None
        page = self._find(search.where, search.limit)
        if page is None:
            return None
        self._record("find", started)
        people, position = page
        cursor = b"null"
        if position is not None:
            cursor = b'"%b"' % self._cursors.encode(position, search.where.fingerprint, principal.name).encode()
        body = b'{"people":[%b],"next_cursor":%b}' % (people, cursor)
        return self._respond("/v1/people", b"", body, principal, _UNITS_OF_SEARCH, started)

    def _reader(self, credential: str) -> Principal | None:
        """Return the principal of a credential if it may read all fields and needs no further check."""
        if self._shutdown.is_on or self._authenticator.allows_anonymous or tracing.enabled():
            return None
        principal = self._authenticator.cached_principal(credential)
        if principal is None or principal.hidden_fields or principal.scopes.isdisjoint(_READERS):
            return None
        return principal

    def _respond(
        self, route: str, tag: bytes, body: bytes, principal: Principal, units: int, started: float
    ) -> bytes | None:
        """Charge the principal, log the request and return the response."""
        size = len(body)
        if self._limiter is not None and not self._limiter.spend(principal, units):
            return None
        request_id = self._new_request_id()
        seconds = perf_counter() - started
        record = (route, "GET", 200, seconds, request_id, time(), size, principal.name, self._source, "")
        self._log.append(_new_record(record))
        return (
            b"%b%bcache-control: private, no-cache\r\nx-request-id: %b\r\ncontent-length: %d\r\n"
            b"content-type: application/json\r\n\r\n%b" % (self._start, tag, request_id.encode(), size, body)
        )

    def _use(self, default_headers: Headers) -> None:
        """Prepare the start of all responses with these headers, which the server replaces every second."""
        lines = b"".join(b"%b: %b\r\n" % header for header in default_headers)
        self._start = b"HTTP/1.1 200 OK\r\n%b%b%b" % (lines, self._vary, self._fixed)
        self._default_headers = default_headers

    def _record(self, operation: str, started: float) -> None:
        if self._source is None:
            self._seconds[operation].append(perf_counter() - started)

    def _count(self) -> None:
        """Count the reads of the store since the last batch."""
        for operation, seconds in self._seconds.items():
            if seconds:
                STORE_SECONDS.observe_all(seconds, operation)
                seconds.clear()


@lru_cache(maxsize=2_000)
def _search_of(query: bytes) -> SearchRequest | None:
    """Return the search of a query, None if it is invalid or no first page of a search by surname."""
    if b"%" in query and target_error({"query_string": query, "raw_path": b""}):
        return None
    text = query.decode("latin-1")
    params = parse_query_string(text, keep_blank=True)
    if not text.isascii() or not params.keys() <= {"surname", "limit"} or len(params) <= text.count("&"):
        return None
    try:
        search = parse_query(text, params)
    except InvalidSearch:
        return None
    return search if search.where.surname_key is not None else None
