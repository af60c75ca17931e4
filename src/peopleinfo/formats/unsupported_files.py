"""Types of files that hold no readable people, named for the error message by their first bytes."""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Final

from peopleinfo.formats.encodings import without_mark

if TYPE_CHECKING:
    from collections.abc import Collection

_SAVE: Final = "save the people as .xlsx or CSV"
_EXTRACT: Final = "extract it, and import the files in it"
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_MAX_OLE_SIZE: Final = 64 * 1024 * 1024  # bytes that are searched for a marker
_MAX_CONTROLS: Final = 0.1  # part of the bytes of a text
_CONTROLS: Final = bytes({*range(32), 127} - set(b"\t\n\v\f\r\x1a\x1b"))

_IMAGE: Final = f"an image: {_SAVE}"
_STARTS: Final = {
    b"%PDF-": f"a PDF document: {_SAVE}",
    b"\x89PNG": _IMAGE,
    b"\xff\xd8\xff": _IMAGE,
    b"GIF8": _IMAGE,
    b"II*\0": _IMAGE,
    b"MM\0*": _IMAGE,
    b"Rar!\x1a\x07": f"a RAR archive: {_EXTRACT}",
    b"7z\xbc\xaf\x27\x1c": f"a 7z archive: {_EXTRACT}",
    b"BZh": f"a bzip2 archive: {_EXTRACT}",
    b"\xfd7zXZ\0": f"an xz archive: {_EXTRACT}",
    b"\x28\xb5\x2f\xfd": f"a Zstandard archive: {_EXTRACT}",
    b"SQLite format 3\0": f"an SQLite database: {_SAVE}",
    b"\0\1\0\0Standard ": f"an Access database: {_SAVE}",
    b"PAR1": f"a Parquet file: {_SAVE}",
    b"!BDN": "an Outlook data file: export the contacts as CSV",
    b"{\\rtf": f"an RTF document: {_SAVE}",
    b"\x7fELF": "a program",
    b"MZ\x90\0": "a program",
    b"BEGIN:VCALENDAR": "a calendar: export the contacts as vCard",
    b"-----BEGIN PGP MESSAGE": "an encrypted message: decrypt it",
}
_BZIP2: Final = re.compile(rb"BZh[1-9]1AY&SY")
_MARKUP: Final = {
    re.compile(rb"<\?xml[^>]*>.*urn:schemas-microsoft-com:office:spreadsheet", re.DOTALL): "an Excel 2003 XML workbook",
    re.compile(rb"<!doctype html|<html|<table", re.IGNORECASE): "an HTML page, which some programs name .xls",
    re.compile(rb"<\?xml\b|<!DOCTYPE\b|<[A-Za-z][\w:.-]*(?:\s+[\w:.-]+=|\s*/?>)"): "an XML document",
    re.compile(
        rb"(?:--[^\n]*\n|/\*.*?\*/;?|\s)*(?:INSERT\s+INTO|CREATE\s+TABLE|DROP\s+TABLE|SET\s+\w+\s*=|BEGIN\s*;|PRAGMA)\b",
        re.IGNORECASE | re.DOTALL,
    ): "a dump of an SQL database",
    re.compile(rb"0\s+HEAD\s*$", re.MULTILINE): "a GEDCOM file of genealogy",
    re.compile(rb"(?:FHS|BHS|MSH)\|[^|]{3,5}\|"): "HL7 messages",
    re.compile(rb"ID;P"): "a SYLK file (.slk)",
    re.compile(rb"TABLE\r?\n0,1\r?\n"): "a DIF file",
    re.compile(
        rb"From \S+@\S+ |Return-Path: <|Received: (?:from|by) |Delivered-To: \S+@|MIME-Version: 1"
    ): "an e-mail message",
    re.compile(
        rb"(?:var|let|const|export|window\.\w+|module\.exports)\b[^\n,;|\t]*=|\w[\w.$]*\(\s*[\[{]"
    ): "JavaScript, not JSON",
    re.compile(rb"---\s*\n|-\s+\w+:\s|\w+:\s*\n\s+(?:-\s+)?\w+:\s"): "a YAML document",
    re.compile(rb"@relation\b", re.IGNORECASE): "an ARFF file",
    re.compile(rb"\[\s*(?:\[\s*)?\"vcard\"\s*,", re.IGNORECASE): "jCard: export the contacts as vCard (.vcf), or",
}
# Streams of a compound file, in the order of the search.
_OLE_STREAMS: Final = {
    "EncryptedPackage": "an encrypted workbook: remove its password",
    "WordDocument": f"a Word document (.doc): {_SAVE}",
    "PowerPoint Document": f"a presentation (.ppt): {_SAVE}",
    "__substg1.0_": "an Outlook message (.msg): export the contacts as CSV",
    "Workbook": "an Excel 97 workbook (.xls): save it as .xlsx",
    "Book": "an Excel 95 workbook (.xls): save it as .xlsx",
}
NO_WORKBOOKS: Final = {  # a file in the archive, and the type of the archive
    "word/document.xml": f"a Word document (.docx): {_SAVE}",
    "ppt/presentation.xml": f"a presentation (.pptx): {_SAVE}",
    "xl/workbook.bin": "a binary workbook (.xlsb): save it as .xlsx",
    "index/document.iwa": "an Apple Numbers or Pages document: export it as .xlsx or CSV",
    "content.xml": "an OpenDocument file (.ods or .odt): save it as .xlsx or CSV",
    "meta-inf/manifest.mf": "a Java archive",
    "androidmanifest.xml": "an Android package",
}


def is_zip(start: bytes) -> bool:
    """Return whether the start of an input is a ZIP archive, for example a workbook."""
    return start.startswith(_ZIP)


def unreadable_type(start: bytes, stream: IO[bytes], *, is_text: bool = False) -> str | None:
    """Return the type of a file that is no text, with the remedy; None for text. Reads the stream of an old Office file.

    With `is_text`, the file is text in an encoding that the user has set, unless it has the mark of another type.
    """
    if start.startswith(_OLE):
        return _ole_type(stream)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    for magic, description in _STARTS.items():
        if text.startswith(magic) and (magic != b"BZh" or _BZIP2.match(text)):
            return description
    for pattern, description in _MARKUP.items():
        if pattern.match(text):
            return f"{description}: {_SAVE}"
    if start[257:262] == b"ustar":
        return f"a tar archive: {_EXTRACT}"
    return "a binary file of an unknown type" if not is_text and _is_binary(start) else None


def archive_type(names: Collection[str]) -> str:
    """Return the type of a ZIP archive that is no workbook, with the remedy, by the lower-case names of its files."""
    return next((kind for name, kind in NO_WORKBOOKS.items() if name in names), f"a ZIP archive: {_EXTRACT}")


def _ole_type(stream: IO[bytes]) -> str:
    text = stream.read(_MAX_OLE_SIZE)
    found = (kind for name, kind in _OLE_STREAMS.items() if name.encode("utf-16-le") in text)
    return next(found, f"an old Office file: {_SAVE}")


def _is_binary(start: bytes) -> bool:
    """Return whether bytes are no text. Zeros at the end are those of a file that was not written completely."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or without_mark(start):
        return False
    start = start.rstrip(b"\0")
    return len(start) - len(start.translate(None, _CONTROLS)) > _MAX_CONTROLS * len(start)
