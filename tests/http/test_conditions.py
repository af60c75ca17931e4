"""If-Match and If-None-Match to the letter of RFC 9110, section 13.1."""

from __future__ import annotations

import falcon
import falcon.asgi
import pytest
from falcon import testing

from peopleinfo.http import conditions


def request(**headers: str) -> falcon.asgi.Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return testing.create_asgi_req(headers=named)


def versions(if_match: str) -> set[int]:
    named = conditions.versions(request(If_Match=if_match), required=True)
    assert named is not None
    return set(named)


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ('"3"', {3}),
        ('"3","4"', {3, 4}),
        ('"3" ,\t"4"', {3, 4}),
        ('  "3"  ', {3}),
        ('"3", "3"', {3}),
        ('W/"3"', set()),
        ('W/"3", "4"', {4}),
        ('"4", W/"3"', {4}),
        ('"xW/", "3"', {3}),
        ('"W/","3"', {3}),
        ('"a,b", "3"', {3}),
        ('",", "3"', {3}),
        ('"3,4"', set()),
        ('"03"', set()),
        ('"0"', set()),
        ('"-3"', set()),
        ('"+3"', set()),
        ('" 3"', set()),
        ('"3.0"', set()),
        ('""', set()),
        ('"x3"', set()),
        ('"' + "9" * 18 + '"', {10**18 - 1}),
        ('"' + "9" * 19 + '"', set()),
        ('"' + "9" * 5000 + '"', set()),
        # RFC 9110, section 5.6.1.2: a recipient has to ignore empty elements of a list
        (',"3"', {3}),
        ('"3",', {3}),
        ('"3",, ,"4"', {3, 4}),
    ],
)
def test_if_match_names_the_versions_whose_strong_tags_it_lists(header: str, named: set[int]) -> None:
    assert versions(header) == named


@pytest.mark.parametrize("header", ["*", " * ", "\t*"])
def test_a_star_means_any_version(header: str) -> None:
    assert conditions.versions(request(If_Match=header), required=True) is None


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "3",
        "'3'",
        '"3',
        '3"',
        '"3" "4"',
        '"3""4"',
        '*, "3"',
        '"3", *',
        "**",
        'w/"3"',
        'W"3"',
        'W/ "3"',
        ",",
        '"3";',
    ],
)
def test_an_if_match_that_is_no_list_of_tags_is_refused(header: str) -> None:
    with pytest.raises(falcon.HTTPBadRequest):
        conditions.versions(request(If_Match=header), required=True)


def test_a_change_without_if_match_is_refused_where_it_is_required() -> None:
    with pytest.raises(falcon.HTTPPreconditionRequired):
        conditions.versions(request(), required=True)


def test_a_change_without_if_match_may_be_of_any_version_where_it_is_not_required() -> None:
    assert conditions.versions(request(), required=False) is None


def test_a_long_list_is_read_in_time() -> None:
    header = ", ".join(f'"{number}"' for number in range(1, 5_000)) + " " * 30_000
    assert versions(header) == set(range(1, 5_000))


def test_a_long_list_that_is_broken_at_its_end_is_refused_in_time() -> None:
    header = '"1" ,  ' * 5_000 + " " * 30_000 + "x"
    with pytest.raises(falcon.HTTPBadRequest):
        conditions.versions(request(If_Match=header), required=True)


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
        ("3", False),
        ("", False),
        ('"3', False),
        ('x"3"', False),
        ('"a"3"b"', False),
        ('"03"', False),
    ],
)
def test_if_none_match_is_compared_weakly_with_each_tag(header: str, *, known: bool) -> None:
    assert conditions.is_current(request(If_None_Match=header), 3) is known


def test_nothing_is_known_without_if_none_match() -> None:
    assert not conditions.is_current(request(), 3)


def test_the_tag_of_a_version_is_strong_and_reads_back() -> None:
    assert versions(conditions.etag(7)) == {7}
