"""Identifiers: custom fields such as a mail address or a phone number that find a person in any usual notation."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from peopleinfo.people.folding import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PHONE_KEY_LENGTH: Final = 7  # last digits of a number: equal with and without country and area code
_MIN_SUFFIX: Final = 6  # digits of a number that is compared with the end of a longer one
_MIN_PART: Final = 3  # digits of a number that find it next to a name
_MAX_LENGTH: Final = 256  # characters of a value
_MAX_VALUES: Final = 8  # values of a person in each field
_PHONE_FIELD: Final = re.compile("phone|tel|mobile|mobil|cell|fax|handy", re.IGNORECASE)
_MAIL: Final = re.compile(r"[^\s<>,;:\"()]+@[^\s<>,;:\"()]+")
_USUAL_MAIL: Final = re.compile(r"[a-z0-9]+(?:[._+-][a-z0-9]+)*@[a-z0-9]+(?:[.-][a-z0-9]+)*", re.IGNORECASE)
_EXTENSION: Final = re.compile(r"(?:ext\.?|extension|x|#|durchwahl)\s*\d{1,6}\s*$", re.IGNORECASE)
_RUSSIAN_PREFIX: Final = re.compile(r"^8(?=\d{10}$)", re.ASCII)  # national prefix, in place of +7
_NOT_DIGITS: Final = re.compile(r"\D")
_SIMPLE_PHONE: Final = re.compile(r"\+[0-9 .()\-]+")
_SIMPLE_LENGTHS: Final = range(11, 16)  # digits with a country code; at least `PHONE_KEY_LENGTH` follow a prefix
_LONG_PREFIXES: Final = ("352", "82")  # country codes with prefixes of up to five digits


def code_key(value: str) -> str:
    """Return the index key of a value that is neither a phone number nor a mail address: its letters and digits."""
    key = fold(value)
    return "".join(filter(str.isalnum, key)) or key


def mail_of(text: str) -> str | None:
    """Return the normalized mail address in a text, for example `anna@example.org` for `Anna <mailto:Anna@Example.ORG>`."""
    if len(text) > _MAX_LENGTH:  # the search takes quadratic time
        return None
    found = _MAIL.search(unicodedata.normalize("NFKC", text))
    if found is None:
        return None
    local, _, domain = found[0].strip(".'").casefold().rpartition("@")
    if not domain.isascii():
        with suppress(UnicodeError):  # keep a domain that is not valid
            domain = domain.encode("idna").decode()
    return f"{local}@{domain}" if local and domain else None


def is_usual_mail(text: str) -> bool:
    """Return whether a text consists of a mail address in its usual form, and so `mail_of` finds one."""
    return text.isascii() and _USUAL_MAIL.fullmatch(text) is not None


def phone_digits(text: str) -> str:
    """Return the digits of a phone number without zeros at the start; with country code if the text has `+` or 00."""
    text = _ascii_digits(unicodedata.normalize("NFKC", text)).strip().removeprefix("tel:")
    if text.startswith(("+", "00")) and (parsed := _international(text)):
        return parsed
    return _NOT_DIGITS.sub("", _EXTENSION.sub("", text)).lstrip("0")


def _stored_phone_key(text: str) -> str:
    """Return `phone_key(phone_digits(text))`, without the parser if it could only change digits before the key."""
    if _SIMPLE_PHONE.fullmatch(text):
        digits = _NOT_DIGITS.sub("", text)
        if len(digits) in _SIMPLE_LENGTHS and not digits.startswith(_LONG_PREFIXES):
            return phone_key(digits)
    return phone_key(phone_digits(text))


def phone_key(digits: str) -> str:
    """Return the index key of a phone number."""
    return digits[-PHONE_KEY_LENGTH:]


def phone_keys(digits: str) -> list[str]:
    """Return the index keys of the numbers that are equal to a number or end with it, if it has at least six digits."""
    if len(digits) == _MIN_SUFFIX:
        return [digits, *(f"{digit}{digits}" for digit in range(10))]
    return [phone_key(digits)]


def same_phone(one: str, other: str) -> bool:
    """Return whether two numbers are equal, or one is the end of the other (without country or area code)."""
    shorter, longer = sorted((one, other), key=len)
    is_end = len(shorter) >= _MIN_SUFFIX and longer.endswith(shorter)
    return one == other or is_end or _RUSSIAN_PREFIX.sub("7", one) == _RUSSIAN_PREFIX.sub("7", other)


def is_phone(digits: str, text: str) -> bool:
    """Return whether a text is the phone number with these digits, with or without country or area code."""
    is_near = phone_key(digits)[-_MIN_SUFFIX:] == _stored_phone_key(text)[-_MIN_SUFFIX:]
    return is_near and same_phone(digits, phone_digits(text))  # `phone_digits` is slow


@lru_cache(maxsize=64)
def is_phone_field(name: str) -> bool:
    """Return whether a field contains phone numbers, by its name."""
    return _PHONE_FIELD.search(name) is not None


def values_of(fields: Mapping[str, Any], identifiers: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the name and each value of the identifiers among the custom fields; a value may be a text, a number or a list of these."""
    for name in identifiers:
        value = fields.get(name)
        if value is None:
            continue
        for item in value[:_MAX_VALUES] if isinstance(value, list) else [value]:
            if isinstance(item, msgspec.Raw):
                item = bytes(item).decode()  # noqa: PLW2901 - a number as the client sent it
            if isinstance(item, str | int) and not isinstance(item, bool) and 0 < len(str(item)) <= _MAX_LENGTH:
                yield name, str(item)


@lru_cache(maxsize=256)  # the search index and the match index of a person contain the same keys
def keys_of(name: str, value: str) -> tuple[str, ...]:
    """Return the index keys of one value of an identifier."""
    if is_phone_field(name):
        key = _stored_phone_key(value)
        return (f"+{key}",) if key else ()
    if mail := mail_of(value):
        return (f"@{mail}",)
    key = code_key(value)
    return (f"={key}",) if key else ()


def have_common_keys(people: Iterable[Mapping[str, Any]], identifiers: Iterable[str]) -> bool:
    """Return whether two people, given by their custom fields, may have an equal identifier."""
    names = list(identifiers)
    keys = [
        {(name, key) for name, value in values_of(fields, names) for key in keys_of(name, value)} for fields in people
    ]
    return len(set().union(*keys)) < sum(map(len, keys))


def is_part_of_phone(digits: str, phone: str) -> bool:
    """Return whether digits of a query, which may start with a zero before the area code, are a part of a phone number."""
    parts = [part for part in (digits, digits.lstrip("0")) if len(part) >= _MIN_PART]
    return any(part in phone for part in parts)


def is_same(name: str, one: str, other: str) -> bool:
    """Return whether two values of an identifier are equal in some notation."""
    if is_phone_field(name):
        return same_phone(phone_digits(one), phone_digits(other))
    return keys_of(name, one) == keys_of(name, other)


def _ascii_digits(text: str) -> str:
    """Return a text with the digits of any script as 0 to 9."""
    return text if text.isascii() else "".join(str(int(char)) if char.isdecimal() else char for char in text)


def _international(text: str) -> str | None:
    import phonenumbers  # noqa: PLC0415 - takes a tenth of the time of a start, and few requests need it

    text = "+" + text.removeprefix("00") if text.startswith("00") else text
    try:
        parsed = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")
