"""Compare two OpenAPI documents and list breaking changes: `python -m scripts.openapi_diff OLD.json NEW.json`.

A request may require less and accept more; a response may add members and must keep all others. Every other change is breaking.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_TYPES: Final = frozenset(("array", "boolean", "integer", "null", "number", "object", "string"))
_UPPER: Final = ("maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum")
_LOWER: Final = ("minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum")


def breaking(old: Json, new: Json) -> list[str]:
    """Return each breaking change from one document to another."""
    return sorted(set(_Comparison(old, new).operations()))


class _Comparison:
    def __init__(self, old: Json, new: Json) -> None:
        self._old, self._new = old, new
        self._under_way: set[tuple[str, str, bool]] = set()  # references on the current path: schemas may be recursive

    def operations(self) -> Iterator[str]:
        for path, methods in self._old.get("paths", {}).items():
            for method in _METHODS:
                if method not in methods:
                    continue
                where = f"{method.upper()} {path}"
                operation = self._new.get("paths", {}).get(path, {}).get(method)
                if operation is None:
                    yield f"{where} was removed"
                else:
                    yield from self._operation(where, methods[method], operation)

    def _operation(self, where: str, old: Json, new: Json) -> Iterator[str]:
        yield from self._credentials(where, old, new)
        yield from self._parameters(where, old, new)
        yield from self._body(where, old.get("requestBody"), new.get("requestBody"))
        for status, answer in old.get("responses", {}).items():
            if status in new.get("responses", {}):
                yield from self._answer(f"{where}: {status}", answer, new["responses"][status])
            elif not status.startswith(("4", "5")):  # no client depends on an error
                yield f"{where}: response {status} was removed"

    def _credentials(self, where: str, old: Json, new: Json) -> Iterator[str]:
        before, after = _security(old, self._old), _security(new, self._new)
        for enough in before:
            if not any(_asks_no_more(needed, enough) for needed in after):
                yield f"{where}: requires different credentials"

    def _parameters(self, where: str, old: Json, new: Json) -> Iterator[str]:
        before, after = self._named(old, self._old), self._named(new, self._new)
        for name, parameter in before.items():
            if name not in after:
                yield f"{where}: parameter {name[1]} was removed"
            else:
                schemas = parameter.get("schema", {}), after[name].get("schema", {})
                yield from self._schema(f"{where}: parameter {name[1]}", *schemas, sent=True)
        for name, parameter in after.items():
            if parameter.get("required") and not before.get(name, {}).get("required"):
                yield f"{where}: parameter {name[1]} is newly required"

    def _body(self, where: str, old: Json | None, new: Json | None) -> Iterator[str]:
        before, after = _resolved(old or {}, self._old), _resolved(new or {}, self._new)
        if after.get("required") and not before.get("required"):
            yield f"{where}: a request body is newly required"
        if old is not None:
            yield from self._content(f"{where}: body", before, after, sent=True)

    def _answer(self, where: str, old: Json, new: Json) -> Iterator[str]:
        before, after = _resolved(old, self._old), _resolved(new, self._new)
        for header in before.get("headers", {}):
            if header not in after.get("headers", {}):
                yield f"{where}: header {header} was removed"
        yield from self._content(where, before, after, sent=False)

    def _content(self, where: str, old: Json, new: Json, *, sent: bool) -> Iterator[str]:
        for kind, content in old.get("content", {}).items():
            if kind not in new.get("content", {}):
                yield f"{where}: {kind} was removed"
            else:
                schemas = content.get("schema", {}), new["content"][kind].get("schema", {})
                yield from self._schema(f"{where}: {kind}", *schemas, sent=sent)

    def _schema(self, where: str, old: Any, new: Any, *, sent: bool) -> Iterator[str]:
        """Compare the schemas of a request (`sent`) or of a response."""
        pair = (json.dumps(old, sort_keys=True), json.dumps(new, sort_keys=True), sent)
        if pair in self._under_way:
            return
        self._under_way.add(pair)
        before, after = _resolved(old, self._old), _resolved(new, self._new)
        narrower, wider = (after, before) if sent else (before, after)
        yield from _values(where, before, after, wider=wider, narrower=narrower, sent=sent)
        if sent:
            yield from _limits(where, before, after)
        yield from self._members(where, before, after, sent=sent)
        for keyword in ("items", "additionalProperties"):
            yield from self._schema_of(keyword, where, before, after, sent=sent)
        for keyword in ("oneOf", "anyOf", "allOf"):
            yield from self._alternatives(keyword, where, before, after, sent=sent)
        self._under_way.discard(pair)

    def _members(self, where: str, old: Json, new: Json, *, sent: bool) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name, schema in before.items():
            if name in after:
                yield from self._schema(f"{where}: {name}", schema, after[name], sent=sent)
            else:
                yield f"{where}: member {name} was removed"
        needed, given = set(new.get("required", ())), set(old.get("required", ()))
        if sent:
            yield from (f"{where}: member {name} is newly required" for name in needed - given)
        else:
            yield from (f"{where}: member {name} may be missing" for name in (given - needed) & set(after))

    def _schema_of(self, keyword: str, where: str, old: Json, new: Json, *, sent: bool) -> Iterator[str]:
        before, after = old.get(keyword, True), new.get(keyword, True)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from self._schema(f"{where}: {keyword}", before, after, sent=sent)
        elif (before is not False and after is False and sent) or (isinstance(after, dict) and before is True and sent):
            yield f"{where}: {keyword} allows less"
        elif isinstance(before, dict) and after is True and not sent:
            yield f"{where}: {keyword} may be anything"

    def _alternatives(self, keyword: str, where: str, old: Json, new: Json, *, sent: bool) -> Iterator[str]:
        before, after = old.get(keyword, []), new.get(keyword, [])
        # A request must still accept each old alternative; a response must not add alternatives.
        if not before or not after:
            changed = bool(after) if sent else bool(before)
        elif sent:
            changed = not all(any(self._fits(one, other, sent=True) for other in after) for one in before)
        else:
            changed = not all(any(self._fits(one, other, sent=False) for one in before) for other in after)
        if changed:
            yield f"{where}: different alternatives ({keyword})"

    def _fits(self, old: Any, new: Any, *, sent: bool) -> bool:
        return not list(self._schema("", old, new, sent=sent))

    @staticmethod
    def _named(operation: Json, document: Json) -> dict[tuple[str, str], Json]:
        parameters = [_resolved(parameter, document) for parameter in operation.get("parameters", [])]
        return {(parameter["in"], parameter["name"]): parameter for parameter in parameters}


def _resolved(schema: Any, document: Json) -> Json:
    """Resolve a reference within its document."""
    if not isinstance(schema, dict):
        return {} if schema is not False else {"not": {}}
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        schema = {**found, **{name: value for name, value in schema.items() if name != "$ref"}}
    return dict(schema)


def _security(operation: Json, document: Json) -> list[Json]:
    """Return the alternative credentials of an operation, each including the scope in `x-required-scope`."""
    scope = {"x-required-scope": [operation["x-required-scope"]]} if "x-required-scope" in operation else {}
    return [one | scope for one in operation.get("security", document.get("security")) or [{}]]


def _asks_no_more(needed: Json, enough: Json) -> bool:
    return all(scheme in enough and set(scopes) <= set(enough[scheme]) for scheme, scopes in needed.items())


def _values(where: str, old: Json, new: Json, *, wider: Json, narrower: Json, sent: bool) -> Iterator[str]:
    if missing := _types(wider) - _types(narrower):
        yield f"{where}: {'no longer' if sent else 'newly'} {' or '.join(sorted(missing))}"
    if old.get("format") != new.get("format") and (new if sent else old).get("format"):
        yield f"{where}: format {old.get('format')} became {new.get('format')}"
    allowed, possible = _enumerated(narrower), _enumerated(wider)
    if allowed is None or (possible is not None and possible <= allowed):
        return
    less = sorted(possible - allowed) if possible is not None else []
    yield f"{where}: {'no longer' if sent else 'newly'} {', '.join(less) or 'any value'}"


def _types(schema: Json) -> frozenset[str]:
    declared = schema.get("type", ())
    types = frozenset((declared,) if isinstance(declared, str) else declared) or _TYPES
    return types | {"integer"} if "number" in types else types


def _enumerated(schema: Json) -> set[str] | None:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    return None if values is None else {json.dumps(value, sort_keys=True) for value in values}


def _limits(where: str, old: Json, new: Json) -> Iterator[str]:
    for keyword in _UPPER:
        if keyword in new and new[keyword] < old.get(keyword, float("inf")):
            yield f"{where}: {keyword} is {new[keyword]}, lower than before"
    for keyword in _LOWER:
        if keyword in new and new[keyword] > old.get(
            keyword, 0 if keyword.startswith("min") and keyword != "minimum" else float("-inf")
        ):
            yield f"{where}: {keyword} is {new[keyword]}, higher than before"
    for keyword in ("pattern", "uniqueItems", "multipleOf"):
        if new.get(keyword) and new[keyword] != old.get(keyword):
            yield f"{where}: {keyword} is newly {new[keyword]}"


def main() -> None:
    """Print the breaking changes; exit 1 if there are any."""
    old, new = (json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:3])
    if changes := breaking(old, new):
        sys.exit("\n".join(changes))


if __name__ == "__main__":
    main()
