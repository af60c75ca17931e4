"""Items and results of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Required, Self, TypedDict

from peopleinfo_client._json import decode
from peopleinfo_client.errors import PersonNotFound, ProblemError, problem_of
from peopleinfo_client.models import Person

if TYPE_CHECKING:
    from collections.abc import Mapping


class BatchItem(TypedDict, total=False):
    """A creation, or a change of one person, with the names of the fields of the API."""

    operation: Required[Literal["create", "replace", "patch", "delete"]]
    person_id: str
    """The person to replace, patch or delete."""
    version: int | Literal["*"]
    """The version to change, or `*` for any version; required to replace and to patch."""
    person: Mapping[str, Any]
    """The new fields; to patch, the changes. The value None removes a field."""
    idempotency_key: str
    """To create: the client sends a random key unless the item has one."""


class BatchResult(NamedTuple):
    """The result of one item of a batch: its HTTP status, and the person or the error; a deletion has neither."""

    status: int
    person: Person | None = None
    error: ProblemError | None = None

    def found(self) -> Person | None:
        """Return the person, None if there is none with this id. Raises any other error."""
        if self.error is not None and not isinstance(self.error, PersonNotFound):
            raise self.error
        return self.person

    @classmethod
    def list_from_json(cls, text: bytes) -> list[Self]:
        """Parse the JSON of the results of a batch."""
        return [cls._from_fields(result) for result in decode(text)["results"]]

    @classmethod
    def _from_fields(cls, fields: Mapping[str, Any]) -> Self:
        person = Person.from_fields(fields["person"]) if "person" in fields else None
        error = problem_of(fields["status"], fields["problem"]) if "problem" in fields else None
        return cls(fields["status"], person, error)
