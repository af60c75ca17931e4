"""Files of other programs, each with the people that every interface reads from it."""

from __future__ import annotations

import json
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
        [_IDA, {"person_name": "J", "person_surname": "Müller"}, _PER],
        rejected=3,
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

_PATIENT: Final = {"resourceType": "Patient", "name": [{"family": "Harte", "given": ["Ida"]}]}
_FULL_PATIENT: Final = {
    "resourceType": "Patient",
    "id": "p7",
    "name": [
        {"use": "nickname", "given": ["Idi"]},
        {"use": "official", "family": "Harte", "given": ["Ida", "May"], "prefix": ["Dr."]},
    ],
    "identifier": [{"system": "urn:oid:1.2", "value": "12345"}],
    "telecom": [
        {"system": "phone", "value": "+44 1", "use": "home"},
        {"system": "phone", "value": "+44 2", "use": "mobile"},
        {"system": "email", "value": "a@b.c"},
    ],
    "gender": "female",
    "birthDate": "1984-11",
    "deceasedBoolean": False,
    "address": [{"use": "home", "line": ["1 High Street", "Flat 2"], "city": "Leeds", "postalCode": "LS1 1AA"}],
    "maritalStatus": {"text": "married"},
}
_FULL_FIELDS: Final = {
    "person_name": "Ida May",
    "person_surname": "Harte",
    "person_birthdate": "1984-11",
    "person_address": "1 High Street, Flat 2, Leeds, LS1 1AA",
    "name_prefix": "Dr.",
    "phone_home": "+44 1",
    "phone_cell": "+44 2",
    "email": "a@b.c",
    "gender": "female",
    "deceased": False,
    "fhir_id": "p7",
    "fhir_name": _FULL_PATIENT["name"],
    "fhir_identifier": _FULL_PATIENT["identifier"],
    "fhir_maritalStatus": {"text": "married"},
}
_BUNDLE: Final = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {"fullUrl": "urn:uuid:1", "resource": _PATIENT},
        {"resource": {"resourceType": "Observation", "value": 1}},
        {"resource": {"resourceType": "Patient", "birthDate": "1990"}},
    ],
}
_USER: Final = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "id": "u1",
    "userName": "ida",
    "name": {"formatted": "Ida Harte", "familyName": "Harte", "givenName": "Ida"},
    "emails": [{"value": "a@b.c", "type": "home"}, {"value": "d@e.f", "type": "work", "primary": True}],
    "phoneNumbers": [{"value": "+44 1", "type": "mobile"}],
    "addresses": [{"type": "work", "streetAddress": "1 High Street", "locality": "Leeds", "country": "GB"}],
}
_USER_FIELDS: Final = _IDA | {
    "person_address": "1 High Street, Leeds, GB",
    "email_home": "a@b.c",
    "email_work": "d@e.f",
    "phone_cell": "+44 1",
    "schemas": _USER["schemas"],
    "id": "u1",
    "userName": "ida",
}


def _json(*values: Any, indent: int | None = None) -> bytes:
    return "".join(json.dumps(value, indent=indent) + "\n" for value in values).encode()


JSON_LAYOUTS: Final = [
    Case("patients.ndjson", "application/fhir+ndjson", _json(_FULL_PATIENT, _PATIENT), [_FULL_FIELDS, _IDA]),
    Case("patient.json", "application/fhir+json", _json(_FULL_PATIENT, indent=2), [_FULL_FIELDS]),
    Case("bundle.json", "application/fhir+json", _json(_BUNDLE, indent=1), [_IDA], rejected=1, skipped=1),
    Case(
        "response of an API.json",
        "application/json",
        b'{"people":[{"firstName":"Ida","lastName":"Harte"},{"firstName":"Per","lastName":"Lund"}],"next_cursor":null}',
        [_IDA, _PER],
        skipped=1,
    ),
    Case(
        "response of an API over several lines.json",
        "application/json",
        b'{\n "total": 1,\n "data": [\n  {"firstName":"Ida","lastName":"Harte"}\n ]\n}',
        [_IDA],
    ),
    Case(
        "person with a list of contacts.json",
        "application/json",
        b'{\n "firstName": "Ida",\n "lastName": "Harte",\n "contacts": [{"firstName":"Per"}]\n}',
        [_IDA | {"contacts": [{"firstName": "Per"}]}],
    ),
    Case(
        "list of contacts before a person.json",
        "application/json",
        b'{\n "contacts": [{"firstName":"Per","lastName":"Lund"}],\n "firstName": "Ida"\n}',
        [_PER],
        rejected=1,
    ),
    Case(
        "bundles in lines.json", "application/fhir+json", _json(_BUNDLE, _BUNDLE), [_IDA, _IDA], rejected=2, skipped=2
    ),
    Case(
        "bundle with its type at the end.json",
        "application/fhir+json",
        _json({"entry": _BUNDLE["entry"], "resourceType": "Bundle"}, indent=1),
        [_IDA],
        rejected=1,
        skipped=1,
    ),
    Case("users.json", "application/json", _json([_USER]), [_USER_FIELDS]),
    Case(
        "scim list.json",
        "application/scim+json",
        _json(
            {"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 1, "Resources": [_USER]}
        ),
        [_USER_FIELDS],
    ),
    Case(
        "nested name.ndjson",
        "application/x-ndjson",
        _json({"name": {"title": "Ms", "first": "Ida", "last": "Harte"}, "gender": "female"}),
        [_IDA | {"name_prefix": "Ms", "gender": "female"}],
    ),
    Case(
        "one person in several lines.json",
        "application/json",
        _json({"person_surname": "Lund"}, indent=2),
        [{"person_surname": "Lund"}],
    ),
]
LDIFS: Final = [
    Case(
        "thunderbird.ldif",
        "text/ldif",
        b"dn: cn=Ida Harte,mail=a@b.c\nobjectclass: top\nobjectclass: person\nobjectclass: mozillaAbPersonAlpha\n"
        b"givenName: Ida\nsn: Harte\ncn: Ida Harte\nmozillaNickname: Idi\nmail: a@b.c\nmobile: 1\nhomePhone: 2\n"
        b"mozillaHomeStreet: 1 High Street\nmozillaHomeLocalityName: Leeds\nl: York\nbirthyear: 1984\nbirthmonth: 11\nbirthday: 5\n"
        b"description:: b25lCnR3bw==\n\n",
        [
            _IDA
            | {
                "person_birthdate": "1984-11-05",
                "person_address": "1 High Street, Leeds",
                "address_work": "York",
                "nickname": "Idi",
                "email": "a@b.c",
                "phone_cell": "1",
                "phone_home": "2",
                "note": "one\ntwo",
                "dn": "cn=Ida Harte,mail=a@b.c",
                "objectclass": ["top", "person", "mozillaAbPersonAlpha"],
            }
        ],
    ),
    Case(
        "directory.ldif",
        "text/ldif",
        b"# a comment\n  of two lines\nversion: 1\n\ndn: dc=example\nobjectClass: domain\n\n"
        b"dn:: Y249TMO8bmQ=\nobjectClass: inetOrgPerson\nsn:: TMO8bmQ=\ngivenName: P\n er\ncn: Lund Per\nbirthmonth: 02\nbirthday: 29\n"
        b"userPassword: {SSHA}x\njpegPhoto:: /9j/\n\ndn: cn=x\nsn:: %\n\ndn: cn=x\nchangetype: delete\n",
        [
            {
                "person_name": "Per",
                "person_surname": "L\u00fcnd",
                "person_birthdate": "--02-29",
                "display_name": "Lund Per",
                "dn": "cn=L\u00fcnd",
                "objectclass": "inetOrgPerson",
            }
        ],
        rejected=2,
        skipped=2,
    ),
]

_IDA_JSON: Final = '{"first_name":"Ida","last_name":"Harte"}'
MORE_FILES: Final = [
    Case("cr only.vcf", "text/vcard", b"BEGIN:VCARD\rVERSION:3.0\rN:Harte;Ida\rEND:VCARD\r", [_IDA]),
    Case(
        "several names.vcf",
        "text/vcard",
        _cards(
            "VERSION:4.0\r\nFN:Ida Harte\r\nFN:Idi\r\nN:Harte;Ida;;;;Lund;II\r\nN;ALTID=1:\u30cf\u30eb\u30c6;\u30a2\u30a4\u30c0"
        ),
        [_IDA | {"name_parts": "Lund II", "other_name": ["\u30a2\u30a4\u30c0 \u30cf\u30eb\u30c6", "Idi"]}],
    ),
    Case(
        "year 1604.vcf",
        "text/vcard",
        _cards("VERSION:3.0\r\nN:Harte;Ida\r\nBDAY:1604-02-29"),
        [_IDA | {"person_birthdate": "--02-29"}],
    ),
    Case(
        "labels of other properties.vcf",
        "text/vcard",
        _cards(
            "VERSION:3.0\nN:Harte;Ida\nitem1.X-ABDATE;type=pref:2001-05-06\nitem1.X-ABLabel:_$!<Anniversary>!$_\n"
            "item2.X-ABRELATEDNAMES:Per\nitem2.X-ABLabel:_$!<Spouse>!$_"
        ),
        [_IDA | {"x_abdate_anniversary": "2001-05-06", "x_abrelatednames_spouse": "Per"}],
    ),
    Case(
        "card within a card.vcf",
        "text/vcard",
        _cards("VERSION:2.1\nN:Harte;Ida\nAGENT:\nBEGIN:VCARD\nN:Lund;Per\nTEL:2\nEND:VCARD\nTEL:1").replace(
            b"\r", b""
        ),
        [_IDA | {"phone": "1", "agent": "BEGIN:VCARD\nN:Lund;Per\nTEL:2\nEND:VCARD\n"}],
    ),
    Case(
        "search result.ldif",
        "text/ldif",
        b"dn: cn=Ida\nobjectClass: user\nsn: Harte\ngivenName: Ida\nobjectGUID:: AAECAwQFBgcICQoLDA0ODw==\n\n"
        b"# search result\nsearch: 2\nresult: 0 Success\n\n# numEntries: 1\n",
        [_IDA | {"dn": "cn=Ida", "objectclass": "user"}],
        skipped=2,
    ),
    Case(
        "history.json",
        "application/fhir+json",
        b'{"resourceType":"Bundle","type":"history","entry":['
        b'{"resource":{"resourceType":"Patient","id":"1","name":[{"family":"Harte","given":["Ida"]}]},"request":{"method":"PUT","url":"Patient/1"}},'
        b'{"resource":{"resourceType":"Patient","id":"1","name":[{"family":"Hart","given":["Ida"]}]}},'
        b'{"request":{"method":"DELETE","url":"Patient/2"}},{"resource":{"resourceType":"Patient","id":"2","name":[{"family":"Lund"}]}}]}',
        [_IDA | {"fhir_id": "1"}],
        skipped=3,
    ),
    Case(
        "computers.ldif",
        "text/ldif",
        b"dn: cn=x\nobjectClass: person\nobjectClass: computer\ncn: PC\n\n"
        b"dn: cn=y\nobjectClass: person\nobjectClass: Computer\ncn: PC\n\n"
        b"dn: cn=Ida\nobjectClass: person\nsn: Harte\ngivenName: Ida\ndateOfBirth: 19900211000000Z\n",
        [_IDA | {"person_birthdate": "1990-02-11", "dn": "cn=Ida", "objectclass": "person"}],
        skipped=2,
    ),
    *(
        Case(f"{name}.json", "application/json", text.encode(), people, skipped=sum(skipped))
        for name, text, people, *skipped in (
            ("list in an object", f'{{"status":"ok","data":{{"people":[{_IDA_JSON}]}},"meta":{{"page":1}}}}', [_IDA]),
            (
                "page of a list",
                f'{{"page":1,"pageSize":50,"total_pages":1,"total":1,"items":[{_IDA_JSON}],"@odata.context":"x"}}',
                [_IDA],
                1,
            ),
            ("page in an object", f'{{"data":{{"current_page":1,"data":[{_IDA_JSON}],"total":1}}}}', [_IDA], 1),
            (
                "edges",
                f'{{"data":{{"allPeople":{{"pageInfo":{{"hasNextPage":false}},"edges":[{{"cursor":"x","node":{_IDA_JSON}}}]}}}}}}',
                [_IDA | {"cursor": "x"}],
                1,
            ),
            ("graph", f'{{"@context":"https://schema.org","@graph":[{_IDA_JSON}]}}', [_IDA], 1),
            ("objects without a separator", _IDA_JSON * 2, [_IDA, _IDA]),
            (
                "nested name and birthdate",
                '[{"name":{"first":"Ida","last":"Harte"},"dob":{"date":"1990-02-11T10:00:00.000Z","age":36},"address":"1 Road"}]',
                [_IDA | {"person_birthdate": "1990-02-11", "person_address": "1 Road"}],
            ),
            (
                "timestamp of MongoDB",
                '[{"name":"Ida Harte","dob":{"$date":{"$numberLong":"-31536000000"}}}]',
                [_IDA | {"person_birthdate": "1969-01-01"}],
            ),
            ("records", f'{{"totalSize":1,"done":true,"records":[{_IDA_JSON}]}}', [_IDA]),
            (
                "hits",
                f'{{"took":1,"hits":{{"total":1,"hits":[{{"_id":"1","_source":{_IDA_JSON}}}]}}}}',
                [_IDA | {"_id": "1"}],
            ),
            (
                "attributes",
                '{"data":[{"id":"1","attributes":{"first-name":"Ida","last-name":"Harte"}}]}',
                [_IDA | {"id": "1"}],
            ),
            (
                "attributes with the name of another member",
                '{"data":[{"id":"1","type":"p","attributes":{"id":"7","type":"p","first-name":"Ida","last-name":"Harte"}}]}',
                [_IDA | {"id": "7", "type": "p", "id 2": "1"}],
            ),
            (
                "birthdate in parts",
                '[{"name":"Ida Harte","birthday":{"year":1990,"month":2,"day":11}}]',
                [_IDA | {"person_birthdate": "1990-02-11"}],
            ),
            (
                "birthdate of MongoDB",
                '[{"name":"Ida Harte","dob":{"$date":"1990-02-11T00:00:00Z"}}]',
                [_IDA | {"person_birthdate": "1990-02-11"}],
            ),
            (
                "birthdate as a number",
                '[{"name":"Ida Harte","birthdate":19900211}]',
                [_IDA | {"person_birthdate": "1990-02-11"}],
            ),
            (
                "list of contacts of a person",
                f'{{"id":"7","contacts":[{{"name":"Per"}}],{_IDA_JSON[1:]}',
                [_IDA | {"id": "7", "contacts": [{"name": "Per"}]}],
            ),
        )
    ),
    Case(
        "birthdate without a month.json",
        "application/json",
        b'[{"name":"Ida Harte","birthday":{"year":1990,"day":5}},{"name":"Ida Harte","birthday":{"year":1990,"month":0,"day":5}},'
        b'{"name":"Ida Harte","birthday":{"year":1990,"month":2,"day":0}}]',
        [_IDA | {"person_birthdate": "1990-02"}],
        rejected=2,
    ),
    Case(
        "commas and marks.ndjson",
        "application/x-ndjson",
        f"\ufeff{_IDA_JSON},\n\ufeff\x1e{_IDA_JSON}\n".encode(),
        [_IDA, _IDA],
    ),
    Case("text sequence.json", "application/x-ndjson", f"\x1e{_IDA_JSON}\n\x1e{_IDA_JSON}\n".encode(), [_IDA, _IDA]),
    Case(
        "group.json",
        "application/scim+json",
        b'[{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Admins"},{"givenName":"Ida","familyName":"Harte"}]',
        [_IDA],
        skipped=1,
    ),
    Case(
        "former name.json",
        "application/fhir+json",
        b'{"resourceType":"Patient","name":[{"family":"Lund","period":{"end":"2010-01-01"}},{"family":"Harte","given":["Ida"]}]}',
        [
            _IDA
            | {
                "fhir_name": [
                    {"family": "Lund", "period": {"end": "2010-01-01"}},
                    {"family": "Harte", "given": ["Ida"]},
                ]
            }
        ],
    ),
]

CASES: Final = [*MORE_FILES, *JSON_LAYOUTS, *LDIFS, *VCARDS, *WORKBOOKS]
