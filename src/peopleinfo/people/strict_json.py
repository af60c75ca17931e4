"""Strict JSON: RFC 8259 without the parts that parsers interpret differently, similar to I-JSON (RFC 7493).

`parse` rejects duplicate names, NaN and Infinity, lone surrogates, U+0000 and any encoding but UTF-8. It limits nesting to
`MAX_DEPTH` levels and a text to `MAX_COMMAS` commas, to limit the time and memory of one document. Numbers are not rounded: each
becomes a `msgspec.Raw` with the literal that the client sent.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar

import msgspec

from peopleinfo.errors import InvalidJson

MAX_DEPTH: Final = 16
MAX_COMMAS: Final = 64 * 1024  # in a text, including those in strings; every valid record has fewer

# What `parse` returns: dict, list, str, bool, None, and msgspec.Raw for a number.
TYPE_NAMES: Final = {dict: "an object", list: "a list", str: "a string", bool: "true or false", msgspec.Raw: "a number"}

encode = msgspec.json.Encoder().encode
# Exceptions of a msgspec decoder for bytes that are not JSON or do not match its type.
DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
T = TypeVar("T")


def decode(text: bytes, kind: type[T]) -> T:
    """Decode an external JSON document to a type. Raises InvalidJson."""
    try:
        return msgspec.json.decode(text, type=kind)
    except DECODE_ERRORS as error:
        raise InvalidJson(str(error) or type(error).__name__) from error


def parse(text: bytes) -> Any:
    """Return the value of a JSON text. Raises InvalidJson with the reason and, if known, the position in characters."""
    if text.count(b",") > MAX_COMMAS:
        raise InvalidJson(f"more than {MAX_COMMAS} commas in one document: split it")
    try:
        value = _DECODER.decode(text.decode())
    except UnicodeDecodeError as error:
        raise InvalidJson(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise InvalidJson(f"not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise InvalidJson(_TOO_DEEP) from None
    # Only escapes can produce a lone surrogate or U+0000, and only brackets increase the depth.
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
        raise InvalidJson("U+0000 is not allowed: remove it")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidJson("a lone surrogate is not allowed: remove it or add the other half of the pair") from None


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidJson("an object contains a name twice: remove one of the two fields")
    return fields


def _number(literal: str) -> msgspec.Raw:
    return msgspec.Raw(literal.encode())


def _reject_constant(literal: str) -> None:
    raise InvalidJson(f"{literal} is not a JSON number")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique_fields, parse_int=_number, parse_float=_number, parse_constant=_reject_constant
)
