"""Rejects unknown query parameters; ignoring a misspelled filter would return wrong results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.http.operations import OPERATIONS

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.http.operations import Operation

_SELF_VALIDATING: Final = ("findPeople", "exportPeople")  # these operations validate their own parameters
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


class KnownParameters:
    """Middleware that rejects requests with unknown query parameters."""

    async def process_resource(self, req: Request, _: Response, __: object, ___: object) -> None:
        """Raise InvalidSearch with all errors."""
        if not req.query_string or (known := _KNOWN.get((req.uri_template, req.method))) is None:
            return
        errors = [FieldError(name, _reason(known)) for name in req.params if name not in known]
        errors += [
            FieldError(name, "must be given once")
            for name, value in req.params.items()
            if known.get(name) is bool and isinstance(value, list)
        ]
        if errors:
            raise InvalidSearch(errors)


def _reason(known: dict[str, Any]) -> str:
    return f"is unknown; known parameters are {', '.join(known)}" if known else "is unknown; send it in the body"
