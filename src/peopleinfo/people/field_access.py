"""Field access: redaction of hidden fields, and checks that no search or patch reveals their values."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.errors import FieldAccessDenied
from peopleinfo.people import strict_json
from peopleinfo.people.fields import CUSTOM_FIELDS, FIELD_TABLE, FIELDS, READ_ONLY_FIELDS
from peopleinfo.people.person import decode_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ALWAYS_VISIBLE: Final = frozenset(READ_ONLY_FIELDS)  # clients need them to address and change a record
_STANDARD_FIELDS: Final = frozenset(FIELDS) | _ALWAYS_VISIBLE


def is_hidden(field: str, hidden: frozenset[str]) -> bool:
    """Return whether a field is hidden; `*` in `hidden` hides every custom field."""
    return (field in hidden and field not in _ALWAYS_VISIBLE) or (
        CUSTOM_FIELDS in hidden and field not in _STANDARD_FIELDS
    )


def visible_fields(fields: Mapping[str, Any], hidden: frozenset[str]) -> dict[str, Any]:
    """Return the fields that are not hidden, in the same order."""
    return {field: value for field, value in fields.items() if not is_hidden(field, hidden)}


def redact(body: bytes, hidden: frozenset[str]) -> bytes:
    """Return the JSON of a record without its hidden fields. The encoding does not reveal whether it had any."""
    return strict_json.encode(visible_fields(decode_fields(body), hidden))


@lru_cache(maxsize=1_000)
def hidden_fields_hash(hidden: frozenset[str]) -> str:
    """Return a hash of a set of hidden fields, to distinguish representations: 8 hexadecimal digits."""
    return blake2b(strict_json.encode(sorted(hidden)), digest_size=4).hexdigest()


def check_search(filters: Iterable[str], hidden: frozenset[str]) -> None:
    """Raise FieldAccessDenied if the results of a search by these filters would reveal a hidden field."""
    used = set(filters)
    if denied := [
        name for name, field in FIELD_TABLE.items() if name in hidden and not used.isdisjoint(field.searched_by)
    ]:
        raise FieldAccessDenied(sorted(denied))


def check_new(data: Any, hidden: frozenset[str], unique: frozenset[str]) -> None:
    """Raise FieldAccessDenied if a new person has a hidden field that is `unique`: a conflict would reveal the value of another person."""
    if isinstance(data, dict) and (denied := hidden_unique(data, hidden, unique)):
        raise FieldAccessDenied(denied)


def hidden_unique(fields: Iterable[str], hidden: frozenset[str], unique: frozenset[str]) -> list[str]:
    """Return the `unique` fields among these that are hidden."""
    return sorted(name for name in unique.intersection(fields) if is_hidden(name, hidden))


def check_patch(patch: Any, hidden: frozenset[str]) -> None:
    """Raise FieldAccessDenied if a merge patch contains a hidden field, or is not an object and so replaces all fields."""
    if not isinstance(patch, dict):
        raise FieldAccessDenied(sorted(hidden))
    if denied := [field for field in patch if is_hidden(field, hidden)]:
        raise FieldAccessDenied(denied)
