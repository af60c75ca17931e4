"""The table of mutants: one-line faults, each with the tests that detect it (mutants.toml)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).parent.parent.parent
TABLE: Final = Path(__file__).with_name("mutants.toml")


class Mutant(msgspec.Struct, forbid_unknown_fields=True):
    """A fault: in `file`, `after` replaces `before`."""

    name: str
    file: str
    before: str
    after: str
    reason: str
    tests: list[str]

    def planted(self, source: str) -> str:
        """Return the source with the fault. Raises LookupError unless `before` occurs in it exactly once."""
        if (count := source.count(self.before)) != 1:
            raise LookupError(f"{self.name}: {self.file} contains the text of `before` {count} times; update the table")
        return source.replace(self.before, self.after)


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    mutant: list[Mutant]


def mutants() -> list[Mutant]:
    """Return every mutant of the table."""
    return msgspec.convert(tomllib.loads(TABLE.read_text(encoding="utf-8")), _Table).mutant
