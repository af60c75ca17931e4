"""The scripts and styles of the pages, served under the digest of them all, so that a browser may keep them for ever."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from http import HTTPStatus
from importlib import resources
from typing import TYPE_CHECKING, Final, NamedTuple

import falcon

from peopleinfo.http.etags import EvaluatesConditions, Representation, answer_read
from peopleinfo.http.middleware.compression import send_document

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

ROOT: Final = "/console/static"
# Comments, indentation and most ends of lines are for readers of the source: a fifth of it, which is not sent.
_FOR_READERS: Final = re.compile(rb"^[ \t]*(?:(?://|/?\*).*)?\n|^[ \t]+|[ \t]+// .*$", re.MULTILINE)
_LINE_GOES_ON: Final = re.compile(rb"(?<=[{;,])\n")
OPERATOR: Final = re.compile(rb" (=>|===|&&|\|\||\?\?) ")  # needs no blanks; no text of a script has one
_TYPES: Final = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


class Assets(NamedTuple):
    """The files by their name, and the digest of them all."""

    files: dict[str, bytes]
    digest: str


@cache
def assets() -> Assets:
    """Read the files; at the first page that anybody opens, since whoever does not open one has no use for them."""
    folder = resources.files("peopleinfo.console") / "static"
    files = {
        file.name: _sent(file.name, file.read_bytes()) for file in sorted(folder.iterdir(), key=lambda file: file.name)
    }
    content = hashlib.sha256(b"".join(name.encode() + b"\0" + text for name, text in files.items()))
    return Assets(files, content.hexdigest()[:16])


def _sent(name: str, text: bytes) -> bytes:
    if not name.endswith(".js"):
        return text
    return OPERATOR.sub(rb"\1", _LINE_GOES_ON.sub(b"", _FOR_READERS.sub(b"", text)))


def root() -> str:
    """Return the path under which the files of this version lie; scripts find one another beside themselves."""
    return f"{ROOT}/{assets().digest}"


class AssetResource(EvaluatesConditions):
    """/console/static/{digest}/{name}."""

    async def on_get(self, req: Request, resp: Response, digest: str, name: str) -> None:
        """Answer a file. Under another version's digest it is not found: its page is of another version, too."""
        files, current = assets()
        if digest != current or name not in files:
            raise falcon.HTTPNotFound(
                description="this file belongs to another version of the page: load the page again"
            )
        resp.content_type = _TYPES[name[name.rindex(".") :]]
        resp.set_header("Cache-Control", "public, max-age=31536000, immutable")
        is_compressed = await send_document(req, resp, files[name])
        tag = (
            f'"{digest}-gzip"' if is_compressed else f'"{digest}"'
        )  # each representation has its own (RFC 9110, section 8.8.3.3)
        resp.set_header("ETag", tag)
        answer_read(req, resp, Representation(tag))
        if resp.status_code == HTTPStatus.NOT_MODIFIED:
            resp.stream = None

    on_head = on_get
