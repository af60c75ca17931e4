"""The bodies of batch requests: their form, and the operation of the API that each item performs."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import falcon

from peopleinfo.errors import FieldError, InvalidBatch
from peopleinfo.http import etags
from peopleinfo.http.etags import Conditions, Tags
from peopleinfo.http.openapi.batch_schemas import MAX_ITEMS
from peopleinfo.http.openapi.operations import OPERATIONS
from peopleinfo.http.search_params import MAX_VERSION, parse_number

MAX_KEY_LENGTH: Final = 255
_ANY_VERSION: Final = "*"
_PERSON: Final = "/v1/people/{person_id}"
_BY_ROUTE: Final = {(operation.path, operation.method): operation for operation in OPERATIONS}
OPERATION_OF: Final = {
    "create": _BY_ROUTE["/v1/people", "post"],
    "replace": _BY_ROUTE[_PERSON, "put"],
    "patch": _BY_ROUTE[_PERSON, "patch"],
    "delete": _BY_ROUTE[_PERSON, "delete"],
}
"""The operation of the API that an item performs, by its field `operation`."""
# The required and the optional fields of an item, besides `operation`.
_FIELDS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "create": (("person",), ("idempotency_key",)),
    "replace": (("person_id", "person"), ("version",)),
    "patch": (("person_id", "person"), ("version",)),
    "delete": (("person_id",), ("version",)),
}


class BatchItem(NamedTuple):
    """One item: a creation, or a change of the person with an id. `conditions` are None for any version."""

    operation: str
    person_id: str
    data: Any
    conditions: Conditions | None
    idempotency_key: str | None

    @property
    def subject(self) -> str | None:
        """The person or the idempotency key; items with the same subject are processed in order."""
        return self.person_id or self.idempotency_key


def parse_list(body: Any, name: str) -> list[Any]:
    """Return the list that is the only field of a body, with 1 to `MAX_ITEMS` elements. Raises InvalidBatch."""
    if not isinstance(body, dict):
        raise InvalidBatch([FieldError("", "must be a JSON object")])
    errors = [FieldError(f"/{field}", f"is unknown; the only field is {name}") for field in body if field != name]
    found = body.get(name)
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_ITEMS:
        errors.append(FieldError(f"/{name}", f"must be a list of 1 to {MAX_ITEMS} elements"))
    if errors:
        raise InvalidBatch(errors)
    return list(found or ())


def parse_ids(body: Any) -> list[str]:
    """Return the ids in the body of a batch read. Raises InvalidBatch."""
    ids = parse_list(body, "ids")
    if errors := [
        FieldError(f"/ids/{index}", "must be a string") for index, one in enumerate(ids) if type(one) is not str
    ]:
        raise InvalidBatch(errors)
    return ids


def parse_item(fields: Any) -> BatchItem:
    """Return an item of a batch. Raises InvalidBatch, and HTTPPreconditionRequired for a change without its version."""
    operation = fields.get("operation") if isinstance(fields, dict) else None
    if not isinstance(operation, str) or operation not in _FIELDS:
        raise InvalidBatch([FieldError("/operation", f"must be one of {', '.join(_FIELDS)}")])
    required, optional = _FIELDS[operation]
    errors = [FieldError(f"/{name}", "is missing") for name in required if name not in fields]
    known = {"operation", *required, *optional}
    errors += [FieldError(f"/{name}", f"is unknown in a {operation}; leave it out") for name in fields.keys() - known]
    person_id = _text(fields, "person_id", errors)
    key = _text(fields, "idempotency_key", errors)
    if key is not None and not 1 <= len(key) <= MAX_KEY_LENGTH:
        errors.append(FieldError("/idempotency_key", f"must have 1 to {MAX_KEY_LENGTH} characters, for example a UUID"))
    conditions = _conditions(fields["version"], errors) if "version" in fields else None
    if errors:
        raise InvalidBatch(errors)
    if operation in ("replace", "patch") and conditions is None:
        raise falcon.HTTPPreconditionRequired(
            description='the field version is missing: send the version to change, or "*" for any version'
        )
    return BatchItem(operation, person_id or "", fields.get("person"), conditions, key)


def _text(fields: dict[str, Any], name: str, errors: list[FieldError]) -> str | None:
    value = fields.get(name)
    if name in fields and not isinstance(value, str):
        errors.append(FieldError(f"/{name}", "must be a string"))
        return None
    return value


def _conditions(version: Any, errors: list[FieldError]) -> Conditions:
    """Return the conditions that a request with this version in If-Match would have."""
    if version == _ANY_VERSION:
        return Conditions(Tags(any=True))
    if isinstance(version, str):
        errors.append(FieldError("/version", 'must be a number, or "*" for any version'))
        return Conditions()
    number = parse_number("/version", version, 1, MAX_VERSION, errors)
    return Conditions(Tags(strong=frozenset((etags.etag(number),))))
