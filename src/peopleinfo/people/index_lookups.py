"""The lookups of a query in the search index: exact words and prefixes first, then similar words."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final

from peopleinfo.people.identifiers import phone_key, phone_keys
from peopleinfo.people.index_entries import ADDRESS, BIRTHDATE, IDENTIFIER, NAME, address_key, address_parts, is_generic
from peopleinfo.people.nicknames import familiar_names
from peopleinfo.people.search_index import Lookup
from peopleinfo.people.similarity import MIN_VOCABULARY_LENGTH, is_near, is_typo
from peopleinfo.people.text_query import INITIALS, is_initial
from peopleinfo.people.words import MIN_COLLAPSED_PREFIX, PARTICLES, collapse, is_cjk, without_particle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from peopleinfo.people.text_query import Query

CODE: Final = "#"  # first character of a code: an index of hashes has codes in place of words
# Bounds of the lookups of a query, of which `search_index.MAX_LOOKUPS` are made: all parts of a query need some.
_MAX_PAIRED: Final = 3  # words; with more, the lookups of their pairs would take the place of other lookups
_MAX_STARTS: Final = 2  # terms; with more, the whole words select few enough people
_MAX_SPLIT: Final = (
    6  # characters of a Chinese, Japanese or Korean word that may be a whole name; longer words are none
)
_MAX_SIMILAR_WORDS: Final = 3  # words that are looked up in the vocabulary, each for several lookups
_MAX_VARIANTS: Final = 16  # other spellings of a word in front of its nicknames
_MIN_PREFIX: Final = 2  # letters; too many names start with one letter
_COLLAPSIBLE: Final = frozenset("aou")  # vowels of two letters in another spelling, for example ae


def exact_lookups(query: Query, *, is_readable: bool) -> list[Lookup]:
    """Return the lookups of the first round."""
    words = query.name_words
    found = [
        *_identifiers(query),
        *_dates(query, words, is_readable=is_readable),
        *_names(query, words, is_readable=is_readable),
        *_addresses(query, words, is_readable=is_readable),
        *_joined(query, is_readable=is_readable),
    ]
    return list(dict.fromkeys(found))


def start_lookups(query: Query) -> list[Lookup]:
    """Return the lookups of the starts of words of addresses, next to at most one name, for a readable index."""
    words = query.name_words
    if len(query.terms) > _MAX_STARTS:
        return []
    return [
        Lookup(ADDRESS + key, _starts(word for word in words if address_key(word) != key), is_prefix=True)
        for key in _selective(query, words)
        if len(key) > _MIN_PREFIX or is_cjk(key)
    ]


def words_for_vocabulary(query: Query) -> list[str]:
    """Return the words to look up in the vocabulary, the longest first."""
    words = [word for word in query.name_words if len(word) >= MIN_VOCABULARY_LENGTH or _may_be_collapsed(word)]
    return sorted(dict.fromkeys(words), key=len, reverse=True)[:_MAX_SIMILAR_WORDS]


def _may_be_collapsed(word: str) -> bool:
    """Return whether a short word has a collapsed form, or may be one: Mae, and Bär for Baer."""
    return collapse(word) != word or (len(word) == MIN_VOCABULARY_LENGTH - 1 and not _COLLAPSIBLE.isdisjoint(word))


def variants(word: str, similar: Iterable[str]) -> list[str]:
    """Return the other words that a search for a word finds: collapsed forms, nicknames, typos, then words with the same sound."""
    found = {name for name in similar if name != word and (name.startswith(CODE) or is_near(word, name))}
    ranked = sorted(found, key=lambda name: (collapse(name) != collapse(word), not is_typo(word, name), name))
    stem = without_particle(word)
    before = [name for name in (collapse(word), stem) if name and name != word]
    spelled = [name for name in ranked if collapse(name) == collapse(word) or is_typo(word, name)]
    return list(dict.fromkeys([*before, *spelled[:_MAX_VARIANTS], *familiar_names(word), *ranked]))


def forgiving_lookups(query: Query, similar: dict[str, set[str]], *, is_readable: bool) -> list[Lookup]:
    """Return the lookups of people that match with similar words, the best first."""
    words = list(dict.fromkeys(query.name_words))
    forms = {word: variants(word, similar.get(word, ())) for word in words}
    drivers = sorted(words, key=lambda word: (len(forms[word]), -len(word)))
    queues = [list(_driven_by(word, words, forms, is_readable=is_readable)) for word in drivers]
    heads = [queue[0] for queue in queues if queue]  # each word of the query as it is, before the variants of any
    return list(dict.fromkeys(chain(heads, *queues)))


def _driven_by(word: str, words: Sequence[str], forms: dict[str, list[str]], *, is_readable: bool) -> Iterator[Lookup]:
    """Yield the lookups of a word and of its variants, filtered by the variants of the other words."""
    filters = {
        other: _filter(other, is_readable=is_readable) | frozenset(forms[other]) for other in words if other != word
    }
    others = tuple(filters.values())
    if others:
        yield Lookup(NAME + word, others)
    if is_readable:
        for other in filters:
            if initials := _initials(other):
                rest = tuple(names for name, names in filters.items() if name != other)
                yield Lookup(NAME + word, (*initials, *rest))
    yield from (Lookup(NAME + form, others) for form in forms[word])


def _filter(word: str, *, is_readable: bool) -> frozenset[str]:
    """Return the filter for people with a word, with a longer word (in a readable index), or with its initial."""
    return frozenset([f"{word}*" if is_readable else word, word[:1]])


def _initials(word: str) -> tuple[frozenset[str], ...]:
    """Return the filters for people with the letters of a word, such as MJ, as the initials of their first names."""
    is_possible = len(word) in INITIALS and word.isascii()
    return tuple(frozenset([f"{letter}*"]) for letter in dict.fromkeys(word)) if is_possible else ()


def _filters(words: Iterable[str], *, is_readable: bool) -> tuple[frozenset[str], ...]:
    """Return a filter for each word; an index of hashes cannot compare initials."""
    return tuple(
        _filter(word, is_readable=is_readable) for word in dict.fromkeys(words) if is_readable or not is_initial(word)
    )


def _starts(words: Iterable[str]) -> tuple[frozenset[str], ...]:
    """Return a filter for the start of each word: a prefix that is common has too many entries to compare initials."""
    return tuple(frozenset([f"{word}*"]) for word in dict.fromkeys(words))


def _identifiers(query: Query) -> Iterator[Lookup]:
    for term in query.terms:
        if term.phone:
            keys = phone_keys(term.phone) if len(query.terms) == 1 else [phone_key(term.phone)]
            yield from (Lookup(f"{IDENTIFIER}+{key}") for key in keys)
        if not term.is_word or len(query.terms) == 1 or any(map(str.isdecimal, term.code)):
            yield from (Lookup(IDENTIFIER + key) for key in term.identifiers)
    yield from (Lookup(IDENTIFIER + key) for key in query.codes.values())


def _dates(query: Query, words: Sequence[str], *, is_readable: bool) -> Iterator[Lookup]:
    for term in query.terms:
        for text in term.dates:
            if text.startswith("--"):
                yield Lookup(BIRTHDATE + text)
            else:
                is_partial = text.count("-") < 2  # noqa: PLR2004 - a complete date has two hyphens
                for names in [(), *((name,) for name in _filters(words, is_readable=is_readable))]:
                    if is_readable or not is_partial:
                        yield Lookup(BIRTHDATE + text, names, is_prefix=is_partial)


def _names(query: Query, words: Sequence[str], *, is_readable: bool) -> Iterator[Lookup]:
    every = [word for word in query.words if word not in PARTICLES or word in words]
    selective = [word for word in words if not is_generic(word)]
    paired = selective if len(selective) <= _MAX_PAIRED else []
    drivers = [word for word in words if not word.isdecimal()] or words  # a house number is no name next to other words
    for word in dict.fromkeys(drivers):
        others = _filters((other for other in every if other != word), is_readable=is_readable)
        is_broad = not others and not all(term.is_word for term in query.terms)  # next to a date or a number
        yield Lookup(NAME + word, others, is_broad=is_broad)
        if others and word in paired:  # the others may be words of the address
            yield Lookup(NAME + word, is_broad=True)
        if is_readable and (len(word) >= _MIN_PREFIX or is_cjk(word)):
            starts = _starts(other for other in every if other != word)
            yield Lookup(NAME + word, starts, is_prefix=True, is_broad=is_broad)
            if (form := collapse(word)) != word and len(form) >= MIN_COLLAPSED_PREFIX:
                yield Lookup(NAME + form, starts, is_prefix=True, is_broad=is_broad)
        if is_cjk(word) and 1 < len(word) <= _MAX_SPLIT:
            yield from _split(word, is_readable=is_readable)


def _split(word: str, *, is_readable: bool) -> Iterator[Lookup]:
    """Yield the lookups of a word as a surname and the first name, or its start, behind it."""
    for end in range(1, len(word)):
        yield Lookup(NAME + word[:end], (frozenset([f"{word[end:]}*" if is_readable else word[end:]]),))


def _joined(query: Query, *, is_readable: bool) -> Iterator[Lookup]:
    """Yield the lookups of neighbouring words as one word, in the first field that has them joined."""
    words = query.words
    if len(words) > _MAX_PAIRED + 1:
        return
    for start, end in _spans(words):
        rest = [word for word in (*words[:start], *words[end:]) if word not in PARTICLES]
        joined = NAME + "".join(words[start:end])
        yield Lookup(joined, _filters(rest, is_readable=is_readable))
        if is_readable:
            yield Lookup(joined, _starts(rest), is_prefix=True)
    if len(words) == 2 and all(map(is_cjk, words)):  # noqa: PLR2004 - surname and first name, in either order
        yield from (Lookup(NAME + second + first) for first, second in pairwise(words))


def _spans(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the spans of neighbouring words without house numbers, the short spans first."""
    for size in range(2, len(words) + 1):
        for start in range(len(words) - size + 1):
            if not any(map(str.isdecimal, words[start : start + size])):
                yield start, start + size


def _addresses(query: Query, words: Sequence[str], *, is_readable: bool) -> Iterator[Lookup]:
    selective = _selective(query, words)
    yield from (Lookup(ADDRESS + word, is_broad=len(query.terms) > 1) for word in selective)
    named = [word for word in words if not is_initial(word) and not is_generic(word)]
    if len(named) > _MAX_PAIRED:
        return
    for word in selective:
        others = [other for other in named if address_key(other) != word]
        yield from (Lookup(ADDRESS + word, _filters([other], is_readable=is_readable)) for other in others)
        if len(others) > 1:
            yield Lookup(ADDRESS + word, _filters(others, is_readable=is_readable))


def _selective(query: Query, words: Sequence[str]) -> list[str]:
    """Return the words of a query under which an address can be indexed."""
    numbers = [word for term in query.terms if not term.is_word for word in (*term.words, term.code)]
    parts = [part for word in words for part in address_parts(word)]
    return [key for key in dict.fromkeys(map(address_key, [*parts, *numbers])) if key and not is_generic(key)]
