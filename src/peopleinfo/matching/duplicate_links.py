"""Links: pairs of records that may be of one person, with the decision of a reviewer. A link contains no value of a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

import msgspec

from peopleinfo.matching.scoring import Evidence, Grade  # noqa: TC001 - msgspec reads them at run time

if TYPE_CHECKING:
    from collections.abc import Sequence

LinkState = Literal["open", "different", "later"]
STATES: Final[tuple[LinkState, ...]] = ("open", "different", "later")
_DOUBT_SCALE: Final = 1_000_000_000


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A pair of records in the order of their ids. Each change of the link increments its version."""

    first: str
    second: str
    version: int = 1
    state: LinkState = "open"
    grade: Grade
    score: float
    relatives: float
    evidence: tuple[Evidence, ...]
    identifiers: frozenset[str] = frozenset()
    """Fields of the identifiers that were equal when the pair was decided to be different."""
    by: str | None = None
    """The principal that decided; None if the pair was found and not decided."""
    at: str = ""
    """The time of the last change, RFC 3339."""
    note: str = ""

    @property
    def pair(self) -> str:
        """The id of the pair."""
        return self.first + self.second

    @property
    def doubt(self) -> int:
        """The position among the links of one grade: the most certain one first."""
        return round((1 - self.score) * _DOUBT_SCALE)


class LinkPage(NamedTuple):
    """Links of one state, the most certain first, and the position of the next page; None after the last page."""

    links: list[Link]
    next: bytes | None


class LinkStore(Protocol):
    """The links of a store. Every method may raise StoreUnavailable."""

    async def get(self, first: str, second: str) -> Link | None:
        """Return the link of two records, with their ids in order; None without one."""

    async def put(self, link: Link) -> bool:
        """Store a link if the stored one has the version before, or is absent for version 1. Returns False otherwise."""

    async def delete(self, link: Link) -> None:
        """Delete a link unless it was changed."""

    async def of_person(self, person_id: str) -> list[Link]:
        """Return all links of a record."""

    async def page(self, state: LinkState, grades: Sequence[Grade], *, after: bytes | None, limit: int) -> LinkPage:
        """Return a page of the links with a state and one of these grades."""


def encode_link(link: Link) -> bytes:
    """Return the form that a store keeps."""
    return msgspec.json.encode(link)


decode_link: Final = msgspec.json.Decoder(Link).decode
