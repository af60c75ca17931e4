"""Validation of the query parameters and the conditions of a request, after its authentication."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.http.etags import EvaluatesConditions, evaluate_untagged
from peopleinfo.http.openapi.operations import OPERATIONS

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.http.openapi.operation_types import Operation

_SELF_VALIDATING: Final = (
    "findPeople",
    "countPeople",
    "exportPeople",
)  # these operations validate their own parameters
_LEGACY: Final = "/data"  # the legacy API ignores unknown parameters
_UNPROCESSABLE: Final = 422


def _known(operation: Operation) -> dict[str, Any]:
    return {one.name: one.type for one in operation.parameters if one.location == "query"}


_KNOWN: Final[dict[tuple[str | None, str], dict[str, Any]]] = {
    (operation.path, operation.method.upper()): _known(operation)
    for operation in OPERATIONS
    if _UNPROCESSABLE in operation.errors and operation.name not in _SELF_VALIDATING and operation.path != _LEGACY
}
_KNOWN.update({(path, "HEAD"): known for (path, method), known in tuple(_KNOWN.items()) if method == "GET"})


class RequestValidation:
    """Middleware that rejects unknown query parameters, and evaluates conditions for resources without entity tags."""

    async def process_resource(self, req: Request, resp: Response, resource: object, _: object) -> None:
        """Raise InvalidSearch, HTTPPreconditionFailed or HTTPBadRequest, or complete a read with 304."""
        if req.query_string:
            _check_parameters(req)
        if not isinstance(resource, EvaluatesConditions):
            evaluate_untagged(req, resp)


def _check_parameters(req: Request) -> None:
    """Raise InvalidSearch with all errors; ignoring a misspelled filter would return wrong results."""
    if (known := _KNOWN.get((req.uri_template, req.method))) is None:
        return
    errors = [FieldError(name, _reason(known)) for name in req.params if name not in known]
    errors += [
        FieldError(name, "must be given once")
        for name, value in req.params.items()
        if isinstance(value, list) and name in known and known[name] != list[str]
    ]
    if errors:
        raise InvalidSearch(errors)


def _reason(known: dict[str, Any]) -> str:
    return f"is unknown; known parameters are {', '.join(known)}" if known else "is unknown; send it in the body"
