"""Options shared by several commands."""

from __future__ import annotations

import dataclasses
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from peopleinfo.people.person_filter import Match, PersonFilter, Search
from peopleinfo.settings import PREFIX, Settings

if TYPE_CHECKING:
    from collections.abc import Callable


def setting(name: str) -> Any:
    """Return the option of a setting, with the name, description and environment variable of `Settings`."""
    (field,) = (field for field in dataclasses.fields(Settings) if field.name == name)
    is_off = field.default == "" or field.default is False
    default = "" if is_off else f" (default: {field.default})"
    return typer.Option(
        f"--{name.replace('_', '-')}",
        help=field.metadata["description"] + default,
        envvar=f"{PREFIX}{name.upper()}",
        show_default=False,
    )


def of_every_setting(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for every non-secret setting to a command with `**flags`; an absent option is None."""
    hints = get_type_hints(Settings)
    kinds = {
        field.name: kind if (kind := hints[field.name]) in (bool, int, float) else str
        for field in dataclasses.fields(Settings)
        if not field.metadata.get("secret")
    }
    parameters = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, setting(name)])
        for name, kind in kinds.items()
    ]
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined] # read by inspect
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


Store = Annotated[str | None, setting("store_url")]
Encryption = Annotated[str | None, setting("encryption")]
Surname = Annotated[str | None, typer.Option("--surname", help="Surname; case and accents are ignored.")]
Prefix = Annotated[str | None, typer.Option("--surname-prefix", help="First letters of the surname.")]
Name = Annotated[str | None, typer.Option("--name", help="Given name; case and accents are ignored.")]
BornFrom = Annotated[
    str | None, typer.Option("--born-from", help="Earliest birthdate, for example 1990, 1990-02 or 1990-02-11.")
]
BornTo = Annotated[
    str | None, typer.Option("--born-to", help="Latest birthdate, for example 1999, 1999-12 or 1999-12-31.")
]
Exact = Annotated[bool, typer.Option("--exact", help="Match case and accents of names exactly.")]


def person_filter(
    surname: str | None,
    prefix: str | None,
    name: str | None,
    born_from: str | None,
    born_to: str | None,
    *,
    exact: bool,
) -> PersonFilter:
    """Return the filter of a search. Raises InvalidSearch."""
    match: Match = "exact" if exact else "folded"
    return PersonFilter(
        Search(surname=surname, surname_prefix=prefix, name=name, born_from=born_from, born_to=born_to, match=match)
    )
