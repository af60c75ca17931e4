"""Reference pages, generated from the code so that they cannot be out of date."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

import falcon

from docs_site.problem_help import HTTP_ERRORS, PROBLEMS
from peopleinfo.http.openapi.document import document
from peopleinfo.http.problems import PROBLEM_TYPES
from peopleinfo.settings import PREFIX, Settings
from peopleinfo.telemetry import metrics
from peopleinfo.telemetry.metric_types import Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from docs_site.problem_help import Help


def api() -> str:
    """Return the API page: every operation, then every schema of requests and responses."""
    openapi = document()
    lines = [
        "# API reference",
        "",
        (
            "The same operations as in `/openapi.json`. To try them, open `/docs` of a running server. "
            "Every error is a [Problem](#problem); see the [error catalogue](errors.md)."
        ),
    ]
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            lines += ["", f"## {method.upper()} {path}", "", *_operation(operation)]
    lines += ["", "## Schemas"]
    for name, schema in openapi["components"]["schemas"].items():
        lines += ["", f"### {name}", "", *_schema(schema)]
    return "\n".join(lines) + "\n"


def commands() -> str:
    """Return the page of the command-line interface."""
    from typer.cli import get_docs_for_click  # noqa: PLC0415 - the other pages do not need it
    from typer.main import get_command  # noqa: PLC0415

    from peopleinfo.cli import app  # noqa: PLC0415

    command = get_command(app)
    context: Any = command.context_class(command, info_name="peopleinfo")  # typer has its own type
    return get_docs_for_click(obj=command, ctx=context, name="peopleinfo", title="Command-line reference")


def settings() -> str:
    """Return the settings page: a section per setting."""
    lines = [
        "# Settings",
        "",
        (
            "Each setting is an environment variable or a flag of `peopleinfo serve`. A flag takes precedence. "
            "A secret has no flag, because other users of the machine can read command lines. `peopleinfo doctor` checks all settings."
        ),
    ]
    for field in dataclasses.fields(Settings):
        flag = "" if field.metadata.get("secret") else f"Flag: `--{field.name.replace('_', '-')}`. "
        default = "empty" if field.default == "" else f"`{field.default}`"
        lines += ["", f"## {PREFIX}{field.name.upper()}", "", _plain(field.metadata["description"])]
        lines += ["", f"{flag}Default: {default}."]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """Return the page of the metrics at `/metrics`: a section per metric."""
    lines = [
        "# Metrics",
        "",
        "The metrics at `/metrics`. [Observability](../observability.md) describes how to scrape and use them.",
    ]
    for metric in metrics.ALL:
        lines += ["", f"## {metric.name}", "", _plain(metric.documentation)]
        details = [f"Type: {type(metric).__name__.lower()}."]
        if metric.labels:
            details.append(f"Labels: {', '.join(f'`{label}`' for label in metric.labels)}.")
        if isinstance(metric, Histogram):
            details.append(f"Buckets in seconds: {', '.join(f'{bound:g}' for bound in metric.bounds)}.")
        lines += ["", " ".join(details)]
    return "\n".join(lines) + "\n"


def errors() -> str:
    """Return the error catalogue: the service's problem types, then those of HTTP itself."""
    types = {(kind.slug, str(kind.status), kind.title) for kind in PROBLEM_TYPES.values()}
    internal = ("internal-error", "500", "Internal server error")
    lines = [
        "# Error catalogue",
        "",
        (
            "Every error is a problem document (RFC 9457) of the media type `application/problem+json`. Its `type` is "
            "`urn:peopleinfo:problem:` and the slug. `detail` describes the single case, and `request_id` locates it in the log. Under `/fhir`, the same errors are OperationOutcomes, "
            "with 400 instead of 422."
        ),
        "",
        "## Problem types",
    ]
    for slug, status, title in sorted([*types, internal]):
        lines += ["", f"### {slug}", "", *_problem(status, title, PROBLEMS[slug])]
    lines += ["", "## HTTP errors"]
    for code, explanation in HTTP_ERRORS.items():
        title = falcon.code_to_http_status(code).partition(" ")[2]
        lines += ["", f"### {title.lower().replace(' ', '-')}", "", *_problem(str(code), title, explanation)]
    return "\n".join(lines) + "\n"


def _problem(status: str, title: str, explanation: Help) -> Iterator[str]:
    yield from (f"**{status} {title}**", "", explanation.meaning, "", f"*Remedy:* {explanation.remedy}")


def _operation(operation: dict[str, Any]) -> Iterator[str]:
    scope = operation.get("x-required-scope")
    requirement = f"Requires the scope `{scope}`." if scope else "Requires no credentials."
    yield f"{operation['summary']}. {operation['description']} {requirement}"
    if parameters := operation.get("parameters"):
        yield ""
        yield from _table(
            ("parameter", "in", "type", "description"),
            (
                (
                    f"`{one['name']}`" + (" (required)" if one.get("required") else ""),
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
        ("status", "description", "body"),
        ((status, response["description"], _content(response)) for status, response in operation["responses"].items()),
    )


def _schema(schema: dict[str, Any]) -> Iterator[str]:
    yield schema.get("description", "")
    properties = schema.get("properties")
    if not properties:
        yield _kind(schema)
        return
    needed = schema.get("required", ())
    yield ""
    yield from _table(
        ("field", "type", "description"),
        (
            (f"`{name}`" + (" (always)" if name in needed else ""), _kind(one), _about(one))
            for name, one in properties.items()
        ),
    )


def _content(holder: dict[str, Any]) -> str:
    return ", ".join(f"`{kind}`: {_kind(body['schema'])}" for kind, body in holder.get("content", {}).items())


def _about(one: dict[str, Any]) -> str:
    return str(one.get("description") or one.get("schema", {}).get("description", ""))


def _plain(text: str) -> str:
    """Return the Markdown that shows a text unchanged."""
    return re.sub(r"([*_`\[\]<>|])", r"\\\1", text)


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
