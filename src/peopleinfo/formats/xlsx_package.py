"""The package of a workbook (.xlsx): its ZIP archive, relationships, sheets, number formats and shared strings, with bounded memory."""

from __future__ import annotations

import mmap
import posixpath
import tempfile
import zipfile
import zlib
from array import array
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple
from xml.parsers import expat

from peopleinfo.errors import InvalidInput
from peopleinfo.formats.unsupported_files import NO_WORKBOOKS, archive_type
from peopleinfo.formats.xlsx_cells import BUILT_IN, GENERAL, parts_of, unescaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNK_SIZE: Final = 64 * 1024
MAX_TEXT_LENGTH: Final = 256 * 1024  # characters of a cell; Excel allows 32,767
_MAX_READ: Final = 8 * 1024 * 1024  # bytes of the directory of the archive
_MAX_TOKEN_SIZE: Final = 4 * 1024 * 1024  # bytes of an XML tag
_MAX_PART_SIZE: Final = 32 * 1024 * 1024  # bytes of a part that is kept in memory
_MIN_SIZE_LIMIT: Final = 16 * 1024 * 1024  # bytes; a part may always decompress to this size
_MAX_RATIO: Final = 250
_HIDDEN: Final = ("hidden", "veryHidden")
_DAMAGED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    expat.ExpatError,
    ValueError,
    LookupError,
    NotImplementedError,
)

Attributes = dict[str, str]


class Sheet(NamedTuple):
    """A worksheet: its name, the path of its part, and whether it is hidden."""

    name: str
    path: str
    is_hidden: bool


@contextmanager
def reporting_damage(place: str = "") -> Iterator[None]:
    """Raise InvalidInput for a damaged part."""
    try:
        yield
    except RuntimeError:  # of zipfile
        raise InvalidInput("the workbook is encrypted: remove its password") from None
    except _DAMAGED:
        raise InvalidInput(f"the workbook is damaged{place}: open and save it in a spreadsheet program") from None


class Package:
    """An open workbook. Raises InvalidInput for a damaged or encrypted one."""

    def __init__(self, stream: IO[bytes]) -> None:
        with reporting_damage():
            self._zip = zipfile.ZipFile(_BoundedReads(stream))
            self._names = {_normal(name): name for name in self._zip.namelist()}
            self._workbook = self._main_part()
            parts = self._related(self._workbook)
            self.is_1904 = False
            self.sheets = list(self._read_sheets({key: path for key, kind, path in parts if kind == "worksheet"}))
            by_kind = {kind: path for _, kind, path in parts}
            self.formats = list(self._read_formats(by_kind.get("styles", "")))
            self.strings: SharedStrings | list[str] = []
            if "sharedStrings" in by_kind:
                self.strings = SharedStrings(self.chunks(by_kind["sharedStrings"]))

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the decompressed content of a part."""
        info = self._zip.getinfo(self._names[path])
        size = 0
        with self._zip.open(info) as part:
            while chunk := part.read(CHUNK_SIZE):
                size += len(chunk)
                if size > max(_MIN_SIZE_LIMIT, _MAX_RATIO * info.compress_size):
                    raise InvalidInput(f"the workbook decompresses to more than {_MAX_RATIO} times its size")
                yield chunk

    def _main_part(self) -> str:
        """Return the path of the part that lists the sheets. Raises InvalidInput for an archive of another type."""
        parts = self._related("") if "_rels/.rels" in self._names else []
        path = next((path for _, kind, path in parts if kind == "officeDocument"), "xl/workbook.xml")
        if path not in self._names or path in NO_WORKBOOKS:
            raise InvalidInput(f"is {archive_type(self._names)}")
        return path

    def _related(self, part: str) -> list[tuple[str, str, str]]:
        """Return the id, the kind and the path of each part that a part refers to."""
        folder, name = posixpath.split(part)
        related = []
        for element, attributes in self._elements(posixpath.join(folder, "_rels", f"{name}.rels")):
            if element == "Relationship" and attributes.get("TargetMode") != "External":
                path = _normal(posixpath.join("/", folder, attributes["Target"].replace("\\", "/")))
                related.append((attributes["Id"], posixpath.basename(attributes["Type"]), path))
        return related

    def _read_sheets(self, paths: dict[str, str]) -> Iterator[Sheet]:
        for element, attributes in self._elements(self._workbook):
            if element == "workbookPr":
                self.is_1904 = attributes.get("date1904", "0") in ("1", "true")
            elif element == "sheet":
                key = next((value for name, value in attributes.items() if name.endswith(":id")), "")
                if key in paths:  # charts and macros have other kinds of parts
                    yield Sheet(attributes.get("name", ""), paths[key], attributes.get("state") in _HIDDEN)

    def _read_formats(self, path: str) -> Iterator[str]:
        """Yield the parts of a date that each cell format shows."""
        codes: dict[int, str] = dict(BUILT_IN)
        is_cell_format = False
        for element, attributes in self._elements(path) if path in self._names else ():
            if element == "numFmt":
                codes[int(attributes["numFmtId"])] = parts_of(attributes["formatCode"])
            elif element == "xf":
                if is_cell_format:
                    yield codes.get(int(attributes.get("numFmtId", "0")), GENERAL)
            elif element in ("cellStyleXfs", "cellXfs", "cellStyles", "dxfs"):
                is_cell_format = element == "cellXfs"

    def _elements(self, path: str) -> Iterator[tuple[str, Attributes]]:
        """Yield the local name and the attributes of each element of a small part."""
        found: list[tuple[str, Attributes]] = []
        parser = xml_parser(lambda name, attributes: found.append((local_name(name), attributes)), lambda _: None)
        size = 0
        for _ in parsed(parser, self.chunks(path)):
            size += CHUNK_SIZE
            if size > _MAX_PART_SIZE:
                raise InvalidInput("the workbook has too many sheets or formats")
            yield from found
            found.clear()


class SharedStrings:
    """The shared strings of a workbook, in a temporary file: they can be larger than the memory."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._offsets = array("Q", [0])
        self._texts: list[str] = []
        self._string: list[str] = []
        self._is_phonetic = False
        self._size = 0
        parser = xml_parser(self._start, self._end, self._texts.append)
        with tempfile.TemporaryFile() as file:
            self._write = file.write
            for _ in parsed(parser, chunks):
                check_length(self._texts)
            file.write(b"\n")  # an empty file cannot be mapped
            file.flush()
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __getitem__(self, index: int) -> str:
        start, end = self._offsets[index : index + 2]
        return self._data[start:end].decode()

    def _start(self, name: str, _: Attributes) -> None:
        name = local_name(name)
        if name == "t":
            self._texts.clear()
        elif name == "si":
            self._string.clear()
        elif name == "rPh":
            self._is_phonetic = True

    def _end(self, name: str) -> None:
        name = local_name(name)
        if name == "t" and not self._is_phonetic:
            self._string += self._texts
        elif name == "si":
            self._size += self._write(unescaped("".join(self._string)).encode("utf-8", "replace"))
            self._offsets.append(self._size)
        elif name == "rPh":
            self._is_phonetic = False


class _BoundedReads:
    """A file for `zipfile`, which would read a directory of any size into memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek = stream.seek
        self.tell = stream.tell
        self.seekable = stream.seekable

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size if 0 <= size <= _MAX_READ else _MAX_READ + 1)
        if len(data) > _MAX_READ:
            raise InvalidInput("the workbook has too many parts")
        return data


def xml_parser(
    start: Callable[[str, Attributes], Any], end: Callable[[str], Any], text: Callable[[str], Any] | None = None
) -> expat.XMLParserType:
    """Return a parser that rejects documents with entities."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _reject_entities
    return parser


def parsed(parser: expat.XMLParserType, chunks: Iterator[bytes]) -> Iterator[None]:
    """Parse a part; yield after each chunk."""
    size = 0
    for chunk in chunks:
        parser.Parse(chunk)
        size += len(chunk)
        if size - parser.CurrentByteIndex > _MAX_TOKEN_SIZE:
            raise InvalidInput("the workbook contains an XML tag that is too long")
        yield
    parser.Parse(b"", True)
    yield


def check_length(texts: list[str]) -> None:
    """Raise InvalidInput for a text of a cell that is too long."""
    if sum(map(len, texts)) > MAX_TEXT_LENGTH:
        raise InvalidInput(f"a cell is longer than {MAX_TEXT_LENGTH // 1024} KiB")


def local_name(name: str) -> str:
    """Return a name without its namespace prefix."""
    return name.rpartition(":")[2]


def _normal(path: str) -> str:
    """Return the path of a part as a key. Names of parts are not case-sensitive."""
    return posixpath.normpath(path.replace("\\", "/")).lstrip("/").lower()


def _reject_entities(*_: object) -> None:
    raise InvalidInput("the workbook contains an XML document type definition, which is not allowed")
