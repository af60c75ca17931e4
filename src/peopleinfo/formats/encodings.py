"""Encodings: any text stream as UTF-8, with the encoding detected from its bytes.

UTF-8 passes through unchanged, also bytes that are invalid, so that a reader can reject their row alone. Other encodings are decoded;
a part that cannot be decoded becomes the byte 0xFF, which is never valid UTF-8.
"""

from __future__ import annotations

import codecs
import io
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK_SIZE: Final = 256 * 1024
_WINDOW_SIZE: Final = 1024 * 1024  # bytes after the first one that is not ASCII; the encoding is guessed from them
_GUESS_SIZE: Final = 64 * 1024  # bytes of lines with other characters than ASCII
_JUDGED_SIZE: Final = 16 * 1024  # characters whose letters are judged
_INVALID: Final = "\udcff"  # encoded as the byte 0xFF
_NO_UTF16: Final = re.compile(r"[\0-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd]")
UTF8: Final = "utf-8"

_MARKS: Final = (  # UTF-32 first: its mark starts with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SEQUENCE: Final = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)
_INCOMPLETE: Final = re.compile(rb"(?:[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z")
_HAS_C1: Final = re.compile(rb"[\x80-\x9f]")
_HIGH_BYTE: Final = re.compile(rb"[\x80-\xff]")
_JAPANESE_ESCAPE: Final = re.compile(rb"\x1b\$[@B]")
_NO_TEXT: Final = frozenset(("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"))
# The encodings that files have in practice. Each stands for its subsets, for example cp1252 for ISO-8859-1.
_CANDIDATES: Final = (
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874", "iso8859-2", "koi8-r", "koi8-u",
    "cp866", "cp850", "cp852", "mac-roman", "cp932", "euc-jp", "gb18030", "big5hkscs", "cp949",
)  # fmt: skip
_MANY_BYTES: Final = frozenset(("cp932", "euc_jp", "gb18030", "big5hkscs", "cp949"))
_WESTERN: Final = frozenset(("cp1252", "cp850", "mac-roman"))
# A guess with this part of the confidence of the best one may be right too. Windows-1252 needs less, as it is the most frequent one, and
# so do East Asian encodings, as they share most bytes.
_RIVAL, _FREQUENT_RIVAL, _ASIAN_RIVAL = 0.8, 0.4, 0.4
_FREQUENT: Final = "cp1252"
_WEIGHTS: Final = {"cp1252": 1.2, "cp850": 0.7, "cp852": 0.7, "cp866": 0.7, "mac-roman": 0.6}
# Signs that are letters in ISO 8859-15, the only difference of this encoding.
_LATIN9_LETTERS: Final = re.compile(
    r"[\u00a6\u00a8\u00bc\u00bd\u00be](?=[a-z])|(?<=[a-z])[\u00a8\u00b8\u00bd]", re.IGNORECASE
)
_LATIN9: Final = "iso8859-15"
# Control characters, signs within or after a word, and words of two scripts: the letters of another encoding.
_LATIN: Final = r"[A-Za-z\u00c0-\u024f]"
_OTHER_SCRIPT: Final = r"[\u0370-\u1dff\u2e80-\ud7ff\ue000-\ufdff\uff21-\uffef]"
_MISREAD: Final = re.compile(
    r"[\x80-\x9f\ufffd\ue000-\uf8ff]|(?<=[^\W\d_])(?:[\u00a2-\u00a9\u00ac\u00ae-\u00b1\u00b6\u00b8\u00bb-\u00bf\u00d7\u00f7\u0192"
    r"\u02c6-\u02dd\u2020-\u2022\u2026\u2030\u203a\u20ac\u2122\u2202-\u2265\u2500-\u25ff]|[\u2018\u201a\u201c\u201e](?!\w))"
    r"|[\u00a2\u00a4-\u00a6\u00a8\u00ac\u00af-\u00b1\u00b4-\u00b8\u0385\u2030\u20ac\u2122\u2200-\u25ff](?=[^\W\d_])"
    rf"|(?<={_LATIN}){_OTHER_SCRIPT}|{_OTHER_SCRIPT}(?={_LATIN})"
)
_MAX_MISREAD: Final = 0.05  # part of the letters that are not ASCII
_RARE_LETTERS: Final = re.compile(
    r"[ÞþÐð\u00a4\u00a6\u00a8\u00ac\u00af\u00b4\u00b8\u00d7\u00f7]"
)  # in Windows-1252 they are often letters of another encoding


class Guess(NamedTuple):
    """A detected encoding. `is_certain` is false if another encoding is nearly as probable and gives other letters."""

    encoding: str
    is_certain: bool


def lookup(name: str) -> str:
    """Return the standard name of an encoding of text. Raises InvalidInput."""
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):  # ValueError: a name with U+0000
        found = None
    if found is None or not found._is_text_encoding or found.name.replace("-", "_") in _NO_TEXT:  # noqa: SLF001 - as in open()
        raise InvalidInput(f"unknown encoding {name!r}: use for example utf-8, cp1252, latin-1 or utf-16")
    return found.name


class Utf8Stream(io.RawIOBase):
    """The text of `source` as UTF-8. If the encoding is None, detects it or, unless `is_detected`, assumes UTF-8.

    A byte order mark always decides. `encoding` is the encoding found so far: bytes of ASCII only are read as UTF-8. `guess` is set when the encoding was guessed.
    `rate` returns how many known words a text contains, to choose between similar encodings.
    """

    def __init__(
        self, source: io.BufferedReader, encoding: str | None, rate: Callable[[str], int], *, is_detected: bool = True
    ) -> None:
        super().__init__()
        self._source = source
        self._rate = rate
        self._rest = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self.encoding = UTF8
        self.guess: Guess | None = None
        self._start(lookup(encoding) if encoding else None if is_detected else UTF8)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with the next text and return its length in bytes."""
        if not self._rest:
            self._rest = self._next()
        taken = self._rest[: len(buffer)]
        self._rest = self._rest[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def _start(self, encoding: str | None) -> None:
        start = b""
        while len(start) < 4 and (more := self._read()):  # noqa: PLR2004 - the longest mark
            start += more
        self._pending = start
        self._is_decided = encoding is not None
        for mark, name in _MARKS:
            if start.startswith(mark):
                self._pending = start[len(mark) :]
                self._decide(name)
                return
        if found := without_mark(start) if encoding in (None, "utf-16", "utf-32") else encoding:
            self._decide(found)
        elif encoding:
            self._decide(f"{encoding}-le")

    def _decide(self, encoding: str) -> None:
        self._is_decided = True
        if encoding in ("utf-8-sig", UTF8):
            return
        self.encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)("peopleinfo-invalid")

    def _read(self) -> bytes:
        return self._source.read1(_CHUNK_SIZE)

    def _next(self) -> bytes:
        """Return the next bytes; b"" at the end."""
        while True:
            chunk, self._pending = self._pending or self._read(), b""
            if not self._is_decided and not (chunk.isascii() and b"\x1b$" not in chunk):
                chunk = self._with_window(chunk)
                self._guess(chunk)
            if self._decoder is None or self._is_exception(chunk):
                return chunk
            text = self._decoder.decode(chunk, final=not chunk)
            if text or not chunk:
                return text.encode(errors="surrogateescape")

    def _is_exception(self, chunk: bytes) -> bool:
        """Return whether bytes are UTF-8 although another encoding was guessed: the bytes before were the exception."""
        return self.guess is not None and self.encoding not in _MANY_BYTES and _is_utf8(chunk)

    def _with_window(self, chunk: bytes) -> bytes:
        parts, size = [chunk], len(chunk)
        while size < _WINDOW_SIZE and (more := self._read()):
            parts.append(more)
            size += len(more)
        return b"".join(parts)

    def _guess(self, window: bytes) -> None:
        self._is_decided = True
        window = _INCOMPLETE.sub(b"", window)
        if _JAPANESE_ESCAPE.search(window):
            self._decide("iso2022_jp")
            return
        sequences = len(_SEQUENCE.findall(window))
        invalid = len(_HIGH_BYTE.findall(_SEQUENCE.sub(b"", window)))
        if sequences >= invalid:
            if invalid:
                self.guess = guess(window, self._rate)._replace(is_certain=False)
            return
        self.guess = found = guess(window, self._rate)
        if found.encoding in _WESTERN and sequences * 10 >= invalid:
            self.guess = found._replace(is_certain=False)
        elif found.is_certain:
            self._decide(found.encoding)


class _Candidate(NamedTuple):
    """An encoding with its rank: known words, then the fewest misread letters, then the confidence; and the text in this encoding."""

    words: int
    misread: int  # negative: the number of letters that cannot be right
    confidence: float
    name: str
    text: str


def guess(window: bytes, rate: Callable[[str], int]) -> Guess:
    """Guess the encoding of bytes that are not UTF-8. Windows-1252 is preferred in doubt, as the most frequent one."""
    candidates = _candidates(window, rate)
    best = max(candidates, default=_Candidate(0, 0, 0.0, _FREQUENT, "\ufffd"))
    same = {one.name for one in candidates if one.text == best.text}
    rivals = {one.name for one in candidates if one.text != best.text and _is_rival(one, best)}
    name = _FREQUENT if _FREQUENT in same | rivals else best.name
    if name == _FREQUENT and not _HAS_C1.search(window) and _LATIN9_LETTERS.search(best.text):
        return Guess(_LATIN9, is_certain=not rivals)
    is_rare = name == _FREQUENT and not best.words and _RARE_LETTERS.search(best.text)
    is_misread = -best.misread > _MAX_MISREAD * sum(not character.isascii() for character in best.text)
    return Guess(name, is_certain=not (rivals or is_rare or is_misread))


def _candidates(window: bytes, rate: Callable[[str], int]) -> list[_Candidate]:
    import chardet  # noqa: PLC0415 - takes a tenth of a second, and few files need it

    lines = [line for line in window.splitlines(keepends=True) if not line.isascii()]
    lines = [line for line in lines if not _is_utf8(line)] or lines  # of a file with both
    sample = b"".join(lines)[:_GUESS_SIZE]
    head = b"\n".join(window.splitlines()[:20])
    found = chardet.detect_all(sample, ignore_threshold=True, include_encodings=_CANDIDATES, compat_names=False)
    candidates = []
    for one in found:
        name = lookup(one["encoding"] or _FREQUENT)
        confidence = (one["confidence"] or 0.0) * _WEIGHTS.get(name, 1.0)
        words = rate(head.decode(name, "replace"))
        text = sample.decode(name, "replace")
        candidates.append(_Candidate(words, -_count_misread(text[:_JUDGED_SIZE]), confidence, name, text))
    return candidates


def _count_misread(text: str) -> int:
    """Return how many letters cannot be right: signs within a word, and capital letters within one, as in `CÈcile` and `MŸller`."""
    capitals = sum(
        not letter.isascii() and letter.isupper() and (before.islower() or (before.isupper() and after.islower()))
        for before, letter, after in zip(text, text[1:], text[2:], strict=False)
    )
    return capitals + len(_MISREAD.findall(text))


def _is_rival(one: _Candidate, best: _Candidate) -> bool:
    """Return whether another encoding may be right too."""
    is_asian = one.name in _MANY_BYTES and best.name in _MANY_BYTES
    part = _FREQUENT_RIVAL if one.name == _FREQUENT else _ASIAN_RIVAL if is_asian else _RIVAL
    return one[:2] == best[:2] and one.confidence >= best.confidence * part


def without_mark(start: bytes) -> str | None:
    """Return the encoding of text without a byte order mark in which every second byte, or three of four, are zero."""
    sample = start[: len(start) // 4 * 4][:4096]
    zeros = [sample[offset::4].count(0) / (len(sample) // 4 or 1) for offset in range(4)]
    for name, is_zero in (
        ("utf-32-le", (False, True, True, True)),
        ("utf-32-be", (True, True, True, False)),
        ("utf-16-le", (False, True, False, True)),
        ("utf-16-be", (True, False, True, False)),
    ):
        if all(part > 0.6 if zero else part < 0.3 for part, zero in zip(zeros, is_zero, strict=True)):  # noqa: PLR2004
            return name
    return _by_line_ends(start[:4096])


def _by_line_ends(start: bytes) -> str | None:
    """Return UTF-16 if it gives text with most of the line ends: East Asian text has few other zeros."""
    for name in ("utf-16-le", "utf-16-be"):
        text = start[: len(start) // 2 * 2].decode(name, "replace")
        if 0 < start.count(b"\n") <= 2 * text.count("\n") and not _NO_UTF16.search(text):
            return name
    return None


def _is_utf8(chunk: bytes) -> bool:
    if chunk.isascii():
        return False
    try:
        codecs.getincrementaldecoder(UTF8)().decode(chunk)  # a character may continue in the next chunk
    except UnicodeDecodeError:
        return False
    return True


def _mark_invalid(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _INVALID, error.end


codecs.register_error("peopleinfo-invalid", _mark_invalid)
