"""Generated records for round trips through the formats."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import Any, Final

from hypothesis import reject
from hypothesis import strategies as st

from peopleinfo.errors import InvalidPerson
from peopleinfo.people import strict_json
from peopleinfo.people.person import PersonData, decode_fields, encode_person, parse_person

TODAY: Final = date(2026, 3, 1)
PERSON_ID: Final = "0123456789abcdef0123456789abcdef"
_TEXT: Final = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
_LINE: Final = st.text(
    st.characters(codec="utf-8", categories=("L", "M", "N", "P", "S", "Zs")), min_size=1, max_size=12
)
_DATES: Final = st.one_of(
    st.dates(min_value=date(1, 1, 2), max_value=TODAY).map(lambda day: day.isoformat()),
    st.sampled_from(
        ("1990", "1990-02", "--02-29", "--11-05", "1604-02-14", "0001-01-02", "1899-12-31", "1900-01-01", "1900-02-28")
    ),
)
_JSON: Final = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), _TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXT, inner, max_size=3)),
    max_leaves=5,
)
# Names and values near those of the properties of address books.
_CUSTOM_NAMES: Final = st.sampled_from(
    (
        [
            "phone",
            "phone_home",
            "phone_work_fax",
            "phone_pref",
            "phone_",
            "email",
            "email_work",
            "url",
            "impp",
            "note",
            "organization",
            "title",
            "role",
            "nickname",
            "categories",
            "address",
            "address_home",
            "display_name",
            "name_prefix",
            "name_suffix",
            "uid",
            "gender",
            "anniversary",
            "deceased",
            "identifier",
            "telecom",
            "fhir",
        ]
    ),
)
_ANY_NAMES: Final = st.one_of(_CUSTOM_NAMES, _TEXT.map(lambda text: f"f{text}"))
# A heading has no blanks at its ends, no second blank and no control character.
_HEADINGS: Final = st.one_of(
    _CUSTOM_NAMES,
    st.from_regex(r"f[a-z0-9 ÄßЖ中_=+@'-]{0,8}[a-z]", fullmatch=True).filter(lambda text: "  " not in text),
)
_VALUES: Final = st.one_of(
    _TEXT,
    st.sampled_from(
        ("a;b", "a,b", "a\\nb", "a\nb", "tel:1", ";", " x ", "\ta", "END:VCARD", "BEGIN:VCARD", "=1+1", "007")
    ),
    st.lists(_TEXT, max_size=3),
    _JSON,
)


_FIELDS: Final = st.fixed_dictionaries(
    {
        "person_name": st.one_of(st.none(), _LINE),
        "person_surname": st.one_of(st.none(), _LINE),
        "person_birthdate": st.one_of(st.none(), _DATES),
        "person_address": st.one_of(st.none(), _LINE, st.lists(_LINE, min_size=1, max_size=3).map("\n".join)),
    }
)


@st.composite
def records(draw: st.DrawFn, *, is_table: bool = False) -> bytes:
    """Draw a stored record with any custom fields, of which a table has the names as headings."""
    extra = draw(st.dictionaries(_HEADINGS if is_table else _ANY_NAMES, _VALUES, max_size=4))
    standard = {name: value for name, value in draw(_FIELDS).items() if value is not None}
    try:
        person = parse_person(parsed(standard | extra), today=TODAY)
    except InvalidPerson:
        reject()
    return stored(person, draw(st.integers(1, 10**6)))


def stored(person: PersonData, version: int = 1) -> bytes:
    """Return a record as a store returns it."""
    time = "2026-03-01T00:00:00.000Z"
    return encode_person(PERSON_ID, version, person, created_at=time, updated_at=time).body


def parsed(value: Any) -> Any:
    """Return a JSON value as the service parses it."""
    return strict_json.parse(strict_json.encode(value))


def record_like_missing_values() -> bytes:
    """Return a record with the texts that other programs write for none, and with marks of direction."""
    fields = {"person_name": "(null)", "person_surname": "\u200eHarte\u200f", "person_address": "NULL"}
    return stored(parse_person(fields, today=TODAY))


def importable(body: bytes) -> dict[str, Any]:
    """Return the fields of a stored record that an export contains in every format."""
    fields = decode_fields(body)
    del fields["created_at"], fields["updated_at"]
    return fields


# Letters of 20 scripts.
SCRIPTS: Final = (
    "abcdefghijklmnoprstuvwyzäöüßéèçñøłőşţž", "αβγδεζηθικλμνξοπρσςτυφχψω", "абвгдежзийклмнопрстуфхцчшщыэюяіїєґ",
    "աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆ", "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ", "אבגדהוזחטיכלמנסעפצקרשת",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهوي", "ܐܒܓܕܗܘܙܚܛܝܟܠܡܢܣܥܦܨܩܪܫܬ", "अआइईउऊएऐओऔकखगघचछजझटठडढणतथदधनपफबभमयरलवशषसह",
    "অআইঈউকখগঘচছজঝটঠডঢতথদধনপফবভমযরলশষসহ", "ਅਆਇਈਉਕਖਗਘਚਛਜਝਟਠਡਢਣਤਥਦਧਨਪਫਬਭਮਯਰਲਵਸਹ", "અઆઇઈઉકખગઘચછજઝટઠડઢણતથદધનપફબભમયરલવશષસહ",
    "அஆஇஈஉஊஎஏஐஒஓகஙசஞடணதநபமயரலவழளறன", "అఆఇఈఉఊఎఏఐఒఓకఖగఘచఛజఝటఠడఢణతథదధనపఫబభమయరలవశషసహ", "ಅಆಇಈಉಊಎಏಐಒಓಕಖಗಘಚಛಜಝಟಠಡಢಣತಥದಧನಪಫಬಭಮಯರಲವಶಷಸಹ",
    "กขคงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮ", "ကခဂဃငစဆဇဈညဋဌဍဎဏတထဒဓနပဖဗဘမယရလဝသဟ", "가나다라마바사아자차카타파하김이박최정강조윤장임",
    "あいうえおかきくけこさしすせそたちつてとアイウエオカキクケコ", "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁𠮷",
)  # fmt: skip


def people_of_all_scripts(count: int) -> list[bytes]:
    """Return records with names, addresses, partial dates and custom fields in 20 scripts, always the same."""
    random = Random(18)
    return [stored(_person(random, SCRIPTS[number % len(SCRIPTS)])) for number in range(count)]


def _person(random: Random, letters: str) -> PersonData:
    def word() -> str:
        return "".join(random.choices(letters, k=random.randint(1, 9)))

    day = date(1904, 1, 1) + timedelta(days=random.randrange(44_000))
    fields = {
        "person_name": f"{word()} {word()}" if random.random() < 0.5 else word(),
        "person_surname": random.choice((word(), f"{word()}-{word()}", f"{word()}, {word()}", f"O'{word()}")),
        "person_birthdate": random.choice((f"{day}", f"{day:%Y-%m}", f"{day:%Y}", f"--{day:%m-%d}")),
        "person_address": random.choice(
            (f"{random.randrange(99)} {word()}, {word()}", f"{word()};\n{word()}\n{word()}")
        ),
        "phone_home": f"+{random.randrange(10**9)}",
        "email": f"{random.randrange(10**9)}@example.org",
        "note": random.choice((f"={word()}", f"'{word()}", f'"{word()}"\r\n\t{word()}', f"\\{word()};,")),
        word(): word(),
        f"f{random.randrange(9)}": f"{random.randrange(999):05}",
    }
    kept = {name: value for name, value in fields.items() if name == "person_surname" or random.random() < 0.8}
    return parse_person(kept, today=TODAY)
