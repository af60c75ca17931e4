"""Scripts and styles of the pages, served under a digest of all files so that browsers can cache them without limit."""

from __future__ import annotations

import hashlib
from functools import cache
from http import HTTPStatus
from importlib import resources
from typing import TYPE_CHECKING, Final, NamedTuple

import falcon
from rcssmin import cssmin  # type: ignore[import-untyped]
from rjsmin import jsmin  # type: ignore[import-untyped]

from peopleinfo.http.etags import EvaluatesConditions, Representation, answer_read
from peopleinfo.http.middleware.compression import send_document

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

ROOT: Final = "/console/static"
_MEDIA_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Assets(NamedTuple):
    """The files by name, and the digest of all files."""

    files: dict[str, bytes]
    digest: str


@cache
def assets() -> Assets:
    """Read the files when the first page is requested."""
    folder = resources.files("peopleinfo.console") / "static"
    files = {
        file.name: _minified(file.name, file.read_text(encoding="utf-8"))
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
    }
    content = hashlib.sha256(b"".join(name.encode() + b"\0" + text for name, text in files.items()))
    return Assets(files, content.hexdigest()[:16])


def _minified(name: str, text: str) -> bytes:
    minify = {".js": jsmin, ".css": cssmin}.get(name[name.rindex(".") :], str)
    return str(minify(text)).encode()


def root() -> str:
    """Return the path of the files of this version; scripts import one another by relative paths."""
    return f"{ROOT}/{assets().digest}"


class AssetResource(EvaluatesConditions):
    """/console/static/{digest}/{name}."""

    async def on_get(self, req: Request, resp: Response, digest: str, name: str) -> None:
        """Return a file; the digest of another version is not found, because its page belongs to that version."""
        files, current = assets()
        if digest != current or name not in files:
            raise falcon.HTTPNotFound(description="the file belongs to another version of the console; reload the page")
        resp.content_type = _MEDIA_TYPES[name[name.rindex(".") :]]
        resp.set_header("Cache-Control", "public, max-age=31536000, immutable")
        is_compressed = await send_document(req, resp, files[name])
        # Each content coding needs its own tag (RFC 9110, section 8.8.3.3).
        tag = f'"{digest}-gzip"' if is_compressed else f'"{digest}"'
        resp.set_header("ETag", tag)
        answer_read(req, resp, Representation(tag))
        if resp.status_code == HTTPStatus.NOT_MODIFIED:
            resp.stream = None

    on_head = on_get
