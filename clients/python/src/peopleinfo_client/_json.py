"""JSON without loss of digits: a number that `float` would round is a `Decimal`, in both directions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

_MAX_INT_DIGITS: Final = 18
"""A longer whole number is decoded to Decimal: `int` takes quadratic time to parse it."""


def decode(text: bytes) -> Any:
    """Return the value of a JSON text: whole numbers as `int`, all others as `Decimal`. Raises ValueError."""
    return json.loads(text, parse_int=_whole_number, parse_float=Decimal)


def encode(value: Any) -> bytes:
    """Return the JSON text of a value. Raises TypeError and ValueError for a value that JSON cannot represent."""
    try:
        text = _ENCODER.encode(value)
    except _DecimalFound:
        text = _encode_exactly(value)
    return text.encode()


class _DecimalFound(Exception):
    """The encoder of the standard library cannot write a Decimal as a number."""


def _convert(value: Any) -> Any:
    if isinstance(value, Decimal):
        raise _DecimalFound
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON representation")


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_convert)


def _encode_exactly(value: Any) -> str:
    if isinstance(value, Decimal):
        return _encode_decimal(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_encode_name(name)}:{_encode_exactly(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_encode_exactly, value)) + "]"
    return _ENCODER.encode(value)


def _encode_name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of a JSON field must be a string (got {type(name).__name__})")
    return _ENCODER.encode(name)


def _encode_decimal(number: Decimal) -> str:
    if not number.is_finite():
        raise ValueError(f"{number} has no JSON representation")
    return str(number)


def _whole_number(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _MAX_INT_DIGITS else Decimal(digits)
