"""What a principal may see of people when some members are hidden from it, and what it may ask and change so that it cannot find them out."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.errors import FieldAccessDenied
from peopleinfo.people import strict_json
from peopleinfo.people.fields import CUSTOM_FIELDS, FIELDS, READ_ONLY_FIELDS
from peopleinfo.people.person import decode_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NEVER: Final = frozenset(READ_ONLY_FIELDS)  # hidden: without them nobody could be named or changed
_KNOWN: Final = frozenset(FIELDS) | _NEVER
# Who is found tells something about these members. A person of one name is found by it as by a surname.
_REVEALED_BY: Final = {
    "surname": {"person_surname", "person_name"},
    "surname_prefix": {"person_surname", "person_name"},
    "name": {"person_name"},
    "born_from": {"person_birthdate"},
    "born_to": {"person_birthdate"},
}


def is_hidden(member: str, hidden: frozenset[str]) -> bool:
    """Say whether a member is among the hidden ones; `*` there stands for every member that people brought themselves."""
    return (member in hidden and member not in _NEVER) or (CUSTOM_FIELDS in hidden and member not in _KNOWN)


def visible_fields(members: Mapping[str, Any], hidden: frozenset[str]) -> dict[str, Any]:
    """Return the members that are not hidden, in their order."""
    return {member: value for member, value in members.items() if not is_hidden(member, hidden)}


def redact(body: bytes, hidden: frozenset[str]) -> bytes:
    """Return a person's JSON without the hidden members. It is encoded in the same way whether there were any or not."""
    return strict_json.encode(visible_fields(decode_fields(body), hidden))


@lru_cache(maxsize=1_000)
def hidden_fields_hash(hidden: frozenset[str]) -> str:
    """Return what tells the representations for principals with these hidden members from others: 8 hexadecimal digits."""
    return blake2b(strict_json.encode(sorted(hidden)), digest_size=4).hexdigest()


def check_search(filters: Iterable[str], hidden: frozenset[str]) -> None:
    """Raise MembersHidden when whoever asks by these filters would learn something about a hidden member."""
    told: set[str] = set().union(*(_REVEALED_BY.get(name, ()) for name in filters))
    if told & hidden:
        raise FieldAccessDenied(sorted(told & hidden))


def check_patch(patch: Any, hidden: frozenset[str]) -> None:
    """Raise MembersHidden when a merge patch names a hidden member, or is none that leaves the others as they are."""
    if not isinstance(patch, dict):
        raise FieldAccessDenied(sorted(hidden))
    if named := [member for member in patch if is_hidden(member, hidden)]:
        raise FieldAccessDenied(named)
