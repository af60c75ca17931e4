"""The input of `$match` of FHIR: a resource Parameters, or a Patient with the other parameters in the query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from peopleinfo.errors import FieldError, InvalidPerson, InvalidSearch
from peopleinfo.formats import fhir_reader
from peopleinfo.http.fhir_documents import FIELD_SYSTEM
from peopleinfo.http.openapi.duplicates_schemas import MAX_COUNT
from peopleinfo.http.search_params import parse_number
from peopleinfo.matching.candidates import DEFAULT_COUNT
from peopleinfo.matching.match_service import MatchOptions
from peopleinfo.people.fields import READ_ONLY_FIELDS
from peopleinfo.people.person import parse_person

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

_MAX_INTEGER: Final = 999_999_999
_BOOLEANS: Final = {"true": True, "false": False}
_SEVERAL: Final = 2  # candidates that show that a certain match is not the only one


def parse_match(
    body: Any, query: Mapping[str, str], identifiers: Iterable[str], hidden: frozenset[str], today: date
) -> tuple[dict[str, Any], MatchOptions]:
    """Return the fields of the patient and the options of a match. Raises InvalidSearch with all errors."""
    errors: list[FieldError] = []
    is_parameters = isinstance(body, dict) and body.get("resourceType") == "Parameters"
    params = _parameters(body.get("parameter"), errors) if is_parameters else {**query, "resource": body}
    fields = _fields(params.get("resource"), identifiers, today, errors)
    count = parse_number("count", params.get("count", str(DEFAULT_COUNT)), 1, _MAX_INTEGER, errors)
    only_certain = _BOOLEANS.get(str(params.get("onlyCertainMatches", False)).lower())
    if only_certain is None:
        errors.append(FieldError("onlyCertainMatches", "must be true or false"))
    if errors:
        raise InvalidSearch(errors)
    least = _SEVERAL if only_certain else 1
    options = MatchOptions(min(max(count, least), MAX_COUNT), only_certain=bool(only_certain), hidden=hidden)
    return fields, options


def _parameters(listed: Any, errors: list[FieldError]) -> dict[str, Any]:
    """Return the values of a resource Parameters by name."""
    if not isinstance(listed, list) or not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) for one in listed
    ):
        errors.append(FieldError("Parameters.parameter", "must be a list of objects with a name"))
        return {}
    return {
        one["name"]: next((one[key] for key in one if key == "resource" or key.startswith("value")), None)
        for one in listed
    }


def _fields(resource: Any, identifiers: Iterable[str], today: date, errors: list[FieldError]) -> dict[str, Any]:
    if not isinstance(resource, dict) or resource.get("resourceType") != "Patient":
        errors.append(FieldError("resource", "must be a Patient"))
        return {}
    read = fhir_reader.person(resource)
    fields = read if isinstance(read, dict) else {}
    own = {name: value for name, value in fields.items() if name not in READ_ONLY_FIELDS}
    try:
        return parse_person(own | _identifiers(resource, identifiers), today=today, require_name=False).to_dict()
    except InvalidPerson as error:
        errors += error.errors
        return {}


def _identifiers(resource: Mapping[str, Any], known: Iterable[str]) -> dict[str, list[str]]:
    """Return the values of the known custom fields among the identifiers of a Patient."""
    given = resource.get("identifier")
    listed = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    values = {
        name: [
            one["value"]
            for one in listed
            if one.get("system") == FIELD_SYSTEM + name and isinstance(one.get("value"), str)
        ]
        for name in known
    }
    return {name: found for name, found in values.items() if found}
