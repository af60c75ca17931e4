"""Scores: the probability that two records are one person, from three hypotheses (one person, relatives, strangers).

The evidence of a field is the log2 of a likelihood ratio, in bits (the Fellegi-Sunter model). Relatives are an addition: people of one
household share surname and address, so these are no evidence against relatives. Pure functions of two records and the frequencies.
"""

from __future__ import annotations

from functools import lru_cache
from math import log2
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from peopleinfo.matching import field_comparison
from peopleinfo.matching.weights import (
    ADDRESS,
    BECAUSE,
    BECAUSE_IDENTIFIER,
    BIRTHDATE,
    HALF_SWAPPED,
    IDENTIFIER,
    NAME,
    PHONE,
    SURNAME,
    SWAPPED,
    Weights,
)
from peopleinfo.people.fields import FIELDS
from peopleinfo.people.identifiers import is_phone_field

if TYPE_CHECKING:
    from peopleinfo.matching.frequencies import Frequencies
    from peopleinfo.matching.match_record import MatchRecord

Grade = Literal["certain", "probable", "possible"]
GRADES: Final[tuple[tuple[Grade, float], ...]] = (("certain", 0.999), ("probable", 0.9), ("possible", 0.5))
MIN_PROBABLE: Final = dict(GRADES)["probable"]
_STRAIGHT: Final = 8  # bits of names in their own fields that make a swap implausible
_SWAPPABLE: Final = ("exact", "near")
_CLEAR_ORDER: Final = 2  # bits by which one order of name and surname is more plausible than the other
_SAME_ADDRESS: Final = ("same", "most", "part")
_SAME_BIRTHDATE: Final = ("exact", "swapped", "near")


class Evidence(msgspec.Struct, frozen=True):
    """The evidence of one field, without its values: the kind of agreement, and the bits against strangers and against relatives."""

    field: str
    agreement: str
    bits: float
    against_relatives: float
    because: str

    @property
    def is_identifier(self) -> bool:
        """Whether the field is an identifier, not one of the standard fields."""
        return self.field not in FIELDS


class Score(NamedTuple):
    """The evidence of a pair, and whether it may be certain.

    A pair may be certain only with the same first name and birthdate. Twins called Marina and Martina have all else in common, and so have a
    father and his son of one name without birthdates: also the telephone and the mail address of the family.
    """

    evidence: tuple[Evidence, ...]
    reliable: bool

    @property
    def bits(self) -> float:
        """The evidence against strangers."""
        return sum(item.bits for item in self.evidence)

    @property
    def against_relatives(self) -> float:
        """The evidence against relatives."""
        return sum(item.against_relatives for item in self.evidence)

    def assess(self, people: int, relatives: float) -> Assessment:
        """Return probability and grade in a store of so many people, with so many relatives per person."""
        strangers = max(people, 2) * 2**-self.bits
        kin = relatives * 2**-self.against_relatives
        probability = 1 / (1 + strangers + kin)
        grade = next((grade for grade, least in GRADES if probability >= least), None)
        if grade == "certain" and not self.reliable:
            grade = "probable"
        return Assessment(grade, probability, kin * probability)


class Assessment(NamedTuple):
    """The grade of a pair (None below `possible`), the probability of one person, and the probability of relatives."""

    grade: Grade | None
    probability: float
    relatives: float


def score(p: MatchRecord, q: MatchRecord, frequencies: Frequencies) -> Score:
    """Weigh all agreements of two records. `frequencies` holds the counts of `count_keys(p)`."""
    address = field_comparison.addresses(p, q, frequencies.common_words)
    return _score(p, q, frequencies, _evidence("person_address", address, ADDRESS[address]) if address else None)


def best_score(p: MatchRecord, q: MatchRecord, frequencies: Frequencies) -> Score:
    """Return a score that the pair does not exceed, without the costly comparison of the words of addresses."""
    have_addresses = (p.numbers or p.words) and (q.numbers or q.words)
    best = _OTHER_NUMBERS if p.numbers.isdisjoint(q.numbers) else _SAME_NUMBER
    return _score(p, q, frequencies, best if have_addresses else None)


def _score(p: MatchRecord, q: MatchRecord, frequencies: Frequencies, address: Evidence | None) -> Score:
    """Weigh the agreements of all fields but the address, whose evidence is given."""
    evidence, same_name = _names(p, q, frequencies)
    placeholder = frequencies.birthdate(p.birthdate)
    if birthdate := field_comparison.birthdates(p, q):
        evidence.append(_birthdate(birthdate, placeholder))
    if address:
        evidence.append(address)
    evidence += _identifiers(p, q)
    same_birthdate = birthdate in _SAME_BIRTHDATE and not placeholder
    reliable = same_name and same_birthdate and p.generation == q.generation and not _are_apart(evidence)
    return Score(tuple(evidence), reliable)


def are_relatives(evidence: tuple[Evidence, ...]) -> bool:
    """Return whether a pair counts as two relatives: different first names, one surname and one address."""
    if not evidence or evidence[0].agreement != "differs":
        return False
    agreements = {item.field: item.agreement for item in evidence}
    fields = ("person_name", "person_surname", "person_address")
    return tuple(map(agreements.get, fields)) == ("differs", "exact", "same")


def _are_apart(evidence: list[Evidence]) -> bool:
    """Return whether the surname differs, and neither an address nor an identifier is the same."""
    agreements = {(item.field, item.agreement) for item in evidence}
    is_elsewhere = agreements.isdisjoint(("person_address", each) for each in _SAME_ADDRESS)
    is_identified = any(item.is_identifier and item.agreement == "same" for item in evidence)
    return ("person_surname", "differs") in agreements and is_elsewhere and not is_identified


def _evidence(field: str, agreement: str, weights: Weights, frequency: float = 1.0) -> Evidence:
    found = _fixed_evidence(field, agreement, weights)
    return found if frequency == 1.0 else replace(found, bits=found.bits - log2(frequency))


@lru_cache(256)  # there are few fields and agreements
def _fixed_evidence(field: str, agreement: str, weights: Weights) -> Evidence:
    because = BECAUSE.get((field, agreement)) or BECAUSE_IDENTIFIER[agreement]
    return Evidence(field, agreement, weights.bits, weights.against_relatives, because)


def _best_address(agreement: str) -> Evidence:
    """Return evidence that exceeds that of an address with this agreement or a weaker one."""
    weaker = list(ADDRESS)[list(ADDRESS).index(agreement) :]
    against_relatives = max(0.0, *(ADDRESS[each].against_relatives for each in weaker))  # 0: all words are common
    return replace(_evidence("person_address", agreement, ADDRESS[agreement]), against_relatives=against_relatives)


_SAME_NUMBER: Final = _best_address("same")
_OTHER_NUMBERS: Final = _best_address("part")


def _birthdate(agreement: str, share: float) -> Evidence:
    """Weigh a birthdate; the equality of a placeholder such as 1900-01-01 is as frequent as the placeholder."""
    found = _evidence("person_birthdate", agreement, BIRTHDATE[agreement])
    if agreement != "exact" or not share:
        return found
    return replace(found, bits=min(found.bits, -log2(share)), against_relatives=0.0)


def _identifiers(p: MatchRecord, q: MatchRecord) -> list[Evidence]:
    """Return the evidence of each identifier that both records have; of several values, the best agreement counts."""
    evidence: list[Evidence] = []
    if not (p.identifiers and q.identifiers):
        return evidence
    for field in dict.fromkeys(field for field, _ in p.identifiers):
        pairs = [(a, b) for f, a in p.identifiers for g, b in q.identifiers if f == g == field]
        agreements = {field_comparison.identifiers(a, b) for a, b in pairs}
        if agreement := next((each for each in IDENTIFIER if each in agreements), None):
            weights = PHONE if is_phone_field(field) else IDENTIFIER
            evidence.append(_evidence(field, agreement, weights[agreement]))
    return evidence


def _names(p: MatchRecord, q: MatchRecord, frequencies: Frequencies) -> tuple[list[Evidence], bool]:
    """Return the evidence of both names, and whether the first names are equal beyond doubt."""
    evidence = []
    if name := field_comparison.names(p, q):
        evidence.append(_name(name, frequencies.name(p.first)))
    if surname := field_comparison.surnames(p, q):
        share = _surname_share(surname, p, q, frequencies)
        evidence.append(_evidence("person_surname", surname, SURNAME[surname], share))
    straight = sum(item.bits for item in evidence)
    if straight < _STRAIGHT and field_comparison.may_be_swapped(p, q):
        swapped = _swapped(p, q, frequencies)
        mirrored = _swapped(q, p, frequencies) if swapped and swapped[0].bits > straight else None
        if swapped and mirrored and mirrored[0].bits > straight:
            return [_weaker(swapped[0], mirrored[0])], swapped[1] and mirrored[1]
    return evidence, name == "exact" and (surname != "differs" or _is_first_name(p, frequencies))


def _weaker(a: Evidence, b: Evidence) -> Evidence:
    """Return the weaker of two readings of a pair, so that the order of the records has no effect."""
    against_relatives = min(a.against_relatives, b.against_relatives)
    return replace(min(a, b, key=lambda item: item.bits), against_relatives=against_relatives)


def _is_first_name(p: MatchRecord, frequencies: Frequencies) -> bool:
    """Return whether counts show that the first name is one. If not, it may be the surname of twins, both with swapped names."""
    return frequencies.first_name_bits(p.first) >= _CLEAR_ORDER


def _name(agreement: str, share: float) -> Evidence:
    found = _evidence("person_name", agreement, NAME[agreement], share if agreement in ("exact", "second") else 1.0)
    return replace(found, against_relatives=_name_against_relatives(agreement, share))


def _name_against_relatives(agreement: str, share: float) -> float:
    weights = NAME[agreement]
    return log2(weights.same / max(weights.relatives, share if agreement == "exact" else 0.0))


def _surname_share(agreement: str, p: MatchRecord, q: MatchRecord, frequencies: Frequencies) -> float:
    if agreement == "exact":
        return frequencies.surname(p.surname)
    if agreement == "part":
        return min(map(frequencies.surname, field_comparison.shared_parts(p.surnames, q.surnames)))
    return 1.0


class _Swap(NamedTuple):
    """Two records of which one has name and surname in each other's field, both with the order of the first record and of the second."""

    p: MatchRecord
    mirrored_q: MatchRecord
    mirrored_p: MatchRecord
    q: MatchRecord

    def readings(self, frequencies: Frequencies) -> list[tuple[MatchRecord, MatchRecord]]:
        """Return the pairs to compare: both orders, or the plausible one if frequencies show which record is swapped."""
        in_order = frequencies.first_name_bits(self.p.first) - frequencies.first_name_bits(self.p.surname)
        second, first = (self.p, self.mirrored_q), (self.mirrored_p, self.q)
        if abs(in_order) < _CLEAR_ORDER:
            return [second, first]
        return [second] if in_order > 0 else [first]


def _swapped(p: MatchRecord, q: MatchRecord, frequencies: Frequencies) -> tuple[Evidence, bool] | None:
    """Weigh name and surname as if one record had them, or one of them, in each other's field; also return whether the first names are equal.

    The swap is no evidence against relatives, because a relative's record may be swapped too; only the resulting first name is.
    """
    swap = _Swap(p, _mirrored(q), _mirrored(p), q)
    name, surname = field_comparison.names(p, swap.mirrored_q), field_comparison.surnames(p, swap.mirrored_q)
    shares = []
    if name in _SWAPPABLE:
        shares.append(frequencies.surname(p.name) if name == "exact" else SURNAME["near"].strangers)
    if surname in _SWAPPABLE:
        shares.append(frequencies.name(p.surname) if surname == "exact" else NAME["near"].strangers)
    if not shares:
        return None
    agreement, weights = ("swapped", SWAPPED) if len(shares) > 1 else ("half_swapped", HALF_SWAPPED)
    readings = swap.readings(frequencies)
    against = min(_pair_against_relatives(a, b, frequencies) for a, b in readings)
    bits = weights.bits - sum(map(log2, shares))
    equal = agreement == "swapped" and all(field_comparison.names(a, b) == "exact" for a, b in readings)
    return Evidence("person_name", agreement, bits, against, BECAUSE["person_name", agreement]), equal


def _mirrored(record: MatchRecord) -> MatchRecord:
    return record._replace(names=record.surnames, name=record.surname, surnames=record.names, surname=record.name)


def _pair_against_relatives(p: MatchRecord, q: MatchRecord, frequencies: Frequencies) -> float:
    name, surname = field_comparison.names(p, q) or "differs", field_comparison.surnames(p, q) or "differs"
    return _name_against_relatives(name, frequencies.name(p.first)) + SURNAME[surname].against_relatives
