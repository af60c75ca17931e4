"""Files of other programs, each with the people that every interface reads from it."""

from __future__ import annotations

from datetime import date
from typing import Any, Final, NamedTuple

from tests.workbooks import workbook


class Case(NamedTuple):
    """A file: its name, its media type, its content, the people that are stored, and the numbers of other rows."""

    name: str
    media_type: str
    content: bytes
    people: list[dict[str, Any]]
    rejected: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        return self.name


def _cards(*contents: str, encoding: str = "utf-8") -> bytes:
    return "".join(f"BEGIN:VCARD\r\n{content}\r\nEND:VCARD\r\n" for content in contents).encode(encoding)


_IDA: Final = {"person_name": "Ida", "person_surname": "Harte"}
_PER: Final = {"person_name": "Per", "person_surname": "Lund"}

VCARDS: Final = [
    Case(
        "birthday without a year.vcf",
        "text/vcard",
        _cards("VERSION:4.0\nN:Harte;Ida;;;\nFN:Ida Harte\nBDAY:--0214"),
        [_IDA | {"person_birthdate": "--02-14"}],
    ),
    Case(
        "several cards.vcf",
        "text/vcard; charset=utf-8",
        _cards("VERSION:3.0\nN:Harte;Ida\nFN:Ida Harte\nBDAY:19841105", "VERSION:3.0\nN:Lund;Per\nFN:Per Lund"),
        [_IDA | {"person_birthdate": "1984-11-05"}, _PER],
    ),
    Case(
        "folded lines and escapes.vcf",
        "text/x-vcard",
        _cards("VERSION:3.0\r\nN:Harte;Ida\r\nFN:Ida\r\n  Harte\r\nNOTE:one\\, two\\n\r\n three\\; \\\\four"),
        [_IDA | {"note": "one, two\nthree; \\four"}],
    ),
    Case(
        "apple.vcf",
        "text/vcard",
        _cards(
            "VERSION:3.0\r\nPRODID:-//Apple Inc.//macOS 14.0//EN\r\nN:Harte;Ida;May;Dr.;\r\nFN:Dr. Ida May Harte\r\n"
            "ORG:Example;Sales\r\nitem1.TEL:+44 1\r\nitem1.X-ABLabel:_$!<HomePage>!$_\r\nTEL;type=CELL;type=VOICE;type=pref:+44 2\r\n"
            "item2.ADR;type=HOME;type=pref:;;1 High Street\\nFlat 2;Leeds;;LS1 1AA;United Kingdom\r\nitem2.X-ABADR:gb\r\n"
            "BDAY;X-APPLE-OMIT-YEAR=1604:1604-02-29\r\nPHOTO;ENCODING=b;TYPE=JPEG:AAAA\r\n  BBBB\r\nX-SOCIALPROFILE;type=x:http://x"
        ),
        [
            {
                "person_name": "Ida May",
                "person_surname": "Harte",
                "person_birthdate": "--02-29",
                "person_address": "1 High Street\nFlat 2, Leeds, LS1 1AA, United Kingdom",
                "name_prefix": "Dr.",
                "organization": "Example, Sales",
                "phone_homepage": "+44 1",
                "phone_cell": "+44 2",
                "x_socialprofile": "http://x",
            }
        ],
    ),
    Case(
        "phone with quoted-printable.vcf",
        "text/vcard",
        _cards(
            "VERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=4D=C3=BC=6C=6C=65=72;=4A=C3=B6=\r\n=72=67;;;\r\n"
            "TEL;CELL:1\r\nTEL;WORK;FAX:2\r\nNOTE;ENCODING=QUOTED-PRINTABLE:a=0D=0Ab"
        ),
        [{"person_name": "Jörg", "person_surname": "Müller", "phone_cell": "1", "phone_work_fax": "2", "note": "a\nb"}],
    ),
    Case(
        "charset of a property.vcf",
        "text/vcard",
        _cards("VERSION:2.1\nN;CHARSET=windows-1251:Иванов;Пётр", encoding="cp1251"),
        [{"person_name": "Пётр", "person_surname": "Иванов"}],
    ),
    Case(
        "names in one property.vcf",
        "text/vcard",
        _cards("VERSION:4.0\nFN:Ida Harte", "N:;;;;\nORG:Example", "N:山田;太郎\nFN:山田太郎"),
        [
            {"person_name": "Ida Harte"},
            {"person_name": "Example", "organization": "Example"},
            {"person_name": "太郎", "person_surname": "山田"},
        ],
    ),
    Case(
        "several values.vcf",
        "text/vcard",
        _cards(
            'VERSION:4.0\nN;SORT-AS="Harte,Ida":Harte;Ida\nTEL;TYPE="work,voice":1\nTEL;TYPE=work;PREF=1:2\nEMAIL:a@b.c\n'
            "CATEGORIES:friends,a\\,b\nURL:https://example.org/?a=1;b=2\nX-SKYPE:ida\nKIND:individual"
        ),
        [
            _IDA
            | {"phone_work": ["2", "1"], "email": "a@b.c", "categories": ["friends", "a,b"]}
            | {"url": "https://example.org/?a=1;b=2", "x_skype": "ida", "kind": "individual"}
        ],
    ),
    Case(
        "damaged cards.vcf",
        "text/vcard",
        b"stray\r\nBEGIN:VCARD\r\nN:Lost;End\r\n"
        + _cards("N:Harte;Ida", "N:M\xfcller;J", encoding="latin-1")
        + b"BEGIN:VCARD\r\nN:Lund;Per\r\nKIND:group\r\nEND:VCARD\r\nbegin:vcard\r\nn:Lund;Per\r\nend:vcard\r\nBEGIN:VCARD",
        [_IDA, _PER],
        rejected=4,
        skipped=1,
    ),
]

_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
WORKBOOKS: Final = [
    Case(
        "members.xlsx",
        _XLSX,
        workbook(
            {
                "Read me": [["This file lists the members"]],
                "Members": [
                    ("Surname", "First name", "Birthday", "Postcode", "Phone", "Joined"),
                    ("Harte", "Ida", date(1990, 2, 11), "01234", "+44 1", date(2001, 5, 6)),
                    ("Lund", "Per", "1985", "", 44, ""),
                ],
            }
        ),
        [
            _IDA | {"person_birthdate": "1990-02-11", "Postcode": "01234", "Phone": "+44 1", "Joined": "2001-05-06"},
            _PER | {"person_birthdate": "1985", "Phone": "44"},
        ],
    ),
    Case(
        "errors and blank rows.xlsx",
        _XLSX,
        workbook(
            {
                "A": [
                    ("Surname", "First name", "Sum"),
                    ("Harte", "Ida", 1),
                    ("", "", ""),
                    ("Fry", "Cleo", "=NA()"),
                    ("Lund", "Per", ""),
                ]
            }
        ),
        [_IDA | {"Sum": "1"}, _PER],
        rejected=1,
        skipped=1,
    ),
]

CASES: Final = [*VCARDS, *WORKBOOKS]
