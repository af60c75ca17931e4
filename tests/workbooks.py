"""Workbooks (.xlsx) for tests: of a spreadsheet program, and from hand-written XML."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import xlsxwriter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TYPES = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>'
_RELATION = (
    '<Relationship Id="{}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{}" Target="{}"/>'
)
_RELATIONS = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_IDS = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'


def workbook(
    sheets: Mapping[str, Sequence[Sequence[Any]]], *, date_format: str = "dd/mm/yyyy", hidden: str = "", **options: Any
) -> bytes:
    """Return a workbook with these rows in each sheet."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True, "default_date_format": date_format} | options) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            if name == hidden:
                sheet.hide()
            for number, cells in enumerate(rows):
                for column, cell in enumerate(cells):
                    if isinstance(cell, date | datetime):
                        sheet.write_datetime(number, column, cell)
                    elif cell == "=NA()":
                        sheet.write_formula(number, column, cell, value="#N/A")
                    elif isinstance(cell, str) and not cell.startswith("="):
                        sheet.write_string(number, column, cell)
                    else:
                        sheet.write(number, column, cell)
    return file.getvalue()


def raw_workbook(
    rows: str, *, strings: str = "", styles: str = "", properties: str = "", parts: Mapping[str, str] | None = None
) -> bytes:
    """Return a workbook with the XML of the rows of its sheet, and of the other parts."""
    relations = [_RELATION.format("rId1", "worksheet", "worksheets/sheet1.xml")]
    files = {
        "[Content_Types].xml": _TYPES,
        "_rels/.rels": _RELATIONS.format(_RELATION.format("rId1", "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook {_MAIN} {_IDS}>{properties}<sheets><sheet name="A" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/worksheets/sheet1.xml": f"<worksheet {_MAIN}><sheetData>{rows}</sheetData></worksheet>",
    }
    if strings:
        files["xl/sharedStrings.xml"] = f"<sst {_MAIN}>{strings}</sst>"
        relations.append(_RELATION.format("rId2", "sharedStrings", "/xl/sharedStrings.xml"))
    if styles:
        files["xl/styles.xml"] = f"<styleSheet {_MAIN}>{styles}</styleSheet>"
        relations.append(_RELATION.format("rId3", "styles", "styles.xml"))
    files["xl/_rels/workbook.xml.rels"] = _RELATIONS.format("".join(relations))
    return archive(files | dict(parts or {}))


def archive(files: Mapping[str, str | bytes]) -> bytes:
    """Return a ZIP archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archived:
        for name, content in files.items():
            archived.writestr(name, content)
    return file.getvalue()


def part(data: bytes, name: str) -> str:
    """Return a part of a workbook as text."""
    with zipfile.ZipFile(io.BytesIO(data)) as archived:
        return archived.read(name).decode()
