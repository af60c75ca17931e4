"""Tables of other programs, each with the people that every interface reads from it."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple


class TableCase(NamedTuple):
    """A file with its options, the people that are stored, the reason of each rejected line, and the skipped lines."""

    name: str
    content: bytes
    people: list[dict[str, Any]]
    rejected: dict[int, str] = {}  # noqa: RUF012 - never changed
    skipped: tuple[int, ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.name


def person(surname: str = "", name: str = "", birthdate: str = "", **fields: Any) -> dict[str, Any]:
    """Return the fields of a person that are not empty."""
    standard = {"person_name": name, "person_surname": surname, "person_birthdate": birthdate}
    return {field: value for field, value in standard.items() if value} | fields


def case(
    name: str,
    content: str | bytes,
    *people: dict[str, Any],
    rejected: dict[int, str] | None = None,
    skipped: tuple[int, ...] = (),
    encoding: str = "utf-8",
    **options: str | list[str],
) -> TableCase:
    """Return a case; an option with several values is repeated."""
    pairs = tuple(
        (option, value)
        for option, values in options.items()
        for value in (values if isinstance(values, list) else [values])
    )
    data = content if isinstance(content, bytes) else content.encode(encoding)
    return TableCase(name, data, list(people), rejected or {}, skipped, pairs)


HARTE: Final = person("Harte", "Ida")
LUND: Final = person("Lund", "Per")
NAMES: Final = "Surname,First name\nHarte,Ida\nLund,Per\n"
_UNCLOSED: Final = "a quote opened in line {} is not closed"

QUOTES: Final = [
    case("quote that is never closed", 'Surname,First name,Notes\nHarte,Ida,"tall\nLund,Per,x\nFry,Cleo,y\n',
         LUND | {"Notes": "x"}, person("Fry", "Cleo", Notes="y"), rejected={2: _UNCLOSED.format(2)}),
    case("two quotes that are never closed", 'Surname,Notes\nHarte,"tall\nLund,x\nFry,"y\nGray,z\n',
         person("Lund", Notes="x"), person("Gray", Notes="z"), rejected={2: _UNCLOSED.format(2), 4: _UNCLOSED.format(4)}),
    case("unclosed quote in a file of quoted cells", '"Surname","First name"\r\n"Harte","Ida\r\n"Lund","Per"\r\n',
         LUND, rejected={2: _UNCLOSED.format(2)}),
    case("unclosed quote in the first cell", 'Surname;First name\n"Harte;Ida\nLund;Per\n', LUND, rejected={2: _UNCLOSED.format(2)}),
    case("unclosed quote in the last line", 'Surname,First name\nLund,Per\nHarte,"Ida', LUND, rejected={3: _UNCLOSED.format(3)}),
    case("unclosed quote after a cell of two lines", 'Surname,Notes,x\n"Har\nte",a,"b\nLund,c,d\n',
         person("Lund", Notes="c", x="d"), rejected={2: _UNCLOSED.format(3)}),
    case("quote within a quoted cell", 'Surname,Notes\nHarte,"the "tall" one"\nLund,x\n', person("Lund", Notes="x"),
         rejected={2: _UNCLOSED.format(2)}),
    case("cell of several lines", 'Surname,Notes\r\nHarte,"one\r\ntwo"\r\nLund,"a ""b"" c"\r\n',
         person("Harte", Notes="one\r\ntwo"), person("Lund", Notes='a "b" c')),
    case("quote in an unquoted cell", 'Surname,Size\nHarte,5\' 2"\nLund,6"\n', person("Harte", Size="5' 2\""), person("Lund", Size='6"')),
    case("blank after the delimiter", 'Surname, First name, Note\n"Harte", "Ida", "x, y"\nLund, "Per", z\n',
         HARTE | {"Note": "x, y"}, LUND | {"Note": "z"}),
    case("blank after the delimiter of rows only", 'Surname,First name,Note\n"Harte", "Ida", "x, y"\nLund, "Per", z\n',
         HARTE | {"Note": "x, y"}, LUND | {"Note": "z"}),
    case("single quotes", "'Surname','Note'\n'Harte','x, \"y\"'\n'O''Neil','z'\n", person("Harte", Note='x, "y"'), person("O'Neil", Note="z")),
    case("typographic quotes", "“Surname”;“First name”\n“Harte”;“Ida”\n", HARTE),
    case("rows that are one quoted cell", 'Surname,First name,Note\n"Harte,Ida,""x, y"""\n"Lund,Per,z"\n', HARTE | {"Note": "x, y"},
         LUND | {"Note": "z"}),
    case("header and rows that are one quoted cell", '"Surname;First name"\n"Harte;Ida"\n', HARTE),
    case("quoted whole names in one column", 'Name\n"Harte, Ida"\n"Lund, Per"\n', HARTE, LUND),
    case("blank before the delimiter", 'Surname;First name\n"Harte" ;"Ida"\n"Lund" ; "Per"\n', HARTE, LUND),
]  # fmt: skip

DIALECTS: Final = [
    case("lines end with CR", NAMES.replace("\n", "\r"), HARTE, LUND),
    case("lines end with CR LF", NAMES.replace("\n", "\r\n"), HARTE, LUND),
    case("mixed line ends", "Surname,First name\rHarte,Ida\r\nLund,Per\n", HARTE, LUND),
    case("no line end at the end", NAMES.rstrip(), HARTE, LUND),
    case("sep with semicolon", "sep=;\nSurname;First name\nHarte;Ida\n", HARTE, skipped=(1,)),
    case("quoted sep with a tab", '"sep=\t"\r\nSurname\tFirst name\r\nHarte\tIda\r\n', HARTE, skipped=(1,)),
    case("sep with an unusual delimiter", "SEP=^\nSurname^First name\nHarte^Ida\n", HARTE, skipped=(1,)),
    case("delimiter within quotes of the header", '"Name; first","Surname"\nIda,Harte\n', HARTE),
    case("semicolons with commas in the cells", "Surname;Address\nHarte;1 High Street, Leeds\nLund;2 Low Street, York\n",
         person("Harte", person_address="1 High Street, Leeds"), person("Lund", person_address="2 Low Street, York")),
    case("semicolons with decimal commas", "Surname;a;b\nHarte;1,5;2,5\nLund;3,5;4,5\n",
         person("Harte", a="1,5", b="2,5"), person("Lund", a="3,5", b="4,5")),
    case("tabs", "Surname\tFirst name\nHarte\tIda\n", HARTE),
    case("vertical bars", "Surname|First name\nHarte|Ida\n", HARTE),
    case("chosen delimiter", "Surname:First name\nHarte:Ida\n", HARTE, delimiter=":"),
    case("carets", "Surname^First name^Birthday\nHarte^Ida^1990-02-11\n", person("Harte", "Ida", "1990-02-11")),
    case("colons", "Surname:First name\nHarte:Ida\n", HARTE),
    case("control characters", "Surname\x01First name\nHarte\x01Ida\n", HARTE),
    case("semicolons with a comma in each heading", "Name, Vorname;Ort, Land\nHarte, Ida;Ulm, DE\nLund, Per;York, UK\n",
         HARTE | {"Ort, Land": "Ulm, DE"}, LUND | {"Ort, Land": "York, UK"}),
    case("semicolons with a comma in one heading", "Surname;Hobbies, list\nHarte;a, b\n", person("Harte", **{"Hobbies, list": "a, b"})),
    case("end of file of MS-DOS", NAMES + "\x1a", HARTE, LUND),
    case("files that were joined", "\ufeffSurname,First name\nHarte,Ida\n\ufeffSurname,First name\nLund,Per\n", HARTE, LUND, skipped=(3,)),
    case("zero characters in several rows", "Surname,First name\nHa\0rte,Ida\nLu\0und,Per\nFry,Cleo\n", person("Fry", "Cleo"),
         rejected={2: "U+0000", 3: "U+0000"}),
    case("zero characters at the end", NAMES + "\0" * 300, HARTE, LUND, rejected={4: "U+0000"}),
    case("one column", "Surname\nHarte\n", person("Harte")),
    case("zero character", "Surname,First name\nHar\0te,Ida\nLund,Per\n", LUND, rejected={2: "U+0000"}),
]  # fmt: skip

ROWS: Final = [
    case("empty columns at the end", "Surname,First name,,\nHarte,Ida,,\n", HARTE),
    case("cell below an empty heading", "Surname,,First name,\nHarte,x,Ida,y\n", HARTE | {"Column 2": "x", "Column 4": "y"}),
    case("empty first column", ",Surname,First name\n1,Harte,Ida\n,Lund,Per\n", HARTE | {"Column 1": "1"}, LUND),
    case("title above the header", "Members 2026,\n,\nSurname,First name\nHarte,Ida\n", HARTE, skipped=(1, 2)),
    case("blank line above the header", "\nSurname,First name\nHarte,Ida\n", HARTE, skipped=(1,)),
    case("title and date above the header", "Golf club\nPrinted,2026-01-02\n\n\nSurname;First name;Phone\nHarte;Ida;1\n",
         HARTE | {"Phone": "1"}, skipped=(1, 2, 3, 4)),
    case("heading twice", "Surname,Phone,Phone\nHarte,111,222\n", person("Harte", Phone="111", **{"Phone 2": "222"})),
    case("heading three times", "Surname,x,x,x\nHarte,1,2,3\n", person("Harte", **{"x": "1", "x 2": "2", "x 3": "3"})),
    case("blank rows", "Surname,First name\nHarte,Ida\n,\n,\nLund,Per\n", HARTE, LUND, skipped=(3, 4)),
    case("blank rows of every kind", "Surname,First name\n\n  ,  \nHarte,Ida\n;\n \n", HARTE, person(";"), skipped=(2, 3, 6)),
    case("short rows", "Surname,First name,Note\nHarte,Ida\nLund\n", HARTE, person("Lund")),
    case("surplus text", "Surname,First name\nHarte,Ida,x\nLund,Per\n", LUND, rejected={2: "has 3 cells, but the header has 2"}),
    case("surplus empty cells", "Surname,First name\nHarte,Ida,,\nLund,Per,\n", HARTE, LUND),
    case("header in the middle", "Surname,First name\nHarte,Ida\nSurname,First name\nLund,Per\n", HARTE, LUND, skipped=(3,)),
    case("total", "Surname;First name;Fee\nHarte;Ida;10,50 €\nTotal:;;10,50 €\n", HARTE | {"Fee": "10,50 €"}, skipped=(3,)),
    case("total of people in the column of first names", "Surname,First name\nHarte,Ida\nTotal,1\n", HARTE, skipped=(3,)),
    case("total of whole names", "Nr.;Name;Beitrag\n1;Ida Harte;10\n;Summe;1.000,00\n", HARTE | {"Nr.": "1", "Beitrag": "10"}, skipped=(3,)),
    case("person whose surname is a total", "Surname,First name,Fee\nTotal,Ida,10\nSumma,,x\n", person("Total", "Ida", Fee="10"),
         person("Summa", Fee="x")),
    case("output of psql", " surname | first_name \n---------+------------\n Harte   | Ida\n(1 row)\n", HARTE, skipped=(2, 4)),
    case("output of sqlcmd", "surname,first_name\n-------,----------\nHarte,Ida\n\n(1 rows affected)\n", HARTE, skipped=(2, 4, 5)),
    case("Markdown", "| Surname | First name |\n|---|---|\n| Harte | Ida |\n", HARTE, skipped=(2,)),
    case("notes below the table", "Surname,First name,Phone\nHarte,Ida,1\nFry,,\n\nPrinted 2026-01-02,,\n* = retired,,\nSource: club,,\n",
         HARTE | {"Phone": "1"}, person("Fry"), skipped=(4,), rejected=dict.fromkeys((5, 6, 7), "looks like a note, not a person")),
    case("two rows of headings", "Name,,Birthday\nSurname,First name,\nHarte,Ida,1990-02-11\n", person("Harte", "Ida", "1990-02-11"), skipped=(1,)),
    case("technical headings below the headings", "ID,First Name,Last Name\nuserId,firstName,lastName\n1,Ida,Harte\n", HARTE | {"userId": "1"},
         skipped=(1,)),
    case("numbers of pages", "Surname;First name\nHarte;Ida\nPage 2 of 2\nSurname;First name\nLund;Per\n- Seite 3 -;\n", HARTE, LUND,
         skipped=(3, 4, 6)),
    case("values of programs for none", "Surname,First name,Address\nHarte,Ida,NULL\n\\N,Per,(null)\nNull,[NULL],1 Road\n", HARTE,
         person(name="Per"), person("Null", person_address="1 Road")),
    case("marks of direction around a name", "Surname,First name\n\u202bHarte\u202c,\u200eIda\n", HARTE),
    case("heading of two lines", '"Last\nname",First name,"a\n b"\nHarte,Ida,x\n', HARTE | {"a b": "x"}),
]  # fmt: skip

ENCODINGS: Final = [
    case("Windows-1252 with a letter in the heading", "Surname;Prénom;Ville\nHarte;Ida;Lyon\n", HARTE | {"Ville": "Lyon"}, encoding="cp1252"),
    case("Windows-1252", "Nachname;Vorname\nMüller;Jürgen\nGroß;Änne\n", person("Müller", "Jürgen"), person("Groß", "Änne"), encoding="cp1252"),
    case("Windows-1252 in a name only", "Surname,First name\nO’Brien,Zoë\n", person("O’Brien", "Zoë"), encoding="cp1252"),
    case("letters that do not decide the encoding", "Surname,First name\nMuñoz,José\nLund,Per\n", LUND, encoding="cp1252",
         rejected={2: "may be cp1252"}),
    case("Windows-1251", "Фамилия;Имя\nИванов;Сергей\nПетрова;Анна\n", person("Иванов", "Сергей"), person("Петрова", "Анна"), encoding="cp1251"),
    case("Windows-1250", "Příjmení;Jméno\nDvořák;Jiří\nČerný;Zdeněk\n", person("Dvořák", "Jiří"), person("Černý", "Zdeněk"), encoding="cp1250"),
    case("Windows-1253", "Επώνυμο;Όνομα\nΠαπαδόπουλος;Γιώργος\n", person("Παπαδόπουλος", "Γιώργος"), encoding="cp1253"),
    case("Windows-1254", "Soyadı;Adı\nYılmaz;Şükrü\nGüneş;İbrahim\n", person("Yılmaz", "Şükrü"), person("Güneş", "İbrahim"), encoding="cp1254"),
    case("Shift JIS", "姓,名\n山田,太郎\n佐藤,花子\n", person("山田", "太郎"), person("佐藤", "花子"), encoding="shift_jis"),
    case("GB 18030", "姓,名\n王,小明\n李,秀英\n", person("王", "小明"), person("李", "秀英"), encoding="gb18030"),
    case("EUC-KR", "성,이름\n김,민수\n이,영희\n", person("김", "민수"), person("이", "영희"), encoding="euc-kr"),
    case("Windows-1252 with French letters", "Nom;Prénom;Ville\nLefèvre;Cécile;Orléans\nBœuf;Françoise;Nîmes\n",
         person("Lefèvre", "Cécile", Ville="Orléans"), person("Bœuf", "Françoise", Ville="Nîmes"), encoding="cp1252"),
    case("ISO-8859-15", "Surname,First name\nBœuf,Noël\nLefèvre,Cécile\n", person("Bœuf", "Noël"), person("Lefèvre", "Cécile"),
         encoding="iso8859-15"),
    case("Windows-1250 with Polish letters", "Surname,First name\nWiśniewski,Łukasz\nŻak,Świętosława\n", person("Wiśniewski", "Łukasz"),
         person("Żak", "Świętosława"), encoding="cp1250"),
    case("ISO-8859-2", "Nazwisko;Imię\nWiśniewski;Łukasz\n", person("Wiśniewski", "Łukasz"), encoding="iso8859-2"),
    case("Windows-1250 with Croatian letters", "Ime;Prezime;Datum rođenja\nĐurđica;Šarić;13.02.1990\n", person("Šarić", "Đurđica", "1990-02-13"),
         encoding="cp1250"),
    case("Windows-1250 with Romanian letters", "Nume;Prenume;Data naşterii\nŞtefănescu;Ionuţ;13.02.1990\n",
         person("Ştefănescu", "Ionuţ", "1990-02-13"), encoding="cp1250"),
    case("Windows-1257", "Vardas;Pavardė\nŽydrūnas;Šarūnaitė\n", person("Šarūnaitė", "Žydrūnas"), encoding="cp1257"),
    case("Mac Roman", "Nachname;Vorname\nMüller;Jörg\nGroß;Zoë\n", person("Müller", "Jörg"), person("Groß", "Zoë"), encoding="mac-roman"),
    case("Mac Roman in one name", "Surname,First name\nSmith,Zoë\nLund,Per\n", LUND, encoding="mac-roman", rejected={2: "is not valid UTF-8"}),
    case("encoding that is not recognized", "Surname,First name\nИванов,Сергей\nПетрова,Анна\n", encoding="iso8859-5",
         rejected=dict.fromkeys((2, 3), "is not valid UTF-8")),
    case("EUC-JP in names only", "Surname,First name\n山田,太郎\n佐藤,花子\n", encoding="euc-jp", rejected=dict.fromkeys((2, 3), "not valid UTF-8")),
    case("ISO-2022-JP", "姓,名\n高橋,健二\n", person("高橋", "健二"), encoding="iso2022_jp"),
    case("UTF-16 without a mark in Chinese", "姓名,电话\n王小明,1\n李上,2\n", person(name="王小明", 电话="1"), person(name="李上", 电话="2"),
         encoding="utf-16-le"),
    case("lines in Windows-1252 in a UTF-8 file", "Surname\nMüller\nKöhler\n".encode() + "Groß\n".encode("cp1252"),
         person("Müller"), person("Köhler"), rejected={4: "may be cp1252"}),
    case("chosen encoding", "Surname\nМюллер\n", person("Мюллер"), encoding="koi8-r") ._replace(options=(("encoding", "koi8-r"),)),
    case("UTF-8 with a mark", b"\xef\xbb\xbf" + NAMES.encode(), HARTE, LUND),
    case("UTF-16 of Excel", "\ufeff" + NAMES.replace(",", "\t"), HARTE, LUND, encoding="utf-16-le"),
    case("UTF-16, big endian", "\ufeff" + NAMES, HARTE, LUND, encoding="utf-16-be"),
    case("UTF-16 without a mark", NAMES, HARTE, LUND, encoding="utf-16-le"),
    case("UTF-32", "\ufeff" + NAMES, HARTE, LUND, encoding="utf-32-le"),
    case("UTF-16 with one byte too many", ("\ufeff" + NAMES).encode("utf-16-le") + b"\n", HARTE, LUND,
         rejected={4: "is not valid utf-16-le"}),
    case("truncated UTF-16", ("\ufeff" + NAMES).encode("utf-16-le")[:-3], HARTE, rejected={3: "is not valid utf-16-le"}),
    case("one line in Windows-1252", "Surname,First name\nMüller,Ida\n".encode() + "Jäger,Per\nLund,Per\n".encode("cp1252"),
         person("Müller", "Ida"), LUND, rejected={3: "is not valid UTF-8"}),
    case("first line in Windows-1252", b"Surname\n" + "Jäger\n".encode("cp1252") + "Müller\nGroß\n".encode(),
         person("Müller"), person("Groß"), rejected={2: "is not valid UTF-8"}),
    case("NDJSON in UTF-16", '\ufeff{"person_surname":"Müller"}\n', person("Müller"), encoding="utf-16-le"),
]  # fmt: skip


def _born(name: str, *rows: tuple[str, str | None], **options: Any) -> TableCase:
    """Return a case of birthdates: the text of each row, and the birthdate, "" if it is not known or None if it is rejected."""
    lines = "".join(f"S{number}\t{text}\n" for number, (text, _) in enumerate(rows))
    people = [person(f"S{number}", birthdate=born) for number, (_, born) in enumerate(rows) if born is not None]
    rejected = {number + 2: "" for number, (_, born) in enumerate(rows) if born is None}
    return case(name, f"Surname\tBirthday\n{lines}", *people, rejected=rejected, **options)


BIRTHDATES: Final = [
    _born("day without a year", ("1/5", "--01-05"), ("2/29", "--02-29"), ("2/30", None), date_format=["%m/%d/%Y", "%m/%d"]),
    _born("month", ("03/1990", "1990-03"), ("13/1990", None), ("00/1990", "1990"), date_format="%m/%Y"),
    _born("years of two digits", ("16-07-68", "1968-07-16"), ("05-06-45", "1945-06-05"), ("01-01-00", "2000-01-01"),
          ("31-12-99", "1999-12-31"), date_format="%d-%m-%y"),
    _born("values for none", ("0/0/00", ""), ("0000-00-00", ""), ("  /  /  ", ""), ("NULL", ""), ("\\N", ""), ("00.00.0000", ""),
          ("0001-01-01", ""), ("01/01/0001 00:00:00", ""), ("0000-00-00 00:00:00", ""), ("n/a", ""), ("1900-01-00", ""), ("-", "")),
    _born("zeros in parts", ("1990-00-00", "1990"), ("1990-02-00", "1990-02"), ("0000-02-11", "--02-11"), ("1990-00-11", None)),
    _born("zeros in parts of a format", ("00/02/1990", "1990-02"), ("00/00/1990", "1990"), ("11/02/0000", "--02-11"), date_format="%d/%m/%Y"),
    _born("serial numbers", ("32874", "1990-01-01"), ("32874.75", "1990-01-01"), ("1", "1900-01-01"), ("61", "1900-03-01"), ("60", None),
          ("0", ""), date_format="excel"),
    _born("serial number without the option", ("32874", None)),
    _born("timestamps", ("1990-02-11 00:00:00", "1990-02-11"), ("1990-02-11T23:30:00.000Z", "1990-02-11"),
          ("1990-02-11T00:00:00+02:00", "1990-02-11"), ("11.02.1990 10:15", "1990-02-11")),
    _born("exact digits", ("19151111", "1915-11-11"), ("1915111", None), ("191511", None), ("19151111 ", "1915-11-11"), date_format="%Y%m%d"),
    _born("digits of day and month", ("1102", "--02-11"), ("112", None), date_format="%d%m"),
    _born("order of the column", ("01/02/1990", "1990-02-01"), ("13/02/1990", "1990-02-13"), ("5/6/2001", "2001-06-05")),
    _born("month first in the column", ("01/02/1990", "1990-01-02"), ("12/31/1990", "1990-12-31")),
    _born("order that is not known", ("01/02/1990", None), ("02/02/1990", "1990-02-02")),
    _born("two orders in a column", ("13/02/1990", "1990-02-13"), ("02/14/1990", "1990-02-14"), ("01/02/1990", None)),
    case("order in the heading", "Surname,Birthdate (MM/DD/YYYY)\nHarte,02/03/1990\n", person("Harte", birthdate="1990-02-03")),
    case("order in a German heading", "Surname;Geburtsdatum TT/MM/JJJJ\nHarte;02/03/1990\n",
         person("Harte", birthdate="1990-03-02")),
    case("order of an Italian heading", "Cognome;Data di nascita\nHarte;01/02/1990\nLund;3/4/85\n", person("Harte", birthdate="1990-02-01"),
         person("Lund", birthdate="1985-04-03")),
    case("order of the column under an Italian heading", "Cognome;Data di nascita\nHarte;01/02/1990\nLund;12/31/1985\n",
         person("Harte", birthdate="1990-01-02"), person("Lund", birthdate="1985-12-31")),
    case("two orders under an Italian heading", "Cognome;Data di nascita\nHarte;01/02/1990\nLund;12/31/1985\nFry;31/12/1985\n",
         person("Lund", birthdate="1985-12-31"), person("Fry", birthdate="1985-12-31"), rejected={2: "more than one day"}),
    case("order under a Swedish heading", "Efternamn;Födelsedatum\nHarte;01/02/1990\n", rejected={2: "more than one day"}),
    case("order in a Russian heading", "Фамилия;Дата рождения (ДД/ММ/ГГГГ)\nHarte;02/03/1990\n", person("Harte", birthdate="1990-03-02")),
    case("order in a Turkish heading", "Soyadı;Doğum tarihi (gg/aa/yyyy)\nHarte;02/03/1990\n", person("Harte", birthdate="1990-03-02")),
    case("Persian date", "نام;نام خانوادگی;تاریخ تولد\nعلی;حسنی;1369/11/24\n", rejected={2: "Islamic or Persian calendar"}),
    _born("days of the week", ("Sun, 11 Feb 1990", "1990-02-11"), ("Sonntag, 11. Februar 1990", "1990-02-11"), ("So 11.02.1990", "1990-02-11"),
          ("dimanche 11 février 1990", "1990-02-11"), ("Sun Feb 11 00:00:00 CET 1990", "1990-02-11"),
          ("Sun Feb 11 1990 00:00:00 GMT+0100 (Central European Standard Time)", "1990-02-11")),
    _born("times of databases", ("1990-02-11 00:00:00+00", "1990-02-11"), ("11-FEB-90 12.00.00.000000000 AM", "1990-02-11"),
          ("19900211000000Z", "1990-02-11"), ("1990-02-11+01:00", "1990-02-11"), ("11.02.1990, 00:00 Uhr", "1990-02-11"),
          ("1990-02-11T00:00:00.000+0000", "1990-02-11"), ("5. 11.84", "1984-11-05")),
    _born("dates of registers and programs", ("11FEB1990", "1990-02-11"), ("*11.02.1990", "1990-02-11"), ("11.02.1990 r.", "1990-02-11"), ("geb. 11.02.1990", "1990-02-11"),
          ("19900211T101500Z", "1990-02-11"), ("199002111015", "1990-02-11"), ("1990 Feb", "1990-02"), ("1990年02月11日 (日)", "1990-02-11"),
          ("11 Şubat 1990 Pazar", "1990-02-11"), ("ngày 11 tháng 2 năm 1990", "1990-02-11"), ("the 11th of February 1990", "1990-02-11"),
          ("nicht angegeben", ""), ("n.v.t.", ""), ("not provided", ""), ("c. 1890", None), ("1890-1895", None), ("1990-W06-7", None)),
    case("calendars other than the Gregorian one", "Surname\tBirthday\nA\t1410-07-16\nB\t1369/11/22\nC\t11/02/2533\nD\t昭和70年1月1日\nE\t1500-01-02\n",
         person("E", birthdate="1500-01-02"), rejected={2: "Islamic or Persian calendar", 3: "Islamic or Persian calendar",
         4: "Buddhist calendar", 5: "must be a date like"}),
    _born("year 1410 of the Gregorian calendar", ("1410-07-16", "1410-07-16"), date_format="%Y-%m-%d"),
    _born("months of more languages", ("11 lutego 1990", "1990-02-11"), ("11. února 1990", "1990-02-11"), ("11 февраля 1990 г.", "1990-02-11"),
          ("11 Φεβρουαρίου 1990", "1990-02-11"), ("11 Şubat 1990", "1990-02-11"), ("11. helmikuuta 1990", "1990-02-11"),
          ("١١ فبراير ١٩٩٠", "1990-02-11"), ("1990년 2월 11일", "1990-02-11"), ("11 listopada 1990", None)),
    _born("Japanese and Chinese years", ("昭和60年3月4日", "1985-03-04"), ("S60.3.4", "1985-03-04"), ("平成元年1月8日", "1989-01-08"),
          ("民國79年2月11日", "1990-02-11")),
    _born("unknown parts", ("1990-??-??", "1990"), ("1990-XX-XX", "1990"), ("??/02/1990", "1990-02"), ("__/__/1990", "1990"), ("199?", None)),
    _born("day without a year in one order", ("25/12", "--12-25"), ("12/25", "--12-25"), ("11.02.", "--02-11"), ("5/5", "--05-05"), ("1/5", None)),
    _born("order of days without a year", ("1/5", "--05-01"), ("25/12", "--12-25"), ("2/2", "--02-02")),
    _born("month and short year", ("Feb-90", "1990-02"), ("Feb '90", "1990-02"), ("11 Feb '90", "1990-02-11"), ("Feb-11", None)),
    _born("marks of programs", ("'1990-02-11", "1990-02-11"), ('="1990-02-11"', "1990-02-11"), ("\u200e13/02/1990", "1990-02-13"),
          ("1990\u201302\u201311", "1990-02-11")),
    _born("words for none", ("unbekannt", ""), ("inconnu", ""), ("неизвестно", ""), ("不明", ""), ("TBD", ""), ("9999-12-31", ""), ("31.12.9999", ""),
          ("\u2013", ""), ("xx.xx.xxxx", "")),
    _born("serial numbers with a decimal comma", ("32874,5", "1990-01-01"), ("32.874", None), date_format="excel"),
    _born("format without zeros", ("1/2/1990", "1990-02-01"), date_format="%-d/%-m/%Y"),
    case("columns with the part in parentheses", "Surname,Date of Birth (Day),Date of Birth (Month),Date of Birth (Year)\nHarte,05,11,1984\n",
         person("Harte", birthdate="1984-11-05")),
    case("columns with short names", "Surname,dob_d,dob_m,dob_y\nHarte,5,11,1984\n", person("Harte", birthdate="1984-11-05")),
    case("columns of bday", "Surname,bday,bmonth,byear\nHarte,5,11,1984\n", person("Harte", birthdate="1984-11-05")),
    _born("periods", ("11.02.1990", "1990-02-11"), ("1.2.1990", "1990-02-01"), ("11.2.90", "1990-02-11")),
    _born("names of months", ("11 Feb 1990", "1990-02-11"), ("February 11, 1990", "1990-02-11"), ("11. März 1990", "1990-03-11"),
          ("11-Feb-1990", "1990-02-11"), ("11 de febrero de 1990", "1990-02-11"), ("Feb 1990", "1990-02")),
    _born("East Asian", ("1990年2月11日", "1990-02-11"), ("１９９０年２月", "1990-02")),
    _born("future", ("2090-01-01", None), ("01.01.2090", None)),
    _born("days that do not exist", ("1990-02-30", None), ("30/02/1990", None)),
    _born("unreadable date that is kept", ("1990-02-11", "1990-02-11"), on_bad_date="keep"),
    case("unreadable dates that are kept", "Surname,Birthday\nHarte,spring 1911\nLund,30/02/1990\n",
         person("Harte", unreadable_birthdate="spring 1911"), person("Lund", unreadable_birthdate="30/02/1990"), on_bad_date="keep"),
    case("columns in German", "Nachname;Vorname;Geburtstag;Geburtsmonat;Geburtsjahr\nHarte;Ida;5;11;1984\nLund;Per;;;1990\n",
         person("Harte", "Ida", "1984-11-05"), person("Lund", "Per", "1990")),
    case("columns of Thunderbird", "First Name,Last Name,Birth Year,Birth Month,Birth Day\nIda,Harte,1984,11,5\nPer,Lund,,11,5\n",
         person("Harte", "Ida", "1984-11-05"), person("Lund", "Per", "--11-05")),
    case("columns of year and month", "Surname;Geburtsjahr;Geburtsmonat\nHarte;1984;November\nLund;1984;\nFry;;\nGray;0;0\n",
         person("Harte", birthdate="1984-11"), person("Lund", birthdate="1984"), person("Fry"), person("Gray")),
    case("columns that are chosen", "Surname,y,m,d\nHarte,1984,11,5\n", person("Harte", birthdate="1984-11-05"),
         map="person_birthdate=y,m,d", date_format="%Y %m %d"),
]  # fmt: skip

IDS: Final = [
    case("foreign ids with invalid dates",
         "person_id,given_name,family_name,birthdate,version,created_at\n7,Ida,Harte,30/02/1990,3,2001-05-06\n8,Per,Lund,2090-01-01,1,2003-01-01\n",
         rejected={2: "", 3: ""}),
    case("foreign ids", "person_id,given_name,family_name,version,created_at\n7,Ida,Harte,3,2001-05-06\n",
         HARTE | {"source_person_id": "7", "source_version": "3", "source_created_at": "2001-05-06"}),
    case("foreign ids in NDJSON", '{"person_id":7,"person_surname":"Harte","version":"draft"}\n',
         person("Harte", source_person_id=7, source_version="draft")),
    case("version without an id", "Surname,version,updated_at\nHarte,2.1,yesterday\n",
         person("Harte", source_version="2.1", source_updated_at="yesterday")),
    case("field of that name", "Surname,person_id,source_person_id\nHarte,7,8\n", person("Harte", source_person_id="8", source_person_id_2="7")),
    case("invalid date of a foreign id in hexadecimal", f"person_id,Surname,person_birthdate\n{'a' * 32},Harte,spring\n", rejected={2: ""}),
]  # fmt: skip

_LANGUAGES: Final = [
    case(f"headings: {header}", f"{header}\nHarte;Ida;1990-02-11\n", person("Harte", "Ida", "1990-02-11"))
    for header in (
        "Nachname;Vorname;Geburtsdatum", "Name;Vorname;Geburtsdatum", "NAME;VORNAME;GEB.-DATUM", "Apellidos;Nombre;Fecha de nacimiento",
        "Nom;Prénom;Date de naissance", "NOM;PRENOM;NE(E) LE", "Cognome;Nome;Data di nascita", "Apelido;Nome;Data de nascimento",
        "Sobrenome;Nome;Nascimento", "Achternaam;Voornaam;Geboortedatum", "Efternamn;Förnamn;Födelsedatum", "Efternavn;Fornavn;Fødselsdato",
        "Sukunimi;Etunimi;Syntymäaika", "Nazwisko;Imię;Data urodzenia", "Příjmení;Jméno;Datum narození", "Priezvisko;Meno;Dátum narodenia",
        "Vezetéknév;Keresztnév;Születési idő", "Nume;Prenume;Data nașterii", "Prezime;Ime;Datum rođenja", "Фамилия;Имя;Дата рождения",
        "Прізвище;Ім'я;Дата народження", "Επώνυμο;Όνομα;Ημερομηνία γέννησης", "Soyadı;Adı;Doğum Tarihi", "اللقب;الاسم;تاريخ الميلاد",
        "שם משפחה;שם פרטי;תאריך לידה", "उपनाम;नाम;जन्म तिथि", "姓;名;出生日期", "姓;名;生年月日", "苗字;名前;誕生日", "성;이름;생년월일",
        "Họ;Tên;Ngày sinh", "Nama belakang;Nama depan;Tanggal lahir", "นามสกุล;ชื่อ;วันเกิด", "نام خانوادگی;نام;تاریخ تولد",
        "LAST_NAME;First-Name;D.O.B.", "member last name;Member First Name;Date of birth (yyyy-mm-dd)", "familyName;givenName;birthDate",
        "sn;givenName;Birth date",
    )
]  # fmt: skip
_MORE_HEADINGS: Final = [
    case(f"more headings: {header}", f"{header}\nHarte;Ida;1990-02-11\n", person("Harte", "Ida", "1990-02-11"))
    for header in (
        "Nachname des Schülers;Vorname des Schülers;Geburtsdatum des Schülers", "Schüler Nachname;Schüler Vorname;Geb.Datum",
        "Nom élève;Prénom élève;Date naiss.", "Votre nom;Votre prénom;Votre date de naissance", "Apellido paterno;Nombre;F. Nac.",
        "Cognome;Nome;Data nasc.", "Sobrenome;Nome;Dt. Nascimento", "Příjmení;Jméno;Datum nar.", "Priezvisko;Meno;Dátum nar.",
        "Családi név;Utónév;Szül. ideje", "Prezime;Ime;Datum rodjenja", "Прізвище;Ім’я;Дата народж.", "Презиме;Име;Датум на раѓање",
        "Επώνυμο;Όνομα;Ημ. Γεν.", "Soyad;Ad;Doğum T.", "Mbiemri;Emri;Datëlindja", "Abizenak;Izena;Jaioteguna", "გვარი;სახელი;დაბადების თარიღი",
        "Ազգանուն;Անուն;Ծննդյան ամսաթիվ", "NACHN;VORNA;GBDAT", "What is your last name?;What is your first name?;What is your date of birth?",
        "Attendee Surname;Attendee first name;Birth Date", "Legal Surname;Legal Forename;DoB", "cust_lname;cust_fname;cust_dob", "LAST_NM;FIRST_NM;BDATE",
        "2. Last Name;1. First Name;3. Date of birth", "Name / Nom;First name / Prénom;Date of birth / Date de naissance",
        "姓 Last Name;名 First Name;生日 Birthday",
        "Schülernachname;Schülervorname;Geburtstag", "Kundenname;Kundenvorname;Geb.-Datum", "Surname;Child's name;Date of birth",
        "Personal details: Surname;Personal details: First name;Personal details: Date of birth", "名前(姓);名前(名);誕生日", "Married Name;First Name;Birthday",
    )
]  # fmt: skip
HEADINGS: Final = [
    case("patronymic", "Име;Презиме;Фамилия\nИда;Мей;Харте\n", person("Харте", "Ида", Презиме="Мей")),
    case("names of other people", "Mother's Name,Guardian First Name,First name,Last name\nA,B,Ida,Harte\n",
         HARTE | {"Mother's Name": "A", "Guardian First Name": "B"}),
    case("names of companies and of other people in parentheses", "Name (Unternehmen);Name (Person);Vorname (Person);Vorname (Mutter)\n;Harte;Ida;A\n",
         HARTE | {"Vorname (Mutter)": "A"}),
    case("groups of columns", "Person - ID,Person - Name,Person - First name,Person - Last name\n1,Ida Harte,Ida,Harte\n",
         HARTE | {"Person - ID": "1", "Person - Name": "Ida Harte"}),
    case("other people in groups of columns", "Emergency contact - First name,Legal Name - First Name,Legal Name - Last Name\nA,Ida,Harte\n",
         HARTE | {"Emergency contact - First name": "A"}),
    case("surname in use, which few people have", "Nom Elève;Nom d'usage Elève;Prénom Elève\nHarte;;Ida\nA;Lund;Per\n", HARTE | {"Nom Elève": "Harte"},
         LUND | {"Nom Elève": "A"}),
    case("surname in a whole name only", "Name,Given Name,Family Name\nIda Harte,Ida,\n", HARTE | {"Name": "Ida Harte"}),
    case("surname at birth only", "Nom de naissance;Prénom\nHarte;Ida\n", HARTE),
    case("reading of a name before the name", "氏名(カナ),氏名\nヤマダ タロウ,山田 太郎\n", person("山田", "太郎", **{"氏名(カナ)": "ヤマダ タロウ"})),
    case("display name next to the name", 'name,display_name,birthdate_date\nIda Harte,"Acme, Ida Harte",1990-02-11\n',
         person("Harte", "Ida", "1990-02-11", display_name="Acme, Ida Harte")),
    case("whole name of an employee", "ФИО сотрудника;Дата рождения\nИванова Ида Ивановна;13.02.1990\n",
         person("Иванова", "Ида Ивановна", "1990-02-13")),
    case("other names are not surnames", "Geburtsname;Name;Vorname;Geburtsort;Geburtsdatum\nA;Harte;Ida;Ulm;11.02.1990\n",
         person("Harte", "Ida", "1990-02-11", Geburtsname="A", Geburtsort="Ulm")),
    case("whole name", "Name,Birthday\nIda Harte,1990-01-02\n", person("Harte", "Ida", "1990-01-02")),
    case("whole names of several words", 'Full name\nIda May Harte\nLudwig van Beethoven\n"Harte, Ida"\nPlato\nMartin King Jr.\n',
         person("Harte", "Ida May"), person("van Beethoven", "Ludwig"), HARTE, person(name="Plato"), person("King Jr.", "Martin")),
    case("whole names with remarks", 'Full name\nIda Harte (Lund)\nIda Harte PhD\n"Ida Harte, Dr. med."\nYo Yo Ma\nMarie de la Cruz III\n',
         person("Harte (Lund)", "Ida"), person("Harte PhD", "Ida"), person("Harte, Dr. med.", "Ida"), person("Ma", "Yo Yo"),
         person("de la Cruz III", "Marie")),
    case("whole names of registers", "nomprenom\nHARTE*IDA MAY/\nIda May /Harte/\nHarte^Ida^May\nA/B\n", person("HARTE", "IDA MAY"),
         person("Harte", "Ida May"), person("Harte", "Ida May"), person(name="A/B")),
    case("whole names with two surnames", "Nombre completo\nAna María García López\nAna de la Cruz Pérez\nAna García\n", person("García López", "Ana María"),
         person("de la Cruz Pérez", "Ana"), person("García", "Ana")),
    case("whole names that start with two surnames", "APELLIDOS_NOMBRES\nGARCIA LOPEZ ANA MARIA\nDE LA CRUZ PEREZ ANA\nGARCIA ANA\n",
         person("GARCIA LOPEZ", "ANA MARIA"), person("DE LA CRUZ PEREZ", "ANA"), person("GARCIA", "ANA")),
    case("whole names with particles in front", "Cognome e Nome\nROSSI MARIA LUISA\nDE LUCA PAOLO\n", person("ROSSI", "MARIA LUISA"), person("DE LUCA", "PAOLO")),
    case("whole names with a title in their heading",
         "Poř.;Příjmení, jméno, titul;Nar.\n1;Novák, Jan, Ing.;1.2.1980\n2;Svobodová, Eva;13.4.1975\n",
         person("Novák", "Jan, Ing.", "1980-02-01", **{"Poř.": "1"}), person("Svobodová", "Eva", "1975-04-13", **{"Poř.": "2"})),
    case("Vietnamese whole names", "Họ và tên\nLe Van An\nNguyễn Thị Mai\n", person("Le", "Van An"), person("Nguyễn", "Thị Mai")),
    case("surnames in capital letters", "NAME\nHARTE Ida\nVAN DER BERG Piet\nPer LUND\nJP Morgan\nMartin King III\nIDA FRY\n", person("HARTE", "Ida"),
         person("VAN DER BERG", "Piet"), person("LUND", "Per"), person("Morgan", "JP"), person("King III", "Martin"), person("FRY", "IDA")),
    case("headings in the first column", "Surname,Harte\nFirst name,Ida\nBirthday,1990-02-11\n", rejected={2: "looks like a heading", 3: "looks like a heading"}),
    case("whole name with the surname first", "Név;x\nHarte Ida;1\n", HARTE | {"x": "1"}),
    case("whole name that is kept", "Name,x\nIda Harte,1\n", person(name="Ida Harte", x="1"), map="person_name=Name"),
    case("display name of a row without names", "First Name,Last Name,Display Name\n,,Ida Harte\nPer,Lund,Per L.\n",
         HARTE | {"Display Name": "Ida Harte"}, LUND | {"Display Name": "Per L."}),
    case("two surnames", "Nombre;Apellido paterno;Apellido materno\nIda;García;López\nPer;Lund;\n", person("García López", "Ida"), LUND),
    case("prefix of the surname", "Voornaam;Tussenvoegsel;Achternaam\nIda;van der;Berg\nPer;;Lund\n", person("van der Berg", "Ida"), LUND),
    case("field without a column", "Surname,Address\nHarte,x\n", person("Harte", Address="x"), map="person_address="),
    case("columns that are joined", "Surname,Street,City\nHarte,1 Road,Town\n", person("Harte", person_address="1 Road Town"),
         map="person_address=Street,City"),
    case("Google", "First Name,Middle Name,Last Name,File As,Birthday,E-mail 1 - Value,Address 1 - Formatted\nIda,May,Harte,,1984-11-05,a@b.c,1 Road\n",
         person("Harte", "Ida", "1984-11-05", person_address="1 Road", **{"Middle Name": "May", "E-mail 1 - Value": "a@b.c"})),
    case("Google, older", "Name,Given Name,Family Name,Birthday\nIda Harte,Ida,Harte,--02-14\nPer,,,\n",
         person("Harte", "Ida", "--02-14", Name="Ida Harte"), person(name="Per", Name="Per")),
    case("Outlook", "First Name,Last Name,Home Address,Birthday\nIda,Harte,1 Road,0/0/00\n", HARTE | {"person_address": "1 Road"}),
    case("keys of objects", '{"givenName":"Ida","familyName":"Harte"}\n', HARTE),
]  # fmt: skip

CASES: Final = [*QUOTES, *DIALECTS, *ROWS, *ENCODINGS, *BIRTHDATES, *IDS, *_LANGUAGES, *_MORE_HEADINGS, *HEADINGS]


def in_order(person: dict[str, Any]) -> str:
    """Return a key that orders people."""
    return json.dumps(person, sort_keys=True)
