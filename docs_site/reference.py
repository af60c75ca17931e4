"""Pages of the reference, made from what they tell of: so none of them can be behind it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from peopleinfo.http.openapi import document
from peopleinfo.settings import PREFIX, Settings
from peopleinfo.telemetry import metrics
from peopleinfo.telemetry.instruments import Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def api() -> str:
    """Return the page of the API: every operation, then every shape that goes in and out."""
    told = document()
    lines = [
        "# The API",
        "",
        "As `/openapi.json` has it; `/docs` of a running service lets you try it. Every error is a [Problem](#problem).",
    ]
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            lines += ["", f"## {method.upper()} {path}", "", *_operation(operation)]
    lines += ["", "## Shapes"]
    for name, schema in told["components"]["schemas"].items():
        lines += ["", f"### {name}", "", *_shape(schema)]
    return "\n".join(lines) + "\n"


def commands() -> str:
    """Return the page of the command line."""
    from typer.cli import get_docs_for_click  # noqa: PLC0415 - which is not needed for the rest
    from typer.main import get_command  # noqa: PLC0415

    from peopleinfo.cli import app  # noqa: PLC0415

    command = get_command(app)
    context: Any = command.context_class(command, info_name="peopleinfo")  # typer has a name of its own for the type
    return get_docs_for_click(obj=command, ctx=context, name="peopleinfo", title="The command line")


def settings() -> str:
    """Return the page of the settings."""
    rows = [
        (
            f"`{PREFIX}{field.name.upper()}`",
            f"`{field.default}`" if field.default != "" else "",
            field.metadata["description"],
        )
        for field in dataclasses.fields(Settings)
    ]
    head = "# Settings\n\nIn the environment, or the flag of the same name; `peopleinfo doctor` checks them.\n\n"
    return head + "\n".join(_table(("variable", "default", ""), rows)) + "\n"


def figures() -> str:
    """Return the page of the figures at `/metrics`."""
    rows = []
    for figure in metrics.ALL:
        says = figure.says
        if isinstance(figure, Histogram):
            says += f" Bounds in seconds: {', '.join(f'{bound:g}' for bound in figure.bounds)}."
        labels = ", ".join(f"`{label}`" for label in figure.labels)
        rows.append((f"`{figure.name}`", type(figure).__name__.lower(), labels, says))
    head = "# Figures\n\nWhat `/metrics` tells; what they are for is said in [observability](../observability.md).\n\n"
    return head + "\n".join(_table(("figure", "kind", "labels", ""), rows)) + "\n"


def _operation(operation: dict[str, Any]) -> Iterator[str]:
    scopes = [scope for one in operation["security"] for scopes in one.values() for scope in scopes]
    needs = f"Needs the scope `{scopes[0]}`." if scopes else "Needs no credentials."
    yield f"{operation['summary']}. {needs}"
    if parameters := operation.get("parameters"):
        yield ""
        yield from _table(
            ("parameter", "in", "type", ""),
            (
                (
                    f"`{one['name']}`" + (" (needed)" if one.get("required") else ""),
                    one["in"],
                    _kind(one["schema"]),
                    _about(one),
                )
                for one in parameters
            ),
        )
    if body := operation.get("requestBody"):
        yield ""
        yield f"Body: {_content(body)}"
    yield ""
    yield from _table(
        ("status", "", "body"),
        ((status, answer["description"], _content(answer)) for status, answer in operation["responses"].items()),
    )


def _shape(schema: dict[str, Any]) -> Iterator[str]:
    yield schema.get("description", "")
    properties = schema.get("properties")
    if not properties:
        yield _kind(schema)
        return
    needed = schema.get("required", ())
    yield ""
    yield from _table(
        ("member", "type", ""),
        (
            (f"`{name}`" + (" (always)" if name in needed else ""), _kind(one), _about(one))
            for name, one in properties.items()
        ),
    )


def _content(holder: dict[str, Any]) -> str:
    return ", ".join(f"`{kind}`: {_kind(body['schema'])}" for kind, body in holder.get("content", {}).items())


def _about(one: dict[str, Any]) -> str:
    return str(one.get("description") or one.get("schema", {}).get("description", ""))


def _kind(schema: dict[str, Any]) -> str:
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(one) for one in schema["anyOf"]))
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
