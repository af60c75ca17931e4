"""Conditional requests of RFC 9110, section 13: parsing and evaluation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import falcon
import falcon.asgi
import pytest
from falcon import testing

from peopleinfo.errors import VersionConflict
from peopleinfo.http import etags
from peopleinfo.http.etags import Conditions, Representation, etag
from peopleinfo.people.person import PersonData, StoredPerson, encode_person

if TYPE_CHECKING:
    from collections.abc import Callable

MODIFIED = "2026-03-01T12:00:00.500Z"
BEFORE, WITHIN, AFTER = (f"Sun, 01 Mar 2026 {time} GMT" for time in ("11:59:59", "12:00:00", "12:00:01"))


def request(**headers: str) -> falcon.asgi.Request:
    scope = testing.create_scope()
    scope["headers"] = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    return falcon.asgi.Request(scope, receive_disconnect)


async def receive_disconnect() -> dict[str, str]:
    """Receive the only event of a request without a body."""
    return {"type": "http.disconnect"}


def read(**headers: str) -> Conditions:
    return etags.read(request(**headers))


def record(version: int = 3) -> StoredPerson:
    return encode_person("a" * 32, version, PersonData(person_name="A"), created_at=MODIFIED, updated_at=MODIFIED)


def current(version: int = 3) -> Representation:
    return Representation(etag(version), record(version))


def passes(require: Callable[[], None]) -> bool:
    try:
        require()
    except (VersionConflict, falcon.HTTPPreconditionFailed):
        return False
    return True


@pytest.mark.parametrize(
    ("header", "matched"),
    [
        ("*", True),
        (" * ", True),
        ("\t*", True),
        ('"3"', True),
        ('"3","4"', True),
        ('"4" ,\t"3"', True),
        ('  "3"  ', True),
        ('"3", "3"', True),
        ('W/"3"', False),
        ('W/"4", "3"', True),
        ('"4", W/"3"', False),
        ('"xW/", "3"', True),
        ('"W/","3"', True),
        ('"a,b", "3"', True),
        ('",", "3"', True),
        ('"3,4"', False),
        ('"03"', False),
        ('"33"', False),
        ('" 3"', False),
        ('"3.0"', False),
        ('""', False),
        ('"x3"', False),
        ('"' + "9" * 4000 + '"', False),
        # RFC 9110, section 5.6.1.2: a recipient has to ignore empty elements of a list
        (',"3"', True),
        ('"3",', True),
        ('"4",, ,"3"', True),
    ],
)
def test_if_match_compares_strongly_with_each_tag(header: str, *, matched: bool) -> None:
    assert passes(lambda: read(If_Match=header).require(current())) is matched
    assert passes(lambda: read(If_Match=header).require_match(current())) is matched


@pytest.mark.parametrize(
    ("header", "known"),
    [
        ('"3"', True),
        ('W/"3"', True),
        ("*", True),
        (" * ", True),
        ('"2", "3"', True),
        ('"2",W/"3","4"', True),
        ('"33"', False),
        ('"3x"', False),
        ('"x3"', False),
        ('"03"', False),
    ],
)
def test_if_none_match_compares_weakly_with_each_tag(header: str, *, known: bool) -> None:
    assert read(If_None_Match=header).is_unchanged(current()) is known
    assert passes(lambda: read(If_None_Match=header).require(current())) is not known


@pytest.mark.parametrize("name", ["If_Match", "If_None_Match"])
@pytest.mark.parametrize(
    "header",
    [
        "", " ", "3", "'3'", '"3', '3"', '"3" "4"', '"3""4"', '*, "3"', '"3", *', "**", 'w/"3"', 'W"3"', 'W/ "3"', ",", '"3";',
        'x"3"', '"a"3"b"',
    ],
)  # fmt: skip
def test_invalid_list_of_tags_is_rejected(name: str, header: str) -> None:
    with pytest.raises(falcon.HTTPBadRequest):
        read(**{name: header})


@pytest.mark.parametrize("name", ["If_Modified_Since", "If_Unmodified_Since"])
@pytest.mark.parametrize(
    "header", ["", "yesterday", "0", "2026-03-01T12:00:00Z", "Sun, 01 Mar 2026 12:00:00", f"{BEFORE}, {BEFORE}", f"{BEFORE}x",
               "Sun, 01 Mar 2026 12:00:00 CET", "Sun, 31 Feb 2026 12:00:00 GMT", '"3"'],
)  # fmt: skip
def test_invalid_date_is_rejected(name: str, header: str) -> None:
    with pytest.raises(falcon.HTTPBadRequest):
        read(**{name: header})


@pytest.mark.parametrize(
    "header", [WITHIN, f" {WITHIN} ", "Sunday, 01-Mar-26 12:00:00 GMT", "Sun Mar  1 12:00:00 2026"]
)
def test_all_three_date_formats_are_accepted(header: str) -> None:
    assert read(If_Unmodified_Since=header).unmodified_since == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("since", "passed"), [(BEFORE, False), (WITHIN, False), (AFTER, True)])
def test_if_unmodified_since_is_true_when_the_last_change_is_not_later(since: str, *, passed: bool) -> None:
    assert passes(lambda: read(If_Unmodified_Since=since).require(current())) is passed
    assert passes(lambda: read(If_Unmodified_Since=since).require_match(current())) is passed


@pytest.mark.parametrize(("since", "modified"), [(BEFORE, True), (WITHIN, True), (AFTER, False)])
def test_if_modified_since_is_true_when_the_last_change_is_later(since: str, *, modified: bool) -> None:
    assert read(If_Modified_Since=since).is_unchanged(current()) is not modified
    assert passes(lambda: read(If_Modified_Since=since).require(current())) is modified


def test_tags_take_precedence_over_dates() -> None:
    assert passes(lambda: read(If_Match='"3"', If_Unmodified_Since=BEFORE).require(current()))
    assert not passes(lambda: read(If_Match='"4"', If_Unmodified_Since=AFTER).require(current()))
    assert passes(lambda: read(If_None_Match='"4"', If_Modified_Since=AFTER).require(current()))
    assert not passes(lambda: read(If_None_Match='"3"', If_Modified_Since=BEFORE).require(current()))


def test_both_kinds_of_conditions_are_evaluated() -> None:
    assert not passes(lambda: read(If_Match="*", If_None_Match="*").require(current()))
    assert not passes(lambda: read(If_Match='"4"', If_None_Match='"4"').require(current()))
    assert passes(lambda: read(If_Match='"3"', If_None_Match='"4"').require(current()))
    assert not passes(lambda: read(If_Unmodified_Since=AFTER, If_None_Match='"3"').require(current()))


@pytest.mark.parametrize("header", ['W/"3"', 'W/"4"', '"4", W/"3"'])
def test_error_explains_a_weak_tag(header: str) -> None:
    with pytest.raises(falcon.HTTPPreconditionFailed) as failed:
        read(If_Match=header).require(current())
    assert failed.value.description is not None
    for part in ("weak tag", "never matches", "proxy that compresses", 'tag is "3"'):
        assert part in failed.value.description


def test_change_without_a_required_if_match_is_rejected() -> None:
    for headers in ({}, {"If_None_Match": '"1"'}, {"If_Unmodified_Since": AFTER}):
        with pytest.raises(falcon.HTTPPreconditionRequired):
            etags.read_of_change(request(**headers))


def test_request_without_conditions_passes() -> None:
    assert passes(lambda: read().require(current()))
    assert not read().is_unchanged(current())


def test_long_list_is_parsed() -> None:
    header = ", ".join(f'"{number}"' for number in range(1, 600))
    match = read(If_Match=header).match
    assert match is not None
    assert len(match.strong) == 599


def test_long_list_with_an_invalid_end_is_rejected() -> None:
    header = '"1" ,  ' * 5_000 + " " * 30_000 + "x"
    with pytest.raises(falcon.HTTPBadRequest):
        read(If_Match=header)
