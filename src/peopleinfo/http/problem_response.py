"""The response to a request that the server does not pass to the app: a problem document on a connection that then closes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from peopleinfo.http.headers import RESPONSE_HEADERS
from peopleinfo.http.media_types import PROBLEM
from peopleinfo.people import strict_json

_RESPONSE_HEADERS: Final = "".join(f"{name}: {value}\r\n" for name, value in RESPONSE_HEADERS)


def problem_response(status: HTTPStatus, detail: str) -> bytes:
    """Return the bytes of the response."""
    problem = {
        "type": f"urn:peopleinfo:problem:{status.phrase.lower().replace(' ', '-')}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
    }
    body = strict_json.encode(problem)
    retry_after = "Retry-After: 1\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else ""
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {PROBLEM}\r\nContent-Length: {len(body)}\r\n"
        f"{_RESPONSE_HEADERS}{retry_after}Connection: close\r\n\r\n"
    )
    return head.encode() + body
