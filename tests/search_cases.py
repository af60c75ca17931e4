"""Cases of the search for people: stored people, queries and the people that each query finds, in their order."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from peopleinfo.people.person import PersonData


class SearchCase(NamedTuple):
    """Stored people (`first name | surname`, the rest as fields) and the expected first names of each query."""

    people: list[PersonData]
    queries: dict[str, list[str]]


def person(name: str | None, surname: str | None = None, **fields: Any) -> PersonData:
    """Return a person; `born` and `address` are the standard fields, all others custom fields."""
    return PersonData(
        person_name=name,
        person_surname=surname,
        person_birthdate=fields.pop("born", None),
        person_address=fields.pop("address", None),
        extra=fields,
    )


OTHERS: Final = [
    person("Zed", "Zorn"),
    person("Quirin", "Quast", address="99 Nowhere", born="1901-01-01", phone="999 999"),
]

SEPARATORS: Final = SearchCase(
    [person("María", "García-López"), person("Rosa", "Garcia Lopez"), person("Orla", "O’Brien"),
     person("Iain", "MacDonald"), person("Ewan", "Mac Donald"), person("Jean-Luc", "St. John")],
    {"Garcia Lopez": ["María", "Rosa"], "garcialopez": ["María", "Rosa"], "García-López": ["María", "Rosa"],
     "O Brien": ["Orla"], "o'brien": ["Orla"], "OBRIEN": ["Orla"], "macdonald": ["Ewan", "Iain"], "Mac Donald": ["Ewan", "Iain"],
     "stjohn": ["Jean-Luc"], "St John": ["Jean-Luc"], "Saint John": ["Jean-Luc"], "jeanluc": ["Jean-Luc"], "Jean Luc": ["Jean-Luc"]},
)  # fmt: skip
PARTICLES: Final = SearchCase(
    [person("Piet", "van der Berg"), person("Layla", "Al-Masri"), person("Omar", "Al Masri"), person("Inés", "de la Cruz"),
     person("Nia", "Vandenbosch")],
    {"Berg": ["Piet"], "Berg, Piet": ["Piet"], "vanderberg": ["Piet"], "van der Berg": ["Piet"], "vd Berg": ["Piet"], "v.d. Berg": ["Piet"], "Piet van der Berg": ["Piet"],
     "Al Masri": ["Layla", "Omar"], "almasri": ["Layla", "Omar"], "Masri": ["Layla", "Omar"], "Cruz": ["Inés"], "delacruz": ["Inés"],
     "cruz ines": ["Inés"], "van den Bosch": ["Nia"], "Bosch": ["Nia"]},
)  # fmt: skip
MISSING_PARTICLES: Final = SearchCase(
    [person("Nia", "Berg"), person("Ben", "Roth"), person("Eve", "Roth")],
    {"van der Berg": ["Nia"], "Nia van der Berg": ["Nia"], "vanderberg": ["Nia"], "Ben Roth": ["Ben"], "Roth": ["Ben", "Eve"]},
)  # fmt: skip
PARTS: Final = SearchCase(
    [person("María", "García-López"), person("Anna Maria", "Roth"), person("Anna", "Müller"), person("Ida Harte")],
    {"Lopez": ["María"], "María García López": ["María"], "maria lop": ["María"], "gar": ["María"],
     "Roth, Maria": ["Anna Maria"], "Anna-Maria Roth": ["Anna Maria"], "Roth, Anna": ["Anna Maria"], "annamaria": ["Anna Maria"],
     "Roth Anna Maria": ["Anna Maria"], "Maria Anna Roth": ["Anna Maria"], "Anna": ["Anna", "Anna Maria"],
     "Müller Anna": ["Anna"], "A. Müller": ["Anna"], "A M Roth": ["Anna Maria"], "harte": ["Ida Harte"], "Harte, Ida": ["Ida Harte"],
     "Frau Anna Müller": ["Anna"], "Fr. Dr. Zorn": [], "Prof. Dr. Anna Müller": ["Anna"], "Müller, Dr. Anna": ["Anna"], "Mr Harte": ["Ida Harte"],
     "Ida Müller": [], "Anna Zorn": [], "%": [], "*": [], "a*": []},
)  # fmt: skip
UMLAUTS: Final = SearchCase(
    [person("Anna", "Müller"), person("Lars", "Sørensen"), person("Åse", "Ågård"), person("Per", "Aagaard"),
     person("Uwe", "Groß"), person("Eva", "Mueller")],
    {"Mueller": ["Eva", "Anna"], "Muller": ["Anna", "Eva"], "Müller": ["Anna", "Eva"], "Soerensen": ["Lars"], "Sorensen": ["Lars"],
     "Aagaard": ["Per", "Åse"], "Ågård": ["Åse", "Per"], "Gross": ["Uwe"], "Gröss": ["Uwe"],
     "muell": ["Eva", "Anna"], "soerense": ["Lars"], "mue": ["Eva"]},
)  # fmt: skip
SCRIPTS: Final = SearchCase(
    [person("太郎", "山田"), person("丽", "张"), person(None, "山田花子"), person("一郎", "髙橋"), person("철수", "김"),
     person("أحمد", "الدوري"), person("محمد", "محمود"), person("שלום", "כהן"), person("次郎", "佐々木"), person("さくら", "田中"), person("美咲", "齋藤"), person("建国", "刘")],
    {"山田太郎": ["太郎"], "佐佐木次郎": ["次郎"], "田中サクラ": ["さくら"], "斎藤": ["美咲"], "劉建國": ["建国"], "山田 太郎": ["太郎"], "太郎 山田": ["太郎"], "张丽": ["丽"], "張麗": ["丽"], "张": ["丽"],
     "花子": [""], "山田 花子": [""], "山田花子": [""], "高橋": ["一郎"], "高橋一郎": ["一郎"], "김철수": ["철수"], "김 철수": ["철수"],
     "الدورى": ["أحمد"], "دوري": ["أحمد"], "محمـــد محمود": ["محمد"], "כהנ": ["שלום"]},
)  # fmt: skip
TYPOS: Final = SearchCase(
    [person("Otto", "Roth"), person("Eva", "Rothe"), person("Anna", "Schneider"), person("Robert", "Smith"), person("J.", "Smith"),
     person("Jessica", "Stevens"), person("Marina", "Weber"), person("Martina", "Weber"), person("Martina", "Vogt")],
    {"Rothe": ["Eva", "Otto"], "Schnieder": ["Anna"], "Schneidr": ["Anna"], "Schneiderr": ["Anna"], "Schmeider": ["Anna"],
     "Anna Schnieder": ["Anna"], "Bob Smith": ["Robert"], "Smyth, Rob": ["Robert"], "John Smith": ["J."], "Smith Robert": ["Robert"],
     "Jessika Stevens": ["Jessica"], "Jessica Stephens": ["Jessica"], "Marina Weber": ["Marina"], "Marina Vogt": ["Martina"]},
)  # fmt: skip
FIELDS: Final = SearchCase(
    [person("Ben", "Roth", phone="+0 00 213", email="Ben.Roth@Example.org"),
     person("Ida", "Harte", address="12 Elm Row, Springfield 10115", born="1984-11-05", phone="+49 30 1234567"),
     person("Ann", "Harte", address="Hauptstraße 5, 10115 Berlin", born="1990-02-11"),
     person("Bob", "Lee", address="221B Baker Street, London NW1 6XE", born="1815-12-10", phone=["+1 212-555-0123", "+44 20 7946 0958"])],
    {"+000213": ["Ben"], "000213": ["Ben"], "elm row": ["Ida"], "12 Elm Row": ["Ida"], "harte elm": ["Ida"], "elm row harte": ["Ida"],
     "05.11.1984": ["Ida"], "harte 1984": ["Ida"], "1984": ["Ida"], "5 Nov 1984": ["Ida"], "11/05/1984": ["Ida"], "1984-11-05": ["Ida"],
     "November 5, 1984": ["Ida"], "05/11/84": ["Ida"], "19841105": ["Ida"], "Harte 05.11.1984": ["Ida"], "Nov 1984": ["Ida"],
     "030 1234567": ["Ida"], "+49 (0)30 123 45 67": ["Ida"], "0049301234567": ["Ida"], "1234567": ["Ida"], "harte 030/1234567": ["Ida"], "harte 567": ["Ida"], "234567": ["Ida"], "550123": ["Bob"],
     "ben.roth@example.org": ["Ben"], "Ben Roth <BEN.ROTH@EXAMPLE.ORG>": ["Ben"], "mailto:ben.roth@example.org": ["Ben"],
     "springfield": ["Ida"], "hauptstr 5": ["Ann"], "Hauptstr. 5": ["Ann"], "Hauptstraße": ["Ann"], "haupt strasse 5": ["Ann"],
     "221B Baker": ["Bob"], "baker st": ["Bob"], "NW1 6XE": ["Bob"], "nw16xe": ["Bob"], "london lee": ["Bob"], "10.12.1815": ["Bob"],
     "020 7946 0958": ["Bob"], "212-555-0123": ["Bob"], "10115": ["Ann", "Ida"], "10115 berlin": ["Ann"], "11.02.1990": ["Ann"], "ida berlin": [], "harte 1985": []},
)  # fmt: skip
TRANSLITERATIONS: Final = SearchCase(
    [person("Сергей", "Иванов", phone="+7 495 123-45-67"), person("Анна", "Ефимова"), person("Γιώργος", "Παπαδόπουλος"),
     person("Pyotr", "Tchaikovsky"), person("Oleg", "Shevchenko"), person("Ann", "Kelly", address="4 Quay St, H91 X2Y3 Galway")],
    {"Ivanov": ["Сергей"], "Sergey Ivanov": ["Сергей"], "bdfyjd": ["Сергей"], "Cthutq Bdfyjd": ["Сергей"], "tabvjdf": ["Анна"], "ghbdtn": [], "papadopoulos": ["Γιώργος"], "Giorgos Papadopoulos": ["Γιώργος"], "Шевченко": ["Oleg"],
     "Tschaikowsky": ["Pyotr"], "Chaykovskiy": ["Pyotr"], "8 495 123-45-67": ["Сергей"], "84951234567": ["Сергей"], "h91x2y3": ["Ann"]},
)  # fmt: skip
AS_BEFORE: Final = SearchCase(
    [person("Ada", "JOSÉ"), person("Bea", "ΧΡΗΣΤΟΣ"), person("Cem", "İnce"), person("Dan", "Ｓｍｉｔｈ"),
     person("Eli", "Robert'); DROP TABLE"), person("Fay", "Null"), person("Gus", "NaN")],
    {"jose": ["Ada"], "χρηστοσ": ["Bea"], "ince": ["Cem"], "ınce": ["Cem"], "smith": ["Dan"], "Robert'); DROP TABLE": ["Eli"],
     "null": ["Fay"], "nan": ["Gus"]},
)  # fmt: skip
CASES: Final = {
    "separators": SEPARATORS, "particles": PARTICLES, "missing particles": MISSING_PARTICLES, "parts": PARTS, "umlauts": UMLAUTS,
    "scripts": SCRIPTS, "typos": TYPOS, "fields": FIELDS, "transliterations": TRANSLITERATIONS, "as before": AS_BEFORE,
}  # fmt: skip
