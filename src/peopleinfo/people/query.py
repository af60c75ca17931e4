"""The text of a search box: terms, each with every reading it can have (words, dates, a phone number, an identifier)."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.people.folding import fold
from peopleinfo.people.identifiers import mail_of, phone_digits
from peopleinfo.people.query_dates import MONTH_WORDS, NAMED_DATE, parse_dates
from peopleinfo.people.words import PARTICLES, divide, is_cjk, split_postcode

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LENGTH: Final = 256  # characters of a query
MAX_TERMS: Final = 12
_MIN_PHONE: Final = 3  # digits of a term that can be a phone number
_TOKEN: Final = re.compile(
    r"(?P<mail>(?:mailto:)?<?[^\s<>,;\"()]+@[^\s<>,;\"()]+>?)"
    r"|(?P<digits>(?:tel:)?[+(]{0,2}\d[\d\s()./\-年月]*[日\d]?(?:\s?(?:ext\.?|x)\s?\d{1,6}\b)?(?![^\W_]))"
    r"|(?P<text>[^\s,;]+)"
)
_LETTER: Final = re.compile(r"[^\W\d_]")
_DIGIT: Final = re.compile(r"\d")
_UNREADABLE: Final = re.compile("[\ud800-\udfff]")


class Term(NamedTuple):
    """A part of a query, which must match a person in one of its readings."""

    words: tuple[str, ...]
    """Folded words, which must all match names or the address."""
    dates: tuple[str, ...] = ()
    phone: str = ""
    identifiers: tuple[str, ...] = ()
    """Index keys of an identifier."""

    @property
    def is_word(self) -> bool:
        """Whether the term is a single word without other readings but an identifier."""
        return len(self.words) == 1 and not (self.dates or self.phone)


class Query(NamedTuple):
    """The terms of a query, in their order."""

    terms: tuple[Term, ...]

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
    terms = tuple(_terms(unicodedata.normalize("NFKC", text).strip()))
    if not terms:
        raise InvalidSearch([FieldError("q", "must not be empty")])
    if len(terms) > MAX_TERMS:
        raise InvalidSearch([FieldError("q", f"must not contain more than {MAX_TERMS} words")])
    return Query(terms)


def _terms(text: str) -> Iterator[Term]:
    position = 0
    for found in NAMED_DATE.finditer(text):
        if any(fold(word) in MONTH_WORDS for word in re.findall(r"[^\W\d_]+", found[0])) and (
            dates := parse_dates(found[0])
        ):
            yield from _tokens(text[position : found.start()])
            yield Term(tuple(divide(found[0])), tuple(dates))
            position = found.end()
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
    return Term(tuple(divide(text)), tuple(parse_dates(text)), phone, (f"={fold(text)}",))


def _text(text: str) -> Iterator[Term]:
    """Yield a term for each word, or one term for a code such as E-0042, whose words belong together."""
    words = divide(text)
    if _LETTER.search(text) and _DIGIT.search(text):
        yield Term(tuple(half for word in words for half in split_postcode(word)), identifiers=(f"={fold(text)}",))
    else:
        yield from (Term((word,), identifiers=(f"={word}",)) for word in words)
