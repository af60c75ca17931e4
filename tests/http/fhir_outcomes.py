"""Reads the errors of the FHIR facade like those of the other operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from peopleinfo.http.media_types import FHIR
from peopleinfo.http.problems import PROBLEM_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message

_TITLES: Final = {kind.slug: kind.title for kind in PROBLEM_TYPES.values()}


def as_problem(document: dict[str, Any], status: int, headers: Mapping[str, str] | Message) -> dict[str, Any]:
    """Return an OperationOutcome with one issue as a problem document, and any other document unchanged."""
    if document.get("resourceType") != "OperationOutcome":
        return document
    assert headers["Content-Type"] == FHIR
    (issue,) = document["issue"]
    assert issue["severity"] == "error"
    (coding,) = issue["details"]["coding"]
    assert coding["system"] == "urn:peopleinfo:problem"
    return {
        "type": f"urn:peopleinfo:problem:{coding['code']}",
        "title": _TITLES.get(coding["code"], "an error of HTTP"),
        "status": status,
        "detail": issue["diagnostics"],
        "request_id": headers["X-Request-Id"],
    }
