"""The operations of the FHIR facade, with the types of their bodies."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, field

from peopleinfo.auth.principal import Scope
from peopleinfo.http.fhir_documents import SEARCH_PARAMETERS
from peopleinfo.http.media_types import FHIR
from peopleinfo.http.openapi.operation_types import Operation, Parameter, Response


class Patient(Struct):
    """A person as the resource Patient of FHIR R4. The other elements are those of the resource."""

    resource_type: Literal["Patient"] = field(name="resourceType")
    id: str
    meta: dict[str, Any]


class Bundle(Struct):
    """A searchset of FHIR R4."""

    resource_type: Literal["Bundle"] = field(name="resourceType")
    type: Literal["searchset"]
    link: list[dict[str, str]]
    total: Annotated[int, Meta(ge=0, description="The number of matches; absent if there are more pages.")] | None = (
        None
    )
    entry: list[dict[str, Any]] = field(default_factory=list)


class Parameters(Struct):
    """The input of an operation of FHIR R4: `resource`, `count` and `onlyCertainMatches`."""

    resource_type: Literal["Parameters"] = field(name="resourceType")
    parameter: list[dict[str, Any]]


class CapabilityStatement(Struct):
    """The interactions that the facade supports."""

    resource_type: Literal["CapabilityStatement"] = field(name="resourceType")
    status: Literal["active"]
    date: str
    kind: Literal["instance"]
    fhir_version: Literal["4.0.1"] = field(name="fhirVersion")
    format: list[str]
    rest: list[dict[str, Any]]


class OperationOutcome(Struct):
    """An error of FHIR R4, with an issue for each invalid parameter."""

    resource_type: Literal["OperationOutcome"] = field(name="resourceType")
    issue: list[dict[str, Any]]


FHIR_TYPES: Final = (Patient, Bundle, Parameters, CapabilityStatement, OperationOutcome)
FHIR_ERRORS: Final = {FHIR: OperationOutcome}
_DESCRIPTIONS: Final = {
    "_id": "The id of the person.",
    "birthdate": "A date, with a prefix such as ge for a comparison.",
    "family": "The start of the surname; `family:exact` compares the whole surname as sent.",
    "given": "The start of a given name; `given:exact` compares a whole name as sent.",
    "identifier": "A value of a custom field in PEOPLEINFO_IDENTIFIERS; the system urn:peopleinfo:field:NAME selects one field.",
}
_FORMAT: Final = Parameter("query", "_format", str, "The format, which must be JSON.")
_PREFER: Final = Parameter(
    "header", "Prefer", str, "handling=strict rejects unknown parameters; handling=lenient (the default) ignores them."
)
_PAGE: Final = Response("A page of patients.", {FHIR: Bundle})

FHIR_OPERATIONS: Final = (
    Operation(
        "/fhir/metadata",
        "get",
        None,
        "getCapabilities",
        "Get the capability statement of the FHIR facade",
        "Returns the resources, searches and operations of the facade. It has FHIR R4 in JSON.",
        {200: Response("The capability statement.", {FHIR: CapabilityStatement})},
        (_FORMAT,),
        errors=(406,),
    ),
    Operation(
        "/fhir/Patient/{person_id}",
        "get",
        Scope.READ,
        "readPatient",
        "Read a person as a patient",
        "Returns the person with the version in meta.versionId and in the ETag. "
        "A person that is merged into another one is inactive, and has a link of the type replaced-by to the survivor.",
        {
            200: Response("The patient.", {FHIR: Patient}, ("ETag", "Cache-Status")),
            304: Response("The client has the current version.", headers=("ETag",)),
        },
        (_FORMAT,),
        errors=(404, 406),
    ),
    Operation(
        "/fhir/Patient",
        "get",
        Scope.READ,
        "findPatients",
        "Search for patients",
        "Returns a page of the patients that match all parameters. "
        "The link with the relation next has the next page, and no names.",
        {200: _PAGE},
        (
            *(Parameter("query", name, str, _DESCRIPTIONS[name]) for name in SEARCH_PARAMETERS),
            Parameter("query", "_count", str, "Maximum number of patients of a page."),
            _FORMAT,
            _PREFER,
        ),
        errors=(406,),
    ),
    Operation(
        "/fhir/Patient/_search",
        "post",
        Scope.READ,
        "searchPatients",
        "Search for patients by a form",
        "Returns the same page as findPatients, with the parameters in the body. "
        "Names therefore appear in no URL and no access log.",
        {200: _PAGE},
        (_PREFER,),
        {"application/x-www-form-urlencoded": dict[str, str]},
        (400, 406, 408, 413, 415),
    ),
    Operation(
        "/fhir/Patient/$match",
        "post",
        Scope.READ,
        "matchPatient",
        "Find patients that may be the same as a patient",
        "Compares a patient with the stored people like matchPerson, and stores nothing. "
        "Each entry has a score and the extension match-grade. "
        "With onlyCertainMatches, several certain matches are no result.",
        {200: Response("The candidates.", {FHIR: Bundle})},
        body={FHIR: Parameters},
        errors=(400, 406, 408, 413, 415, 501),
    ),
)
