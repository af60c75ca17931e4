"""Requests to the server as plain data, the same for both clients. No I/O."""

from __future__ import annotations

import gzip
import os
import secrets
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypedDict
from urllib.parse import urlencode

from peopleinfo_client._json import encode
from peopleinfo_client.errors import InvalidInput, StreamInterrupted, failed_import
from peopleinfo_client.models import ImportResult, Person

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from peopleinfo_client.batches import BatchItem

ANY_VERSION: Final = "any"
"""Used as a version: change the record whatever its version. Such a change is not retried after a lost response."""
Version = int | Literal["any"] | None

API_KEY_VARIABLE: Final = "PEOPLEINFO_API_KEY"
_OLD_API_KEY_VARIABLE: Final = "PEOPLEINFO_KEY"  # rejected until 0.2.0
PAGE_SIZE: Final = 1_000
BATCH_SIZE: Final = 100
_CHUNK_SIZE: Final = 256 * 1024
_MAX_COMPRESSION_RATIO: Final = 100  # the server rejects input that expands more than 250 times
JSON: Final = {"Content-Type": "application/json"}
_NDJSON: Final = "application/x-ndjson"
EXPORT_HINT: Final = "the export was interrupted: start it again, or use find(), which resumes by itself"


class Search(TypedDict, total=False):
    """Search parameters. A person must match all of them; without any, every person matches.

    `email` and `phone` are the identifiers of a server by default.
    """

    surname: str | None
    surname_prefix: str | None
    name: str | None
    born_from: str | None
    born_to: str | None
    match: Literal["folded", "exact"] | None
    email: str | None
    phone: str | None


class SortedSearch(Search, total=False):
    """Search parameters, and the order of the people; without `sort`, they have no defined order."""

    sort: Literal["name", "-updated_at"] | None


class ImportOptions(TypedDict, total=False):
    """Options of an import, with the names of the query parameters of the API."""

    key: str
    """`person_id` or an identifier such as `email`: the field that identifies the record that a row updates; without it, a row that equals a stored record is unchanged."""
    mode: Literal["merge", "replace"]
    """With `key`: whether a row changes its fields only (default), or replaces the whole record."""
    force: bool
    """Store every row, even if an equal record is stored."""
    duplicates: Literal["report", "skip", "queue", "refuse"]
    """Compare new people with the stored people and the earlier rows; `skip` or `refuse` certain duplicates."""
    dry_run: bool
    """Return the result that each row would have, and store nothing."""
    date_format: list[str]
    """Formats of birthdates (strptime), tried in order."""
    on_bad_date: Literal["reject", "keep"]
    """Whether to reject a row with an unreadable birthdate (default), or to store its text in another field."""


class PreviewOptions(TypedDict, total=False):
    """Options of a preview, with the names of the query parameters of the API; the server detects the others."""

    map: list[str]
    """`FIELD=COLUMN` for each field with a column of its own."""
    date_format: list[str]
    on_bad_date: Literal["reject", "keep"]
    encoding: str
    delimiter: str
    sheet: str
    format: Literal["csv", "ndjson", "json", "vcard", "xlsx", "ldif"]


class Request(NamedTuple):
    """An HTTP request with the properties that decide on a retry.

    A `repeatable` request has the same effect whether the server processes it once or twice. A `conditional` request fails with status
    412 after an earlier attempt succeeded. Any other request is retried only when the server has surely not processed it.
    """

    method: str
    path: str
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed
    content: bytes | None = None
    repeatable: bool = True
    conditional: bool = False


def common_headers(api_key: str | None) -> dict[str, str]:
    """Return the headers of every request, with the given API key or else the one in `PEOPLEINFO_API_KEY`.

    Raises ValueError when the environment has the old name of this variable.
    """
    if _OLD_API_KEY_VARIABLE in os.environ:
        raise ValueError(f"{_OLD_API_KEY_VARIABLE} was renamed to {API_KEY_VARIABLE}")
    api_key = api_key or os.environ.get(API_KEY_VARIABLE)
    headers = {"User-Agent": "peopleinfo-client", "Accept": "application/json"}
    return headers | ({"Authorization": f"Bearer {api_key}"} if api_key else {})


def create(data: Mapping[str, Any], idempotency_key: str | None, *, refuse_duplicates: bool = False) -> Request:
    """Return the request that creates a person; its idempotency key makes it repeatable."""
    headers = JSON | {"Idempotency-Key": idempotency_key or secrets.token_hex(16)}
    query = "?duplicates=refuse" if refuse_duplicates else ""
    return Request("POST", f"/v1/people{query}", headers, encode(data))


def get(person_id: str) -> Request:
    """Return the request that reads a person."""
    return Request("GET", person_path(person_id))


def get_many(person_ids: Sequence[str]) -> Request:
    """Return the request that reads people by id."""
    return Request("POST", "/v1/people/batch-get", JSON, encode({"ids": person_ids}))


def batch(items: Iterable[BatchItem]) -> Request:
    """Return the request of a batch. It is repeatable if all items are creations, because of their idempotency keys."""
    sent = [{"idempotency_key": secrets.token_hex(16), **item} if _creates(item) else item for item in items]
    repeatable = all(map(_creates, sent))
    return Request("POST", "/v1/people/batch", JSON, encode({"items": sent}), repeatable=repeatable)


def _creates(item: Mapping[str, Any]) -> bool:
    return item.get("operation") == "create"


def page(search: SortedSearch, limit: int, cursor: str | None) -> Request:
    """Return the request for a page of search results. The body holds the search, because proxies log URLs."""
    return Request("POST", "/v1/people/search", JSON, encode({**search, "limit": limit, "cursor": cursor}))


def count(search: Search) -> Request:
    """Return the request for the number of people."""
    return Request("POST", "/v1/people/count", JSON, encode(search))


def letters() -> Request:
    """Return the request for the first letters of the surnames."""
    return Request("GET", "/v1/people/letters")


def text_page(text: str, cursor: str | None, *, forgiving: bool) -> Request:
    """Return the request for a page of the people that a search box finds."""
    body = {"q": text, "forgiving": forgiving, "limit": PAGE_SIZE, "cursor": cursor}
    return Request("POST", "/v1/people/search", JSON, encode(body))


def replace(person: Person | str, data: Mapping[str, Any], version: Version) -> Request:
    """Return the request that replaces all fields of a person."""
    return _update("PUT", "application/json", person, data, version)


def patch(person: Person | str, changes: Mapping[str, Any], version: Version) -> Request:
    """Return the request that changes some fields of a person."""
    return _update("PATCH", "application/merge-patch+json", person, changes, version)


def delete(person: Person | str, version: Version) -> Request:
    """Return the request that deletes a person. It is repeatable: the second response is 404."""
    expected = version if version is not None or isinstance(person, str) else person.version
    headers = {} if expected in (None, ANY_VERSION) else {"If-Match": f'"{expected}"'}
    return Request("DELETE", person_path(person_id_of(person)), headers)


def erase(person_id: str) -> Request:
    """Return the request that erases a person. It is repeatable: the second response is 404."""
    return Request("DELETE", f"{person_path(person_id)}?erase=true")


def trash(cursor: str | None) -> Request:
    """Return the request for a page of deleted people."""
    return Request("GET", f"/v1/trash?{page_query(cursor)}")


def restore_deleted(person_id: str) -> Request:
    """Return the request that moves a person back from the trash."""
    return Request("POST", f"/v1/trash/{checked_id(person_id)}/restore")


def history(person_id: str, cursor: str | None) -> Request:
    """Return the request for a page of versions."""
    return Request("GET", f"{person_path(person_id)}/history?{page_query(cursor)}")


def version(person_id: str, number: int) -> Request:
    """Return the request that reads a person at a version."""
    return Request("GET", f"{person_path(person_id)}/history/{int(number)}")


def restore(person: Person | str, number: int, expected: Version) -> Request:
    """Return the request that restores a version of a person."""
    request = _update("POST", "application/json", person, {"version": int(number)}, expected)
    return request._replace(path=f"{request.path}/restore")


def changes(since: str | None, wait: int, *, include_person: bool) -> Request:
    """Return the request for changes after a token, or for the current token."""
    query: dict[str, Any] = {"limit": PAGE_SIZE, "wait": wait}
    query |= {"since": since} if since is not None else {}
    query |= {"include": "person"} if include_person else {}
    return Request("GET", f"/v1/changes?{urlencode(query)}")


def import_people(idempotency_key: str | None, options: ImportOptions) -> Request:
    """Return the request of an import, without its rows."""
    headers = {"Content-Type": _NDJSON, "Content-Encoding": "gzip"}
    headers["Idempotency-Key"] = idempotency_key or secrets.token_hex(16)
    values = {name: _parameter(value) for name, value in options.items()}
    query = f"?{urlencode(values, doseq=True)}" if values else ""
    return Request("POST", f"/v1/people/import{query}", headers)


def preview_import(content: bytes, options: PreviewOptions) -> Request:
    """Return the request for the preview of a file."""
    query = f"?{urlencode(options, doseq=True)}" if options else ""
    headers = {"Content-Type": "application/octet-stream"}
    return Request("POST", f"/v1/people/import/preview{query}", headers, content)


def imports(cursor: str | None) -> Request:
    """Return the request for a page of imports."""
    return Request("GET", f"/v1/imports?{page_query(cursor)}")


def get_import(import_id: str) -> Request:
    """Return the request that reads an import."""
    return Request("GET", f"/v1/imports/{checked_id(import_id)}")


def undo_import(import_id: str) -> Request:
    """Return the request that undoes an import or continues its undo."""
    return Request("POST", f"/v1/imports/{checked_id(import_id)}/undo")


def _parameter(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def resume_hint(request: Request) -> str:
    """Return the message that describes how to resume an interrupted import."""
    key = request.headers["Idempotency-Key"]
    return f"the import was interrupted: send the same rows with idempotency_key={key!r} to resume it"


def import_result(line: bytes, hint: str) -> ImportResult:
    """Return the result in a line of the response. Raises an error for the line of a failed import, with the hint if it can resume."""
    failure = failed_import(line)
    if failure is None:
        return ImportResult.from_json(line)
    if isinstance(failure, InvalidInput):
        raise failure
    raise StreamInterrupted(f"{failure.detail}; {hint}") from failure


def export(search: Search) -> Request:
    """Return the request that exports all matching people. The body holds the search, as in `page`."""
    return Request("POST", "/v1/people/export", JSON | {"Accept": _NDJSON}, encode(search))


def status() -> Request:
    """Return the request that checks the health of the server."""
    return Request("GET", "/status")


class LineSplitter:
    """Splits a stream into lines. Only a line feed ends a line; U+2028 may occur inside one."""

    def __init__(self) -> None:
        self._rest = b""

    def split(self, chunk: bytes) -> list[bytes]:
        """Return the lines that end in this chunk."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return lines


def import_chunks(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Yield rows as NDJSON, in chunks that are gzip members (RFC 1952) of many lines."""
    for chunk in _ndjson_chunks(rows):
        compressed = gzip.compress(chunk, compresslevel=1)
        is_accepted = len(chunk) <= _MAX_COMPRESSION_RATIO * len(compressed)
        yield compressed if is_accepted else gzip.compress(chunk, compresslevel=0)


def _ndjson_chunks(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    lines: list[bytes] = []
    size = 0
    for row in rows:
        lines.append(encode(row) + b"\n")
        size += len(lines[-1])
        if size >= _CHUNK_SIZE:
            yield b"".join(lines)
            lines, size = [], 0
    yield b"".join(lines)


def _update(method: str, media_type: str, person: Person | str, data: Mapping[str, Any], version: Version) -> Request:
    if isinstance(person, Person):
        version = version if version is not None else person.version
    if version is None:
        raise TypeError("the version to change is missing: pass the Person that was read, version=, or ANY_VERSION")
    conditional = version != ANY_VERSION
    headers = {"Content-Type": media_type, "If-Match": f'"{version}"' if conditional else "*"}
    path = person_path(person_id_of(person))
    return Request(method, path, headers, encode(data), repeatable=conditional, conditional=conditional)


def page_query(cursor: str | None, **filters: str | None) -> str:
    """Return the query of a page; filters with the value None are left out."""
    given = {"cursor": cursor, **filters}
    return urlencode({"limit": PAGE_SIZE} | {name: value for name, value in given.items() if value is not None})


def person_id_of(person: Person | str) -> str:
    """Return the id of a person."""
    return person if isinstance(person, str) else person.person_id


def person_path(person_id: str) -> str:
    """Return the path of a person. Raises ValueError for an invalid id."""
    return f"/v1/people/{checked_id(person_id)}"


def checked_id(identifier: str) -> str:
    """Return an id. Raises ValueError if it is invalid."""
    if not identifier.isalnum() or not identifier.isascii():  # "../" would address another resource
        raise ValueError("invalid id: only ASCII letters and digits are allowed")
    return identifier
