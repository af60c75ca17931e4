"""The table of the standard fields of a record: validation, search, field access, files and OpenAPI follow it.

The client sets the fields of `PersonFields`, the server sets `READ_ONLY_FIELDS`.
"""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple, get_type_hints

import msgspec


class Field(NamedTuple):
    """The rules of a field. All lengths are in code points; UTF-8 has at most 4 bytes for each."""

    max_length: int
    description: str
    """Description in the OpenAPI document."""
    examples: tuple[str, ...]
    column: str
    """Meaning of its column in a table, for the parameters of an import."""
    is_date: bool = False
    """Whether the text must be a partial date, see `birthdate`."""
    is_multiline: bool = False
    """Whether the text may contain line breaks."""
    searched_by: tuple[str, ...] = ()
    """Parameters of a search whose results reveal the value. A single name is indexed like a surname."""


MAX_NAME_LENGTH: Final = 256


class PersonFields(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The standard fields, in the order of a record. An absent field is None."""

    person_name: Annotated[
        str | None,
        Field(
            MAX_NAME_LENGTH,
            "Given name or names.",
            ("Anna",),
            "the column of the given names",
            searched_by=("surname", "surname_prefix", "name"),
        ),
    ] = None
    person_surname: Annotated[
        str | None,
        Field(
            MAX_NAME_LENGTH,
            "Family name.",
            ("Müller",),
            "the column of the surname",
            searched_by=("surname", "surname_prefix"),
        ),
    ] = None
    person_birthdate: Annotated[
        str | None,
        Field(
            MAX_NAME_LENGTH,
            "YYYY-MM-DD, YYYY-MM, YYYY or --MM-DD, not in the future.",
            ("1990-02-11",),
            "the column of the birthdate",
            is_date=True,
            searched_by=("born_from", "born_to"),
        ),
    ] = None
    person_address: Annotated[
        str | None,
        Field(
            2_000,
            "Free text; line breaks are kept.",
            ("12 Example Street\nSpringfield",),
            "the column of the address, or several, separated by commas",
            is_multiline=True,
        ),
    ] = None


FIELD_TABLE: Final[dict[str, Field]] = {
    name: kind.__metadata__[0] for name, kind in get_type_hints(PersonFields, include_extras=True).items()
}
FIELDS: Final = tuple(FIELD_TABLE)
LEGACY_FIELDS: Final = ("person_name", "person_surname", "person_birthdate", "person_address")  # required by POST /data
READ_ONLY_FIELDS: Final = ("person_id", "version", "created_at", "updated_at")
CUSTOM_FIELDS: Final = "*"  # in a list of hidden fields: every field that is not a standard field
