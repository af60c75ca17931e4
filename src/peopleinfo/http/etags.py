"""Conditional requests (RFC 9110, section 13): entity tags, the conditions of a request, and their evaluation in the order of 13.2.2."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import falcon
import msgspec

from peopleinfo.errors import VersionConflict
from peopleinfo.people.field_access import hidden_fields_hash
from peopleinfo.people.person import decode_stored

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.people.person import StoredPerson

_TAG: Final = r'(?:W/)?"[^"]*"'
_SPACED: Final = rf"{_TAG}[ \t]*"
# A list may have empty elements (RFC 9110, section 5.6.1.2).
_TAGS: Final = re.compile(rf"(?:[ \t]*,)*[ \t]*{_SPACED}(?:,[ \t]*(?:{_SPACED})?)*")
_EACH_TAG: Final = re.compile(_TAG)
_WEAK: Final = "W/"
# RFC 9110, section 5.6.7: the format in use, and the two obsolete ones.
_DATES: Final = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
_READS: Final = ("GET", "HEAD")
_WITHOUT_CONDITIONS: Final = "OPTIONS"  # neither selects nor changes a representation (RFC 9110, section 13.2.1)
_HEADERS: Final = frozenset((b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"))
_name: Final = itemgetter(0)

_WEAK_TAG: Final = (
    "If-Match compares strongly, so a weak tag (W/…) never matches. A proxy that compresses responses probably made the "
    "tag weak: send the tag without W/, or turn off compression of tagged responses in the proxy. "
)


def etag(version: int, hidden: frozenset[str] = frozenset()) -> str:
    """Return the strong entity tag of a version with its quotes, for example `"3"`.

    Representations without `hidden` members have other tags, for example `"3-1f0a9c2e"`: nobody's cache takes one for the other.
    """
    return f'"{version}-{hidden_fields_hash(hidden)}"' if hidden else f'"{version}"'


class Tags(NamedTuple):
    """The value of If-Match or If-None-Match: `*` (any), or entity tags with their quotes, without W/."""

    any: bool = False
    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()


class Representation(NamedTuple):
    """What conditions are compared with: the strong entity tag and the record with the time of its last change, where they exist."""

    tag: str | None = None
    record: StoredPerson | None = None

    @property
    def named(self) -> frozenset[str | None]:
        """The tags by which a change may name it: its own, and the version alone."""
        return frozenset((self.tag, etag(self.record.version) if self.record else self.tag))

    @property
    def modified(self) -> datetime | None:
        """When it was last changed, to the millisecond; None when that is unknown."""
        return decode_stored(_decode, self.record.body).updated_at if self.record else None


class Conditions(NamedTuple):
    """The conditions of one request; None where a header is missing."""

    match: Tags | None = None
    none_match: Tags | None = None
    unmodified_since: datetime | None = None
    modified_since: datetime | None = None

    def require_match(self, current: Representation) -> None:
        """Evaluate If-Match, or If-Unmodified-Since without it. Raises VersionConflict and falcon's error for 412."""
        if self.match is not None:
            if not self.match.any and current.named.isdisjoint(self.match.strong):
                raise _mismatch(self.match, current.record)
        elif self.unmodified_since is not None:
            if current.modified is None or current.record is None:
                raise _failed(
                    "this resource has no modification date, so If-Unmodified-Since is not true: leave it out"
                )
            if current.modified > self.unmodified_since:
                raise VersionConflict(current.record.person_id, actual=current.record.version)

    def is_unchanged(self, current: Representation, tags: frozenset[str | None] = frozenset()) -> bool:
        """Evaluate If-None-Match, or If-Modified-Since without it; return whether the client excludes the current representation.

        It is compared with `tags` instead of its own where there are any.
        """
        if self.none_match is not None:
            return self.none_match.any or not (tags or {current.tag}).isdisjoint(
                self.none_match.strong | self.none_match.weak
            )
        if self.modified_since is not None and current.modified is not None:
            return current.modified <= self.modified_since
        return False

    def require(self, current: Representation) -> None:
        """Evaluate all conditions of a change. Raises VersionConflict and falcon's error for 412."""
        self.require_match(current)
        if self.is_unchanged(current, current.named):
            name = "If-None-Match" if self.none_match is not None else "If-Modified-Since"
            raise _failed(f"{name} excludes the current representation: leave it out to change that one")
        if self.none_match is None and self.modified_since is not None and current.modified is None:
            raise _failed(
                "this resource has no modification date, so If-Modified-Since cannot be evaluated: leave it out"
            )

    def require_record(self, record: StoredPerson, *, hidden: frozenset[str] = frozenset()) -> None:
        """Evaluate all conditions of a change of this record. Raises VersionConflict and falcon's error for 412."""
        self.require(of_record(record, hidden))


def of_record(record: StoredPerson, hidden: frozenset[str]) -> Representation:
    """Return the representation of a record without `hidden` members."""
    return Representation(etag(record.version, hidden), record)


def are_given(req: Request) -> bool:
    """Return whether a request has a condition."""
    return not _HEADERS.isdisjoint(map(_name, req.scope["headers"]))


def read(req: Request) -> Conditions:
    """Return the conditions of a request. Raises falcon's error for 400 when one cannot be read."""
    if not are_given(req):
        return _NO_CONDITIONS
    return Conditions(
        _tags(req, "If-Match"),
        _tags(req, "If-None-Match"),
        _date(req, "If-Unmodified-Since"),
        _date(req, "If-Modified-Since"),
    )


def read_of_change(req: Request) -> Conditions:
    """Return the conditions of a change that has to name the version it starts from. Raises falcon's errors for 428 and 400."""
    conditions = read(req)
    if conditions.match is None:
        raise falcon.HTTPPreconditionRequired(
            description='say which version you change: send its ETag as If-Match, or "If-Match: *" for whichever is there'
        )
    return conditions


def answer_read(req: Request, resp: Response, current: Representation) -> None:
    """Evaluate the conditions of a GET or HEAD: the status becomes 304, or falcon's error for 412 or 400 is raised.

    A 304 has the headers of the 200, for which Falcon leaves out the body. Raises VersionConflict, too.
    """
    conditions = read(req)
    conditions.require_match(current)
    if conditions.is_unchanged(current):
        resp.status = 304


class EvaluatesConditions:
    """Base of resources that have entity tags or dates, and evaluate the conditions of their requests themselves."""


class UntaggedConditions:
    """Middleware: evaluates conditions for all resources without an entity tag and a date, so that none is ignored."""

    async def process_resource(self, req: Request, resp: Response, resource: object, _: dict[str, Any]) -> None:
        """End a read with 304; raise falcon's error for 412 or 400."""
        if not are_given(req) or isinstance(resource, EvaluatesConditions) or req.method == _WITHOUT_CONDITIONS:
            return
        if req.method not in _READS:
            read(req).require(_UNTAGGED)
            return
        answer_read(req, resp, _UNTAGGED)
        resp.complete = resp.status_code == falcon.http_status_to_code(304)


_NO_CONDITIONS: Final = Conditions()
_UNTAGGED: Final = Representation()


class _Dated(msgspec.Struct):
    updated_at: datetime


_decode: Final = msgspec.json.Decoder(_Dated).decode


def _mismatch(tags: Tags, record: StoredPerson | None) -> Exception:
    if record is None:
        return _failed("this resource has no entity tag, so no tag in If-Match matches: leave it out, or send *")
    if tags.weak:
        return _failed(f"{_WEAK_TAG}The record is at version {record.version} now.")
    return VersionConflict(record.person_id, actual=record.version)


def _failed(detail: str) -> falcon.HTTPPreconditionFailed:
    return falcon.HTTPPreconditionFailed(description=detail)


def _tags(req: Request, name: str) -> Tags | None:
    header = req.get_header(name)
    if header is None:
        return None
    if header.strip(" \t") == "*":
        return Tags(any=True)
    if not _TAGS.fullmatch(header):
        raise falcon.HTTPBadRequest(description=f'{name} takes entity tags in quotes, such as "3", or *')
    tags = _EACH_TAG.findall(header)
    weak = frozenset(tag.removeprefix(_WEAK) for tag in tags if tag.startswith(_WEAK))
    return Tags(strong=frozenset(tag for tag in tags if not tag.startswith(_WEAK)), weak=weak)


def _date(req: Request, name: str) -> datetime | None:
    header = req.get_header(name)
    if header is None:
        return None
    for form in _DATES:
        with suppress(ValueError):
            return datetime.strptime(header.strip(" \t"), form).replace(tzinfo=UTC)
    raise falcon.HTTPBadRequest(description=f"{name} takes one date of HTTP, such as Sun, 06 Nov 1994 08:49:37 GMT")
