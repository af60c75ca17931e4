"""JSON that everybody reads alike: RFC 8259 with the doubtful parts refused (the spirit of I-JSON, RFC 7493).

Refused: duplicate members, NaN and Infinity, lone surrogates, U+0000, anything that is not UTF-8, more than `MAX_DEPTH`
levels, more than `MAX_COMMAS` commas, as each value takes time and memory. Numbers are not rounded: each is kept as the literal
that was sent (`msgspec.Raw`), whatever its length.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar

import msgspec

from peopleinfo.errors import InvalidJson

MAX_DEPTH: Final = 16
MAX_COMMAS: Final = 64 * 1024  # of a text, inside and outside its strings; the largest record has fewer

# What `parse` returns: dict, list, str, bool, None, and msgspec.Raw for a number.
TYPE_NAMES: Final = {dict: "an object", list: "a list", str: "a string", bool: "true or false", msgspec.Raw: "a number"}

encode = msgspec.json.Encoder().encode
# What a decoder of msgspec raises for bytes that are not JSON, or not JSON of the right shape.
DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
T = TypeVar("T")


def decode(text: bytes, kind: type[T]) -> T:
    """Return an external JSON document as this type. Raises InvalidJson."""
    try:
        return msgspec.json.decode(text, type=kind)
    except DECODE_ERRORS as error:
        raise InvalidJson(str(error) or type(error).__name__) from error


def parse(text: bytes) -> Any:
    """Return the value of a JSON text.

    Raises InvalidJson with the reason and, where it is known, the position in characters.
    """
    if text.count(b",") > MAX_COMMAS:
        raise InvalidJson(f"more than {MAX_COMMAS} commas: split the document")
    try:
        value = _DECODER.decode(text.decode())
    except UnicodeDecodeError as error:
        raise InvalidJson(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise InvalidJson(f"not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise InvalidJson(_TOO_DEEP) from None
    # Only an escape can bring in a lone surrogate or a NUL, and only brackets depth.
    if b"\\u" in text or text.count(b"[") + text.count(b"{") > MAX_DEPTH:
        _check(value, MAX_DEPTH)
    return value


_TOO_DEEP: Final = f"nested more than {MAX_DEPTH} levels deep"


def _check(value: Any, levels: int) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict | list):
        if levels == 0:
            raise InvalidJson(_TOO_DEEP)
        if isinstance(value, dict):
            for name in value:
                _check_text(name)
            value = value.values()
        for inner in value:
            _check(inner, levels - 1)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise InvalidJson("U+0000 cannot be stored")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidJson("a surrogate without its other half cannot be stored") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidJson("a member stands twice in one object")
    return members


def _number(literal: str) -> msgspec.Raw:
    return msgspec.Raw(literal.encode())


def _no_number(literal: str) -> None:
    raise InvalidJson(f"{literal} is not a JSON number")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_number, parse_float=_number, parse_constant=_no_number
)
