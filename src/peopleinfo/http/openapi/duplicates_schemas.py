"""Types of requests and responses about duplicates."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from peopleinfo.http.openapi.schemas import Cursor, Person  # noqa: TC001 - read at run time, as a type
from peopleinfo.matching.candidates import DEFAULT_COUNT

MAX_COUNT: Final = 100  # candidates in a response
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1, le=MAX_COUNT, description="Maximum number of candidates.")]
Threshold = Annotated[Share, Meta(description="Lowest score of a candidate.")]
OnlyCertain = Annotated[bool, Meta(description="Whether only candidates with the grade certain are returned.")]
PairState = Literal["open", "different", "later"]
Grade = Literal["certain", "probable", "possible"]


class MatchBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A person to compare with the stored people. A birthdate without a name is enough."""

    person: dict[str, Any]
    count: Count = DEFAULT_COUNT
    only_certain: OnlyCertain = False
    threshold: Threshold = 0.5


class MatchEvidence(Struct):
    """The evidence of one field, without its values."""

    field: str
    agreement: Annotated[str, Meta(examples=["near"])]
    bits: Annotated[float, Meta(description="Evidence for one person against strangers: log2 of a likelihood ratio.")]
    against_relatives: Annotated[float, Meta(description="Evidence for one person against relatives.")]
    because: Annotated[str, Meta(examples=["same surname"])]


class MatchCandidate(Struct):
    """A stored person that may be the same."""

    person_id: str
    grade: Grade
    score: Annotated[Share, Meta(description="Probability that both records are of one person.")]
    relatives: Annotated[Share, Meta(description="Probability that they are of two relatives.")]
    evidence: list[MatchEvidence]
    person: Person


class MatchNotExamined(Struct):
    """People that share a key with the person but are too many to compare."""

    by: Annotated[str, Meta(description="The fields of the key; index: people that `reindex` has not reached.")]
    people: int


class MatchResult(Struct):
    """The candidates, the most certain first."""

    candidates: list[MatchCandidate]
    of_people: Annotated[int, Meta(description="People in the store when they were counted.")]
    examined: Annotated[int, Meta(description="People that were compared.")]
    not_examined: list[MatchNotExamined]


class DuplicatePair(Struct):
    """Two people that may be the same, with the decision of a reviewer."""

    pair: Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="The ids of both people, in order.")]
    version: Annotated[int, Meta(ge=1, description="Increases with each change; the ETag contains it.")]
    state: PairState
    grade: Grade
    score: Share
    relatives: Share
    evidence: list[MatchEvidence]
    by: Annotated[str | None, Meta(description="The principal that decided; null for a pair that waits.")]
    at: Annotated[str, Meta(description="The time of the last change.")]
    note: str
    people: list[Person]


class DuplicatePage(Struct):
    """A page of pairs, the most certain first."""

    duplicates: list[DuplicatePair]
    next_cursor: Cursor | None


class DecisionBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The decision about a pair."""

    decision: Literal["different", "later"]
    note: Annotated[str, Meta(max_length=500, description="A reason, without personal data.")] = ""


TYPES: Final = (MatchBody, MatchResult, DuplicatePage, DecisionBody)
