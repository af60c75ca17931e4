"""The text of a search box: terms, each with every reading it can have (words, dates, a phone number, an identifier)."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.people.folding import fold
from peopleinfo.people.identifiers import code_key, mail_of, phone_digits
from peopleinfo.people.keyboard_layouts import russian_text
from peopleinfo.people.month_names import QUERY_MONTHS
from peopleinfo.people.query_dates import NAMED_DATE, parse_dates
from peopleinfo.people.words import PARTICLES, divide, is_cjk, split_postcode

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LENGTH: Final = 256  # characters of a query
MAX_TERMS: Final = 12
INITIALS: Final = (2, 3)  # letters of a word that may consist of initials
_COMPLETE_DATE: Final = len("1984-11-05")
_MIN_PHONE: Final = 3  # digits of a term that can be a phone number
_TOKEN: Final = re.compile(
    r"(?P<mail>(?:mailto:)?<?[^\s<>,;\"()]+@[^\s<>,;\"()]+>?)"
    r"|(?P<digits>(?:tel:|明治|大正|昭和|平成|令和)?[+(]{0,2}\d[\d\s()./\-年月년월]*[日일\d]?(?:\s?(?:ext\.?|x)\s?\d{1,6}\b)?(?![^\W_]))"
    r"|(?P<text>[^\s,;]+)"
)
# A label before a phone number, a mail address or a complete date is part of the notation.
_LABEL: Final = re.compile(
    r"(?<!\w)(?:(?:tel|phone|mobile?|mob|cell|fax)\b[.:]*\s*(?=[+(\d])|(?:e-?)?mail:\s*(?=\S+@)"
    r"|(?:(?:geb|dob|d\.o\.b|born(?: on)?)\b[.:]*|\*)\s*(?=\d{1,4}[./\s-]{1,2}\d{1,2}[./\s-]{1,2}\d))",
    re.IGNORECASE,
)
# Titles before a name, which a record may have in another field. A title with a comma after it is a surname.
_TITLES: Final = re.compile(
    r"(?:^|(?<=,\s))(?:(?:mrs?|ms|mx|miss|dr|prof|professor|herrn?|frau|mme|mlle|monsieur|madame|sr|sra|srta|sig|sig\.ra|dhr|mevr|ing|dipl\.-ing|mag|med)"
    r"\b\.?\s+)+(?=[^\W\d_])",
    re.IGNORECASE,
)
_DASHES: Final = dict.fromkeys([*range(0x2010, 0x2016), 0x2212], "-")
_PHONE_PART: Final = re.compile(r"[\d\s()./+-]+")
_MAX_CODE_TERMS: Final = 4  # terms of a code that is written with blanks
_LETTER: Final = re.compile(r"[^\W\d_]")
_LETTERS: Final = re.compile(r"[^\W\d_]+")
_ALPHANUMERICS: Final = re.compile(r"\w+")
_DIGIT: Final = re.compile(r"\d")
_UNREADABLE: Final = re.compile("[\ud800-\udfff]")


class Term(NamedTuple):
    """A part of a query, which must match a person in one of its readings."""

    words: tuple[str, ...]
    """Folded words, which must all match names or the address."""
    dates: tuple[str, ...] = ()
    phone: str = ""
    phone_part: str = ""
    """Digits, with the zeros at the start, that can be a part of a phone number."""
    identifiers: tuple[str, ...] = ()
    """Index keys of an identifier."""

    @property
    def code(self) -> str:
        """The letters and digits of the term, "" for a mail address."""
        return next((key[1:] for key in self.identifiers if key[0] == "="), "")

    @property
    def is_word(self) -> bool:
        """Whether the term is a single word without other readings but an identifier."""
        return len(self.words) == 1 and not (self.dates or self.phone)


class Query(NamedTuple):
    """The terms of a query, in their order.

    `other_layout` is the text of its keys in another keyboard layout, "" if that is improbable.
    """

    terms: tuple[Term, ...]
    other_layout: str = ""

    @property
    def codes(self) -> dict[tuple[int, int], str]:
        """The index keys of identifiers that may be written with blanks, such as E 0042: of each run of terms that has a digit."""
        if len(self.terms) > _MAX_CODE_TERMS:
            return {}
        spans = [(start, end) for end in range(2, len(self.terms) + 1) for start in range(end - 1)]
        runs = {(start, end): [term.code for term in self.terms[start:end]] for start, end in spans}
        return {
            span: f"={''.join(parts)}" for span, parts in runs.items() if all(parts) and _DIGIT.search("".join(parts))
        }

    @property
    def is_plain(self) -> bool:
        """Whether the query consists of words without digits: no match has a word that the index lacks."""
        return all(term.is_word and not _DIGIT.search(term.words[0]) for term in self.terms)

    @property
    def words(self) -> list[str]:
        """The words of the terms that are single words."""
        return [term.words[0] for term in self.terms if term.is_word]

    @property
    def name_words(self) -> list[str]:
        """The words that select people: neither particles nor initials, unless the query has no other."""
        return [word for word in self.words if word not in PARTICLES and not is_initial(word)] or self.words


def is_initial(word: str) -> bool:
    """Return whether a word is a single letter of an alphabet."""
    return len(word) == 1 and not is_cjk(word)


def parse(text: str) -> Query:
    """Parse the text of a search box. Raises InvalidSearch."""
    if len(text) > MAX_LENGTH:
        raise InvalidSearch([FieldError("q", f"must not be longer than {MAX_LENGTH} characters")])
    if _UNREADABLE.search(text):
        raise InvalidSearch([FieldError("q", "must be valid Unicode text")])
    plain = unicodedata.normalize("NFKC", text).translate(_DASHES).strip()
    terms = tuple(_terms(_LABEL.sub("", _TITLES.sub("", plain)).strip()))
    if not terms:
        raise InvalidSearch([FieldError("q", "must not be empty")])
    if len(terms) > MAX_TERMS:
        raise InvalidSearch([FieldError("q", f"must not contain more than {MAX_TERMS} words")])
    return Query(terms, russian_text(plain))


def _terms(text: str) -> Iterator[Term]:
    position = start = 0
    while found := NAMED_DATE.search(text, start):
        has_month = any(fold(word) in QUERY_MONTHS for word in _LETTERS.findall(found[0]))
        if has_month and (dates := parse_dates(found[0])):
            yield from _tokens(text[position : found.start()])
            yield Term(tuple(divide(found[0])), tuple(dates))
            position = start = found.end()
        else:
            start = found.start() + len(_ALPHANUMERICS.findall(found[0])[0])
    yield from _tokens(text[position:])


def _tokens(text: str) -> Iterator[Term]:
    for token in _TOKEN.finditer(text):
        if token["mail"] and (mail := mail_of(token["mail"])):
            yield Term((), identifiers=(f"@{mail}",))
        elif token["digits"]:
            yield _digits(token["digits"].strip())
        else:
            yield from _text(token[0])


def _digits(text: str) -> Term:
    digits = phone_digits(text)
    phone = digits if len(_DIGIT.findall(text)) >= _MIN_PHONE else ""
    dates = parse_dates(text)
    is_date = not text.isdecimal() and any(len(date) == _COMPLETE_DATE for date in dates)
    part = "".join(_DIGIT.findall(text)) if _PHONE_PART.fullmatch(text) and not is_date else ""
    return Term(tuple(divide(text)), tuple(dates), phone, part, (f"={code_key(text)}",))


def _text(text: str) -> Iterator[Term]:
    """Yield a term for each word, or one term for a code such as E-0042, whose words belong together."""
    words = divide(text)
    if _LETTER.search(text) and _DIGIT.search(text):
        yield Term(tuple(half for word in words for half in split_postcode(word)), identifiers=(f"={code_key(text)}",))
    else:
        yield from (Term((word,), identifiers=(f"={word}",)) for word in words)
