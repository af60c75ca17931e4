"""The first rows of an input, from which formats are guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from peopleinfo.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE_SIZE: Final = 256 * 1024  # characters


class Sized(Protocol):
    """A row of a known length."""

    @property
    def size(self) -> int:
        """The approximate length in characters."""


T = TypeVar("T", bound=Sized)


def take_sample(rows: Iterator[T]) -> tuple[list[T], Iterator[T]]:
    """Return the first rows, and an iterator of the others. InvalidInput is raised when the caller reaches the rest."""
    sample: list[T] = []
    size = 0
    try:
        while size < SAMPLE_SIZE and (row := next(rows, None)) is not None:
            sample.append(row)
            size += row.size
    except InvalidInput as error:
        return sample, _raise(error)
    return sample, rows


def _raise(error: InvalidInput) -> Iterator[T]:
    raise error
    yield  # an iterator raises when it is read
