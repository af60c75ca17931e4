"""Parameters of a query that an operation does not know are refused: ignored, they would change what the response means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.http.operations import OPERATIONS

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.http.operations import Operation

_THEMSELVES: Final = ("findPeople", "exportPeople")  # operations that check their parameters, with the values
_LEGACY: Final = "/data"  # clients of the first API may send parameters that it always ignored
_REFUSED: Final = 422


def _known(operation: Operation) -> dict[str, Any]:
    return {one.name: one.type for one in operation.parameters if one.where == "query"}


_KNOWN: Final[dict[tuple[str | None, str], dict[str, Any]]] = {
    (operation.path, operation.method.upper()): _known(operation)
    for operation in OPERATIONS
    if _REFUSED in operation.errors and operation.name not in _THEMSELVES and operation.path != _LEGACY
}
_KNOWN.update({(path, "HEAD"): known for (path, method), known in tuple(_KNOWN.items()) if method == "GET"})


class KnownParameters:
    """Middleware: refuses requests with parameters that their operation does not know."""

    async def process_resource(self, req: Request, _: Response, __: object, ___: object) -> None:
        """Raise InvalidSearch with every reason."""
        if not req.query_string or (known := _KNOWN.get((req.uri_template, req.method))) is None:
            return
        errors = [FieldError(name, _reason(known)) for name in req.params if name not in known]
        errors += [
            FieldError(name, "is given more than once")
            for name, value in req.params.items()
            if known.get(name) is bool and isinstance(value, list)
        ]
        if errors:
            raise InvalidSearch(errors)


def _reason(known: dict[str, Any]) -> str:
    return f"is not known here; known are {', '.join(known)}" if known else "is not known here; the body takes it"
