"""Responses with personal data: a person, a page of people, caching by clients, and the status of the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Self

from peopleinfo.http import etags
from peopleinfo.people import strict_json
from peopleinfo.people.field_access import redact
from peopleinfo.people.store import CacheStatus

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.people.person import StoredPerson


class CountedPage(NamedTuple):
    """The people of a page as JSON, and the JSON of the whole response with the number of all matches that were found."""

    people: list[bytes]
    body: bytes

    @classmethod
    def of(cls, people: list[bytes], cursor: str | None, count: int, *, more_exist: bool) -> Self:
        """Return the page of some people. With `more_exist`, the search stopped before it found all matches."""
        return cls(
            people,
            b'{"people":[%b],"next_cursor":%b,"count":%d,"more_exist":%b}'
            % (b",".join(people), strict_json.encode(cursor), count, strict_json.encode(more_exist)),
        )


def set_person(resp: Response, record: StoredPerson, hidden: frozenset[str] = frozenset()) -> None:
    """Respond with a person and its entity tag."""
    resp.data = redact(record.body, hidden) if hidden else record.body
    resp.set_header("ETag", etags.etag(record.version, hidden))
    set_private(resp)


def set_private(resp: Response) -> None:
    """Forbid shared caches to store a response with personal data; browsers must revalidate it."""
    resp.set_header("Cache-Control", "private, no-cache")


def set_cache_status(req: Request, resp: Response, status: CacheStatus) -> None:
    """Set the header Cache-Status (RFC 9211), and the cache status in the access log.

    The size of a record affects whether the cache holds it. Principals with hidden fields therefore get no header.
    """
    req.context.source = status
    if not req.context.principal.hidden_fields:
        resp.set_header("Cache-Status", _CACHE_STATUS[status])


_CACHE_STATUS: Final = {
    CacheStatus.LOCAL: "peopleinfo; hit; detail=local",
    CacheStatus.SHARED: "peopleinfo; hit; detail=shared",
    CacheStatus.MISS: "peopleinfo; fwd=miss",
    CacheStatus.BYPASS: "peopleinfo; fwd=bypass",
    CacheStatus.REQUEST: "peopleinfo; fwd=request",
}
