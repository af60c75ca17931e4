"""Conditional requests (RFC 9110, section 13): entity tags, the conditions of a request, and their evaluation in the order of section 13.2.2."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

import falcon
import msgspec

from peopleinfo.errors import VersionConflict
from peopleinfo.people.field_access import hidden_fields_hash
from peopleinfo.people.person import decode_stored

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.matching.duplicate_links import Link
    from peopleinfo.people.person import StoredPerson

_TAG: Final = r'(?:W/)?"[^"]*"'
_SPACED: Final = rf"{_TAG}[ \t]*"
# A list may have empty elements (RFC 9110, section 5.6.1.2).
_TAGS: Final = re.compile(rf"(?:[ \t]*,)*[ \t]*{_SPACED}(?:,[ \t]*(?:{_SPACED})?)*")
_EACH_TAG: Final = re.compile(_TAG)
_LIST_LENGTH: Final = 4 * 1024  # characters of a list of tags
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

    A representation without its `hidden` fields has a different tag, for example `"3-1f0a9c2e"`, so that no cache confuses the two.
    """
    return f'"{version}-{hidden_fields_hash(hidden)}"' if hidden else f'"{version}"'


class Tags(NamedTuple):
    """The value of If-Match or If-None-Match: `*` (any), or entity tags with their quotes, without W/."""

    any: bool = False
    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()


class Representation(NamedTuple):
    """The strong entity tag that conditions are compared with, and the record or the pair of duplicates, where they exist."""

    tag: str | None = None
    record: StoredPerson | None = None
    pair: Link | None = None

    @property
    def named(self) -> frozenset[str | None]:
        """The tags that a change may send: the representation's own, and the tag of the complete record."""
        return frozenset((self.tag, etag(self.record.version) if self.record else self.tag))

    @property
    def modified(self) -> datetime | None:
        """The time of the last change, to the millisecond; None if it is unknown."""
        return decode_stored(_decode, self.record.body).updated_at if self.record else None


class Conditions(NamedTuple):
    """The conditions of one request; None where a header is missing."""

    match: Tags | None = None
    none_match: Tags | None = None
    unmodified_since: datetime | None = None
    modified_since: datetime | None = None

    def require_match(self, current: Representation) -> None:
        """Evaluate If-Match or, without it, If-Unmodified-Since. Raises VersionConflict and HTTPPreconditionFailed."""
        if self.match is not None:
            if not self.match.any and current.named.isdisjoint(self.match.strong):
                raise _mismatch(self.match, current)
        elif self.unmodified_since is not None:
            if current.modified is None or current.record is None:
                raise _failed("this resource has no modification date, so If-Unmodified-Since fails; omit the header")
            if current.modified > self.unmodified_since:
                raise VersionConflict(current.record.person_id, actual=current.record.version)

    def is_unchanged(self, current: Representation, tags: frozenset[str | None] = frozenset()) -> bool:
        """Evaluate If-None-Match or, without it, If-Modified-Since; return whether they exclude the current representation.

        `tags` replace the representation's own tag unless they are empty.
        """
        if self.none_match is not None:
            return self.none_match.any or not (tags or {current.tag}).isdisjoint(
                self.none_match.strong | self.none_match.weak
            )
        if self.modified_since is not None and current.modified is not None:
            return current.modified <= self.modified_since
        return False

    def require(self, current: Representation) -> None:
        """Evaluate all conditions of a change. Raises VersionConflict and HTTPPreconditionFailed."""
        self.require_match(current)
        if self.is_unchanged(current, current.named):
            name = "If-None-Match" if self.none_match is not None else "If-Modified-Since"
            raise _failed(f"{name} excludes the current representation; omit the header to change it")
        if self.none_match is None and self.modified_since is not None and current.modified is None:
            raise _failed(
                "this resource has no modification date, so If-Modified-Since cannot be evaluated; omit the header"
            )

    def require_record(self, record: StoredPerson, *, hidden: frozenset[str] = frozenset()) -> None:
        """Evaluate all conditions of a change to a record. Raises VersionConflict and HTTPPreconditionFailed."""
        self.require(of_record(record, hidden))


def of_record(record: StoredPerson, hidden: frozenset[str]) -> Representation:
    """Return the representation of a record without its `hidden` fields."""
    return Representation(etag(record.version, hidden), record)


def of_pair(link: Link) -> Representation:
    """Return the representation of a pair of duplicates."""
    return Representation(etag(link.version), pair=link)


def are_given(req: Request) -> bool:
    """Return whether a request has a condition."""
    return not _HEADERS.isdisjoint(map(_name, req.scope["headers"]))


def read(req: Request) -> Conditions:
    """Return the conditions of a request. Raises HTTPBadRequest if one is malformed."""
    if not are_given(req):
        return _NO_CONDITIONS
    return Conditions(
        _tags(req, "If-Match"),
        _tags(req, "If-None-Match"),
        _date(req, "If-Unmodified-Since"),
        _date(req, "If-Modified-Since"),
    )


def read_of_change(req: Request) -> Conditions:
    """Return the conditions of a change, which must include If-Match. Raises HTTPPreconditionRequired and HTTPBadRequest."""
    conditions = read(req)
    if conditions.match is None:
        raise falcon.HTTPPreconditionRequired(
            description='the header If-Match is missing: send the ETag of the version to change, or "If-Match: *" for any version'
        )
    return conditions


def answer_read(req: Request, resp: Response, current: Representation) -> None:
    """Evaluate the conditions of a GET or HEAD and set the status 304 if the client has the current version.

    A 304 has the headers of the 200; Falcon omits the body. Raises VersionConflict, HTTPPreconditionFailed and HTTPBadRequest.
    """
    conditions = read(req)
    conditions.require_match(current)
    if conditions.is_unchanged(current):
        resp.status = 304


class EvaluatesConditions:
    """Base of resources with entity tags or dates, which evaluate the conditions of their requests themselves."""


def evaluate_untagged(req: Request, resp: Response) -> None:
    """Evaluate the conditions of a request for a resource without entity tags and dates.

    Completes a read with 304, or raises HTTPPreconditionFailed or HTTPBadRequest.
    """
    if not are_given(req) or req.method == _WITHOUT_CONDITIONS:
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


def _mismatch(tags: Tags, current: Representation) -> Exception:
    if current.tag is None:
        return _failed("this resource has no entity tag, so no tag in If-Match matches; omit the header or send *")
    if tags.weak:
        return _failed(f"{_WEAK_TAG}The current tag is {current.tag}.")
    if current.record is not None:
        return VersionConflict(current.record.person_id, actual=current.record.version)
    if current.pair is not None:
        return VersionConflict(current.pair.pair, actual=current.pair.version)
    return _failed(f"the resource has changed, and its tag is now {current.tag}: read it again and repeat the change")


def _failed(detail: str) -> falcon.HTTPPreconditionFailed:
    return falcon.HTTPPreconditionFailed(description=detail)


def _tags(req: Request, name: str) -> Tags | None:
    header = req.get_header(name)
    if header is None:
        return None
    if header.strip(" \t") == "*":
        return Tags(any=True)
    if len(header) > _LIST_LENGTH:
        raise falcon.HTTPBadRequest(description=f"{name} must have at most {_LIST_LENGTH} characters")
    if not _TAGS.fullmatch(header):
        raise falcon.HTTPBadRequest(description=f'{name} must be * or a list of quoted entity tags, for example "3"')
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
    raise falcon.HTTPBadRequest(description=f"{name} must be an HTTP date, for example Sun, 06 Nov 1994 08:49:37 GMT")
