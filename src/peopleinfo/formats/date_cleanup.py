"""Texts of dates: remove the time of day, the day of the week and marks of programs, before a date is read."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_CLOCK: Final = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,:]\d+)?)?\s*(?:[ap]\.?m\.?|Uhr|h)?"
_ZONE: Final = r"(?:Z|UTC|GMT|[A-Z]{3,4}T)?\s*(?:[+-]\d{2}(?::?\d{2})?)?(?:\s*[A-Z]{3,4})?(?:\s*[\[(][^\])]*[\])])?"
_TIME: Final = re.compile(rf"[T ,]\s*(?:午前|午後|上午|下午|오전|오후)?\s*{_CLOCK}\s*{_ZONE}", re.IGNORECASE | re.ASCII)
# 00.00.00 after a date, as Oracle and Italian programs write; a zone after an ISO date, as in XML; a time of LDAP.
_TIME_WITH_PERIODS: Final = re.compile(r"(?<=\d\d) \d{2}\.\d{2}\.\d{2}(?:[.,]\d+)?(?:\s*[AP]M)?", re.ASCII)
_ZONE_OF_DATE: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:Z|[+-]\d\d:\d\d)", re.ASCII)
# 19900211T101500Z in ISO 8601, 19900211101500Z in LDAP, 199002111015 in HL7.
_BASIC_TIME: Final = re.compile(
    r"(\d{8})T\d{2}(?:\d{2}){0,2}(?:[.,]\d+)?(?:Z|[+-]\d{2}:?\d{2})?|((?:1[89]|20)\d{6})(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?(?:\.\d+)?(?:Z|[+-]\d{4})?",
    re.ASCII,
)
# `Sun Feb 11 00:00:00 CET 1990`
_TIME_BEFORE_YEAR: Final = re.compile(r" \d{2}:\d{2}:\d{2}(?: [A-Z]{3,5})?(?= \d{4}$)", re.ASCII)
_WEEKDAYS: Final = (
    "mon|tue|tues|wed|weds|thu|thur|thurs|fri|sat|sun|monday|tuesday|wednesday|thursday|friday|saturday|sunday|mo|di|mi|do|fr|sa|so|"
    "montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonnabend|sonntag|lun|mar|mer|jeu|ven|sam|dim|lundi|mardi|mercredi|jeudi|vendredi|"
    "samedi|dimanche|lunes|martes|miércoles|jueves|viernes|sábado|domingo|lunedì|martedì|mercoledì|giovedì|venerdì|sabato|domenica|"
    "segunda-feira|terça-feira|quarta-feira|quinta-feira|sexta-feira|maandag|dinsdag|woensdag|donderdag|vrijdag|zaterdag|zondag|"
    "måndag|tisdag|onsdag|torsdag|fredag|lördag|söndag|mandag|tirsdag|lørdag|søndag"
)
_WEEKDAY: Final = re.compile(rf"(?:{_WEEKDAYS})(?:\.,?|,)?\s+(?=\S*\d|\w+\.? \d)", re.IGNORECASE)
_INVISIBLE: Final = dict.fromkeys(
    map(ord, "\u200b\u200c\u200d\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff")
)
_DASHES: Final = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212"), "-")
# How programs keep a spreadsheet from changing a text: '1990-02-11 and ="1990-02-11".
_PROTECTED: Final = re.compile(r"'(?=\d)|=\"(?=[^\"]*\"$)")
_PART: Final = r"(\d{1,4}|[?xX_*]{1,4})"
_UNKNOWN_PARTS: Final = re.compile(rf"{_PART}([-/.]){_PART}(?:\2{_PART})?", re.ASCII)
_YEAR_SUFFIX: Final = re.compile(r"(?<=\d{4})\s*(?:г|р|r)(?:\.|ода|оку)?$")  # noqa: RUF001
# Words before a birthdate, and a day of the week after it.
_BORN: Final = re.compile(
    r"(?:\*|(?:born|geb\.?|geboren|née?|nato|nata|f\.|ur\.|nar\.)\s(?:on|am|le|il)?)\s*(?=\d)", re.IGNORECASE
)
_WEEKDAY_AFTER: Final = re.compile(
    r"\s*[(][日月火水木金土一二三四五六][)]$|(?<=\d{4})\s+(?:pazar|pazartesi|sal\u0131|çarşamba|perşembe|cuma|cumartesi)$",
    re.IGNORECASE,
)
# Parts with words, or without separators: ngày 11 tháng 2 năm 1990, 11FEB1990.
_VIETNAMESE: Final = re.compile(r"(?:ngày\s+)?(\d{1,2})\s+tháng\s+(\d{1,2})(?:,|\s+năm)?\s+(\d{4})", re.IGNORECASE)
_SAS: Final = re.compile(r"(\d{1,2})([A-Za-z]{3})(\d{4}|\d{2})", re.ASCII)

# The year before the first one of an era, and the number of its years.
_ERAS: Final = {"明治": (1867, 45), "大正": (1911, 15), "昭和": (1925, 64), "平成": (1988, 31), "令和": (2018, 99), "民國": (1911, 999),
                "民国": (1911, 999), "M": (1867, 45), "T": (1911, 15), "S": (1925, 64), "H": (1988, 31), "R": (2018, 99)}  # fmt: skip
_ERA_DATE: Final = re.compile(
    rf"({'|'.join(_ERAS)})\s*(\d{{1,3}}|元)\s*[年./-]\s*(\d{{1,2}})\s*[月./-]\s*(\d{{1,2}})\s*日?", re.ASCII
)


def normal_date(text: str) -> str:
    """Return a date without a time of day, a day of the week and marks of programs, with ASCII digits and zeros for unknown parts."""
    text = _ascii(text.strip())
    if _PROTECTED.match(text):
        text = text.lstrip("='\"").rstrip('"')
    text = _WEEKDAY_AFTER.sub("", _BORN.sub("", _without_time(text), count=1))
    text = _WEEKDAY.sub("", text, count=1) if _WEEKDAY.match(text) else text
    if match := _UNKNOWN_PARTS.fullmatch(text):
        return match[2].join(part if part.isdigit() else "0" * len(part) for part in match.group(1, 3, 4) if part)
    if match := _ERA_DATE.fullmatch(text):
        start, years = _ERAS[match[1]]
        year = 1 if match[2] == "元" else int(match[2])
        return f"{start + year}-{int(match[3]):02}-{int(match[4]):02}" if year <= years else text
    return _without_words(_YEAR_SUFFIX.sub("", text))


def _without_words(text: str) -> str:
    """Return a date without the words between its parts."""
    if match := _SAS.fullmatch(text):
        return " ".join(match.groups())
    if match := _VIETNAMESE.fullmatch(text):
        return f"{match[3]}-{int(match[2]):02}-{int(match[1]):02}"
    return text


def _ascii(text: str) -> str:
    """Return a text in compatibility characters with ASCII digits and hyphens, without invisible marks."""
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", text.translate(_INVISIBLE)).translate(_DASHES)
    return "".join(str(unicodedata.digit(c, c)) for c in text).strip()


def _without_time(text: str) -> str:
    if match := _ZONE_OF_DATE.fullmatch(text):
        return match[1]
    if match := _BASIC_TIME.fullmatch(text):
        return match[1] or match[2]
    match = _TIME.search(text) if ":" in text else _TIME_WITH_PERIODS.search(text)
    if match and match.end() == len(text):
        return text[: match.start()].rstrip(" ,")
    return _TIME_BEFORE_YEAR.sub("", text)
