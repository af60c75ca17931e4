"""FHIR R4 resources of the facade: patients with links, bundles, outcomes and the capability statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo import __version__
from peopleinfo.formats.fhir_writer import patient_of
from peopleinfo.people.identifiers import values_of
from peopleinfo.people.person import decode_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from peopleinfo.errors import FieldError
    from peopleinfo.matching.match_index import NotExamined
    from peopleinfo.matching.match_service import Matched

PATH: Final = "/fhir/"
FIELD_SYSTEM: Final = "urn:peopleinfo:field:"  # the system of an identifier, with the name of its field
PROBLEM_SYSTEM: Final = "urn:peopleinfo:problem"
MATCH_GRADE: Final = "http://hl7.org/fhir/StructureDefinition/match-grade"
SEARCH_PARAMETERS: Final = {
    "_id": "token",
    "birthdate": "date",
    "family": "string",
    "given": "string",
    "identifier": "token",
}
_TELECOM: Final = ("email", "phone", "url")
_MATCH_OPERATION: Final = "http://hl7.org/fhir/OperationDefinition/Patient-match"
_RELEASED: Final = "2026-11-28"
_ISSUE_CODES: Final = {
    401: "login", 403: "forbidden", 404: "not-found", 405: "not-supported", 406: "not-supported", 408: "timeout",
    409: "conflict", 412: "conflict", 413: "too-long", 415: "not-supported", 429: "throttled", 501: "not-supported",
    503: "transient",
}  # fmt: skip
_FIRST_SERVER_ERROR: Final = 500


class Entry(NamedTuple):
    """An entry of a bundle: a resource and its part in the search."""

    resource: dict[str, Any]
    search: dict[str, Any]


def outcome(status: int, slug: str, detail: str, reasons: Sequence[FieldError] = ()) -> dict[str, Any]:
    """Return an error as an OperationOutcome, with one issue for each reason. `slug` identifies the problem type."""
    default = "exception" if status >= _FIRST_SERVER_ERROR else "invalid"
    code = _ISSUE_CODES.get(status, default)
    texts = [f"{reason.pointer or '/'}: {reason.reason}" for reason in reasons] or [detail]
    details = {"coding": [{"system": PROBLEM_SYSTEM, "code": slug}]}
    issues = [{"severity": "error", "code": code, "details": details, "diagnostics": text} for text in texts]
    return {"resourceType": "OperationOutcome", "issue": issues}


def hint(severity: str, code: str, text: str) -> Entry:
    """Return an entry that explains the result of a search."""
    issue = {"severity": severity, "code": code, "diagnostics": text}
    return Entry({"resourceType": "OperationOutcome", "issue": [issue]}, {"mode": "outcome"})


def patient(body: bytes, identifiers: Iterable[str]) -> dict[str, Any]:
    """Return a record without its hidden fields as a Patient with its `identifiers`, the names of custom fields."""
    resource = patient_of(body)
    names = [name for name in identifiers if name.partition("_")[0] not in _TELECOM]
    found = [{"system": FIELD_SYSTEM + name, "value": value} for name, value in values_of(decode_fields(body), names)]
    known = resource.get("identifier")
    return resource | ({"identifier": [*(known if isinstance(known, list) else []), *found]} if found else {})


def replaced_patient(body: bytes, identifiers: Iterable[str], survivor: str) -> dict[str, Any]:
    """Return a record that is merged into a survivor: inactive, with a link to the survivor."""
    resource = patient(body, identifiers)
    known = resource.get("link")
    link = {"other": {"reference": f"Patient/{survivor}"}, "type": "replaced-by"}
    return resource | {"active": False, "link": [*(known if isinstance(known, list) else []), link]}


def bundle(entries: Iterable[Entry], base: str, links: dict[str, str], total: int | None = None) -> dict[str, Any]:
    """Return a searchset. `base` is the URL of the facade, `links` are URLs by relation."""
    listed = [
        ({"fullUrl": f"{base}Patient/{entry.resource['id']}"} if "id" in entry.resource else {})
        | {"resource": entry.resource, "search": entry.search}
        for entry in entries
    ]
    return (
        {"resourceType": "Bundle", "type": "searchset"}
        | ({} if total is None else {"total": total})
        | {"link": [{"relation": relation, "url": url} for relation, url in links.items()]}
        | ({"entry": listed} if listed else {})
    )


def match_bundle(found: Matched, identifiers: Sequence[str], base: str, *, only_certain: bool) -> dict[str, Any]:
    """Return the candidates of a match, the most certain first, and what was not compared."""
    candidates = found.match.candidates
    entries = [
        Entry(patient(found.people[one.person_id], identifiers), _graded(one.grade, round(one.score, 6)))
        for one in candidates
    ]
    notes = [_not_examined(one) for one in found.match.not_examined if one.people]
    if only_certain and len(candidates) > 1:  # FHIR: no result, as the client wants a single one
        notes.append(hint("information", "multiple-matches", f"{len(candidates)} patients are certain matches"))
        entries = []
    return bundle([*entries, *notes], base, {}, len(entries))


def _graded(grade: str, score: float) -> dict[str, Any]:
    return {"extension": [{"url": MATCH_GRADE, "valueCode": grade}], "mode": "match", "score": score}


def _not_examined(group: NotExamined) -> Entry:
    text = f"{group.people} patients were not compared: too many share {group.by}"
    return hint("information", "incomplete", text)


def capability_statement(base: str) -> dict[str, Any]:
    """Return the interactions that the facade supports."""
    searches = [{"name": name, "type": kind} for name, kind in SEARCH_PARAMETERS.items()]
    patients = {
        "type": "Patient",
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "versioning": "versioned",
        "readHistory": False,
        "conditionalRead": "full-support",
        "searchParam": searches,
        "operation": [{"name": "match", "definition": _MATCH_OPERATION}],
    }
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _RELEASED,
        "kind": "instance",
        "software": {"name": "PeopleInfo", "version": __version__},
        "implementation": {"description": "PeopleInfo", "url": base.removesuffix("/")},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{"mode": "server", "resource": [patients]}],
    }
