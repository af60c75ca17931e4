"""Strict JSON: documents with more than one interpretation are rejected."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.errors import InvalidJson
from peopleinfo.people import strict_json
from peopleinfo.people.strict_json import MAX_DEPTH


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"{}", {}),
        (b" [ ] \r\n\t", []),
        (b'"a"', "a"),
        (b"null", None),
        (b"[true, false]", [True, False]),
        (b'{"a":{"a":{"a":[]}}}', {"a": {"a": {"a": []}}}),
        (b'{"":""}', {"": ""}),
        (b'"\\ud83d\\ude00"', "😀"),
        ('"😀"'.encode(), "😀"),
        (b'"\\u0041\\n\\/\\\\\\""', 'A\n/\\"'),
        (b'"\\u001f\\u007f"', "\x1f\x7f"),
    ],
)
def test_json_is_parsed(text: bytes, value: Any) -> None:
    assert strict_json.parse(text) == value


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"b":2,"a":null}',
        b'[{"a":{"b":[{"c":1,"c":2}]}}]',
        b'{"a":1,"\\u0061":2}',
        '{"é":1,"\\u00e9":2}'.encode(),
        b'{"":1,"":2}',
    ],
)
def test_duplicate_name_is_rejected_at_any_depth(text: bytes) -> None:
    with pytest.raises(InvalidJson, match="an object contains a name twice"):
        strict_json.parse(text)


@pytest.mark.parametrize("text", [b"NaN", b"[Infinity]", b'{"a":-Infinity}'])
def test_invalid_number_is_rejected(text: bytes) -> None:
    with pytest.raises(InvalidJson, match="is not a JSON number"):
        strict_json.parse(text)


@pytest.mark.parametrize("text", [b'"\\u0000"', b'{"\\u0000":1}', b'[["a\\u0000b"]]'])
def test_u_0000_is_rejected(text: bytes) -> None:
    with pytest.raises(InvalidJson, match=r"U\+0000"):
        strict_json.parse(text)


@pytest.mark.parametrize(
    "text", [b'"\\ud800"', b'"\\udc00\\ud800"', b'{"\\udfff":1}', b'["\\ud83d "]', b'"\\uD800\\u0041"']
)
def test_lone_surrogate_is_rejected(text: bytes) -> None:
    with pytest.raises(InvalidJson, match="surrogate"):
        strict_json.parse(text)


@pytest.mark.parametrize(
    ("text", "byte"),
    [(b'"\xff"', 1), (b'"\xc3("', 1), (b'"ab\xed\xa0\x80"', 3), (b'"\xc0\xaf"', 1), ('"é"'.encode("utf-16"), 0)],
)
def test_invalid_utf_8_is_rejected_with_its_position(text: bytes, byte: int) -> None:
    with pytest.raises(InvalidJson, match=f"not UTF-8 at byte {byte}$"):
        strict_json.parse(text)


NOT_JSON = [
    b"", b" ", b"{", b"}", b"[1,]", b'{"a":1,}', b"{'a':1}", b"{a:1}", b'{"a"}', b'{"a":}', b"[1 2]", b"1 2", b"nul",
    b"True", b'"a', b'"\\x41"', b'"\\u12"', b'"\t"', b'"\n"', b'"\x00"', b"\xef\xbb\xbf{}", b"// no\n1", b"/* no */ 1",
    b"01", b"-", b"+1", b".5", b"1.", b"1e", b"0x10", b"1_000", b"--1", b"\xc2\xa01", b"\x0c1", b"{}{}", b'{"a":1}}',
    "１".encode(), "-١".encode(), b"1e5.5", b"infinity", b"nan",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_JSON)
def test_invalid_json_is_rejected_with_its_position(text: bytes) -> None:
    with pytest.raises(InvalidJson, match=r"^not JSON: .* at character \d+$"):
        strict_json.parse(text)


def nested(levels: int, opening: bytes = b"[", inner: bytes = b"", closing: bytes = b"]") -> bytes:
    return opening * levels + inner + closing * levels


KINDS = [
    (b"[", b"", b"]", 1),
    (b'{"a":', b"1", b"}", 1),
    (b'[{"a":', b"{}", b"}]", 2),
]  # and the number of levels of each


@pytest.mark.parametrize(("opening", "inner", "closing", "levels"), KINDS)
def test_sixteen_levels_are_accepted_and_seventeen_are_rejected(
    opening: bytes, inner: bytes, closing: bytes, levels: int
) -> None:
    times = (MAX_DEPTH - inner.count(b"{")) // levels
    deepest = nested(times, opening, inner, closing)
    strict_json.parse(deepest)
    with pytest.raises(InvalidJson, match="nested more than 16 levels deep"):
        strict_json.parse(b"[" * (MAX_DEPTH + 1 - levels * times) + deepest + b"]" * (MAX_DEPTH + 1 - levels * times))


def test_adjacent_or_quoted_brackets_do_not_count_as_levels() -> None:
    assert strict_json.parse(b"[" + b",".join([b"[{}]"] * 100) + b"]")
    assert strict_json.parse(b'"' + b"[{" * 1_000 + b'"') == "[{" * 1_000


@pytest.mark.parametrize("levels", [17, 1_000, 100_000])
def test_every_excessive_depth_has_the_same_error(levels: int) -> None:
    with pytest.raises(InvalidJson, match="nested more than 16 levels deep"):
        strict_json.parse(nested(levels))
    with pytest.raises(InvalidJson, match="nested more than 16 levels deep"):
        strict_json.parse(nested(levels, b'{"a":', b"1", b"}"))


NUMBERS = [
    b"0", b"-0", b"0.0", b"-0.0", b"1.0", b"1e0", b"1E+2", b"1e-2", b"1.2300", b"9007199254740993", b"-1e-400",
    b"1e400", b"123456789012345678901234567890.123456789012345678901234567890", b"9" * 5_000, b"0." + b"1" * 5_000,
]  # fmt: skip


@pytest.mark.parametrize("literal", NUMBERS, ids=lambda literal: literal[:20].decode())
def test_number_of_any_length_keeps_its_literal(literal: bytes) -> None:
    assert strict_json.parse(literal) == msgspec.Raw(literal)
    document = b'{"n":[' + literal + b"]}"
    assert strict_json.encode(strict_json.parse(document)) == document


def test_errors_do_not_contain_the_input() -> None:
    for text in (
        b'{"secret":1,"secret":1}',
        b'"secret\\ud800"',
        b'"secret\\u0000"',
        b"secret",
        b'"secret',
        b'"\\secret"',
    ):
        with pytest.raises(InvalidJson) as caught:
            strict_json.parse(text)
        assert "secret" not in str(caught.value)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
values = st.recursive(
    st.none() | st.booleans() | texts | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=MAX_DEPTH,  # each level has at least one leaf, so this limits the depth, too
)


@given(values, st.booleans())
def test_parsed_json_is_encoded_unchanged(value: Any, ascii_only: bool) -> None:
    parsed = strict_json.parse(json.dumps(value, ensure_ascii=ascii_only).encode())
    assert json.loads(strict_json.encode(parsed)) == value
    assert strict_json.parse(strict_json.encode(parsed)) == parsed


@given(st.binary())
def test_any_bytes_are_either_parsed_or_rejected(text: bytes) -> None:
    try:
        parsed = strict_json.parse(text)
    except InvalidJson:
        return
    assert json.loads(strict_json.encode(parsed)) == json.loads(text)
