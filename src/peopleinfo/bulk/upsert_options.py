"""How the rows of an import relate to stored records. Commands load this module at their start."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Mode = Literal["merge", "replace"]
DuplicateMode = Literal["report", "skip", "queue", "refuse"]


class UpsertOptions(NamedTuple):
    """How rows relate to stored records.

    `key`: `person_id` or an identifier. A row with this field updates the record with the same value: `merge` changes the fields of the row, `replace` all fields.
    `stores_equal_rows`: store a row even if it equals a record that existed before the import.
    `duplicates`: compare the people of new rows with the others: `report` them, or also add them to the review
    `queue`, `skip` or `refuse` (reject) these rows.
    """

    key: str | None = None
    mode: Mode = "merge"
    stores_equal_rows: bool = False
    duplicates: DuplicateMode | None = None


DEFAULT_UPSERT: Final = UpsertOptions()
