"""Architecture decisions are numbered without gaps."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2] / "docs" / "adr"


def test_each_decision_has_a_unique_number() -> None:
    numbers = sorted(int(file.name[:4]) for file in FOLDER.glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_each_title_starts_with_the_number_of_its_file() -> None:
    for file in FOLDER.glob("*.md"):
        assert file.read_text().startswith(f"# {int(file.name[:4])}. "), file.name


def test_each_decision_has_the_same_sections() -> None:
    for file in FOLDER.glob("*.md"):
        headings = [line for line in file.read_text().splitlines() if line.startswith("## ")]
        assert headings == ["## Context", "## Decision", "## Figures", "## Consequences"], file.name
