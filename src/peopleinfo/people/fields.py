"""Standard fields of a person record: the client sets `FIELDS`, the server sets `READ_ONLY_FIELDS`."""

from __future__ import annotations

from typing import Final

FIELDS: Final = ("person_name", "person_surname", "person_birthdate", "person_address")
READ_ONLY_FIELDS: Final = ("person_id", "version", "created_at", "updated_at")
CUSTOM_FIELDS: Final = "*"  # in a list of hidden fields: every field that is not a standard field
