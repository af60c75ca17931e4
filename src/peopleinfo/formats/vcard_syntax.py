"""Syntax of vCard 2.1, 3.0 and 4.0 (RFC 2426, RFC 6350): cards, folded lines, parameters and escapes."""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from typing import TYPE_CHECKING, Final, NamedTuple, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

UTF8: Final = "utf-8"
LABEL: Final = "X-ABLABEL"
MAX_CARD_SIZE: Final = 1024 * 1024  # characters without pictures; larger than any record
_MAX_LINE_LENGTH: Final = 1024 * 1024
_FOLD_SIZE: Final = 75  # bytes of a written line
_CONTINUATION_BYTES: Final = range(0x80, 0xC0)  # of a character in UTF-8

_BEGIN: Final = re.compile(r"BEGIN\s*:\s*VCARD\s*", re.IGNORECASE)
_END: Final = re.compile(r"END\s*:\s*VCARD\s*", re.IGNORECASE)
_AGENT: Final = re.compile(r"(?:[\w-]+\.)?AGENT\b[^:]*:\s*", re.IGNORECASE)  # its value is another card
_BINARY: Final = re.compile(
    r"(?:[\w-]+\.)?(?:PHOTO|LOGO|SOUND|KEY)\b(?=[^:]*\b(?:ENCODING=\W?(?:b|base64)\b|BASE64)|[^:]*:data:)",
    re.IGNORECASE,
)
_NAME: Final = re.compile(r"(?:([\w-]+)\.)?([A-Za-z0-9-]+)(?=[;:])")
_PARAMETER: Final = re.compile(r';([^=;:"]*)(?:=((?:"[^"]*"|[^";:])*))?')
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+=*\s*")
_ENCODINGS: Final = frozenset(("QUOTED-PRINTABLE", "BASE64", "B", "7BIT", "8BIT"))
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_PARTS: Final = re.compile(r"(?:[^\\;]|\\.?)*", re.DOTALL)
_ITEMS: Final = re.compile(r"(?:[^\\,]|\\.?)*", re.DOTALL)
_CARET: Final = re.compile(r"\^([n^'])")


class InvalidCard(ValueError):
    """A card that cannot be read; the message is the reason."""


class Card(NamedTuple):
    """The lines of a card with the number of the first one, and the reason if they are no complete card."""

    line: int
    lines: list[str]
    problem: str = ""


class Property(NamedTuple):
    """A property: its group, its name in upper case, its parameters with names in upper case, and its value.

    The value still contains escapes; it is None for binary data such as pictures.
    """

    group: str
    name: str
    parameters: dict[str, list[str]]
    value: str | None

    @property
    def types(self) -> list[str]:
        """The types in lower case, for example home and fax."""
        names = ",".join(self.parameters.get("TYPE", ())).split(",")  # a quoted value may be a list
        return [name.strip().lower() for name in names if name.strip()]

    @property
    def is_preferred(self) -> bool:
        """Whether the property is the preferred one of its name."""
        return "PREF" in self.parameters or "pref" in self.types

    def relabelled(self, label: str) -> Property:
        """Return the property with a label as its type."""
        return self._replace(parameters=self.parameters | {"TYPE": [label], LABEL: [label]}) if label else self


def read_cards(text: TextIO) -> Iterator[Card]:
    """Yield the cards of a text, and runs of other lines with the problem. Binary data is shortened."""
    card: Card | None = None
    stray: Card | None = None
    depth = size = 0
    for number, line in _lines(text):
        if _BEGIN.fullmatch(line) and not (card and _AGENT.fullmatch(card.lines[-1])):
            yield from _incomplete(card, stray)
            card, stray, depth, size = Card(number, [line]), None, 1, len(line)
        elif card is None:
            if line.strip():
                stray = stray or Card(number, [], "is not part of a vCard: BEGIN:VCARD is missing")
                if len(stray.lines) < _STRAY_LINES:
                    stray.lines.append(line)
        else:
            size += len(line)
            if size <= MAX_CARD_SIZE:
                card.lines.append(line)
            depth += bool(_BEGIN.fullmatch(line)) - bool(_END.fullmatch(line))
            if depth == 0:
                yield card if size <= MAX_CARD_SIZE else card._replace(problem=_TOO_LARGE)
                card = None
    yield from _incomplete(card, stray)


_STRAY_LINES: Final = 100
_TOO_LARGE: Final = f"is larger than {MAX_CARD_SIZE // 1024} KiB"


def _incomplete(card: Card | None, stray: Card | None) -> Iterator[Card]:
    if stray:
        yield stray
    if card:
        yield card._replace(problem="is not complete: END:VCARD is missing")


def _lines(text: TextIO) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines; of binary data, only the first characters of its first line."""
    number, is_binary = 0, False
    while line := text.readline(_MAX_LINE_LENGTH):
        number += 1
        rest = line
        while len(rest) == _MAX_LINE_LENGTH and not rest.endswith(("\n", "\r")):
            rest = text.readline(_MAX_LINE_LENGTH)
        if is_binary and (line[:1] in " \t" or _BASE64.fullmatch(line)):
            continue
        is_binary = _BINARY.match(line) is not None
        head, _, value = line.partition(":")
        start = "data:" if value.lstrip().lower().startswith("data:") else ""
        yield number, f"{head.rstrip()}:{start}\n" if is_binary else line


def properties(card: Card, charset: str) -> list[Property]:
    """Return the properties of a complete card. Raises InvalidCard."""
    version = next((line for line in card.lines if line.upper().startswith("VERSION")), "")
    old = "2.1" in version
    lines = _unfold(_with_agents(card.lines[1:-1]), keep_blank=old)
    return [_property(line, charset, old=old) for line in lines if line]


def _with_agents(lines: Iterable[str]) -> Iterator[str]:
    """Join each card within a card to the line of its property, as a value of one line."""
    agent: list[str] = []
    for line in lines:
        agent.append(line)
        if not (_AGENT.fullmatch(agent[0]) and not _END.fullmatch(line)):
            yield agent[0].rstrip("\r\n") + escape("".join(agent[1:])) + "\n" if agent[1:] else line
            agent = []
    yield from agent


def _unfold(lines: Iterable[str], *, keep_blank: bool) -> Iterator[str]:
    """Join the physical lines of each property. A line without a property name continues the value as a new line."""
    current: list[str] = []
    is_quoted_printable = is_base64 = False
    for physical in lines:
        line = physical.rstrip("\r\n")
        if is_quoted_printable and current[-1].endswith("="):
            current[-1] = current[-1][:-1]
            current.append(line)
        elif line[:1] in (" ", "\t") and current:
            current.append(line if keep_blank and not is_base64 else line[1:])
        elif not line.strip():
            is_base64 = False
        elif _NAME.match(line) or not current:
            yield "".join(current)
            current = [line]
            head = line.partition(":")[0].upper()
            is_quoted_printable = "QUOTED-PRINTABLE" in head
            is_base64 = "BASE64" in head or "ENCODING=B" in head
        else:
            current.append(line if is_base64 else f"\\n{line}")
    yield "".join(current)


def _property(line: str, charset: str, *, old: bool) -> Property:
    match = _NAME.match(line)
    if match is None:
        raise InvalidCard("contains a line that is not a property, with a colon after its name")
    parameters: dict[str, list[str]] = {}
    position = match.end()
    while parameter := _PARAMETER.match(line, position):
        position = parameter.end()
        name, value = parameter.groups()
        if value is None:  # vCard 2.1: TEL;HOME
            name, value = ("ENCODING" if name.strip().upper() in _ENCODINGS else "TYPE"), name
        parameters.setdefault(name.strip().upper(), []).extend(_parameter_values(value))
    if line[position : position + 1] != ":":  # a quotation mark is not closed
        position = line.find(":", match.end())
    if position < 0:
        raise InvalidCard(f"contains a property {match[2]} without a value")
    name = match[2].upper()
    value = None if _BINARY.match(line) else _decode(name, line[position + 1 :], parameters, charset)
    return Property(match[1] or "", name, parameters, _modern(value) if value and old else value)


def _parameter_values(text: str) -> list[str]:
    values = re.findall(r'"[^"]*"|[^",]+', text)
    return [_CARET.sub(lambda match: {"n": "\n", "^": "^", "'": '"'}[match[1]], value.strip('"')) for value in values]


def _decode(name: str, value: str, parameters: dict[str, list[str]], default: str) -> str | None:
    """Return the text of a value in quoted-printable, base64 or another charset; None for binary data. Raises InvalidCard."""
    transfer = "".join(parameters.get("ENCODING", ())[:1]).upper()
    charset = "".join(parameters.get("CHARSET", ())[:1]) or default
    has_charset = charset != default == UTF8 and not value.isascii()  # else the text is decoded already
    is_encoded = has_charset or transfer in ("QUOTED-PRINTABLE", "B", "BASE64")
    try:
        if is_encoded:
            source = value.encode(UTF8, "surrogateescape")
            if transfer == "QUOTED-PRINTABLE":
                source = quopri.decodestring(source)
            elif transfer in ("B", "BASE64"):
                source = base64.b64decode(source, validate=False)
            value = source.decode(charset)
        value.encode()
    except binascii.Error:
        return None
    except LookupError:
        raise InvalidCard(f"has the unknown charset {charset!r} in {name}") from None
    except ValueError:
        if transfer in ("B", "BASE64"):
            return None
        raise InvalidCard(f"is not valid {charset} in {name}: set the encoding, for example cp1252") from None
    # The decoded text has no escapes of its own for line breaks.
    return value.replace("\r\n", "\n") if is_encoded else value


def _modern(value: str) -> str:
    """Return a value of vCard 2.1, in which a backslash escapes nothing but delimiters, with the escapes of vCard 3."""
    return re.sub(r"\\(?![;:,\\nN])", r"\\\\", value)


def unescape(value: str) -> str:
    r"""Return a text without its escapes: `\n`, `\,`, `\;` and `\\`."""
    return _ESCAPE.sub(lambda match: "\n" if match[1] in "nN" else match[1], value) if "\\" in value else value


def split(value: str) -> list[str]:
    """Return the components of a structured value, still with escapes."""
    return value.split(";") if "\\" not in value else _split(_PARTS, value)


def split_list(value: str) -> list[str]:
    """Return the items of a list, still with escapes."""
    return value.split(",") if "\\" not in value else _split(_ITEMS, value)


def _split(pattern: re.Pattern[str], value: str) -> list[str]:
    parts, position = [], 0
    while position <= len(value):
        part = pattern.match(value, position)[0]  # type: ignore[index] # matches the empty string too
        parts.append(part)
        position += len(part) + 1
    return parts


def escape(text: str) -> str:
    """Return a text with escapes, as a component of a value."""
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def fold(line: str) -> bytes:
    """Return a line of a card in UTF-8, folded to at most 75 bytes a line."""
    text = line.encode()
    if len(text) <= _FOLD_SIZE:
        return text + b"\r\n"
    parts, start = [], 0
    while start < len(text):
        end = min(start + _FOLD_SIZE - bool(start), len(text))
        while end < len(text) and text[end] in _CONTINUATION_BYTES:
            end -= 1
        parts.append(text[start:end])
        start = end
    return b"\r\n ".join(parts) + b"\r\n"


def write_card(lines: Sequence[str]) -> bytes:
    """Return a card with these lines."""
    return b"".join(map(fold, ("BEGIN:VCARD", *lines, "END:VCARD")))
