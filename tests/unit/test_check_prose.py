"""The check of prose finds the text of each kind of file and counts the patterns in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.check_prose import LIMITS, MAX_SENTENCE, count, prose

if TYPE_CHECKING:
    from pathlib import Path

# One phrase per pattern, built from parts so that this module stays below the limits itself.
PHRASES = {
    "who": "wh" + "oever calls",
    "indefinite person": "some" + "body calls",
    "clause without a head": "wh" + "at is stored",
    "stand, lie": "it " + "stan" + "ds here",
    "tell, ask": "it as" + "ks the store",
    "begin, go on": "it go" + "es on",
    "quaint": "it is me" + "nded",
    "long sentence": "word " * (MAX_SENTENCE + 1),
}


def test_each_pattern_has_a_limit() -> None:
    assert PHRASES.keys() == LIMITS.keys()


@pytest.mark.parametrize(("name", "phrase"), PHRASES.items())
def test_phrase_is_counted_once_under_its_pattern(name: str, phrase: str) -> None:
    assert +count(phrase) == {name: 1}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("docstring.py", '"""{}"""\n'),
        ("comment.py", "x = 1  # {}\n"),
        ("message.py", 'raise ValueError("the value is wrong and {}")\n'),
        ("page.md", "# Title\n\nSome text, {}.\n"),
        ("cell.md", "| a | {} |\n|---|---|\n"),
        ("stack.tf", 'variable "x" {{\n  description = "{}"\n}}\n'),
        ("remark.tf", "# {}\n"),
    ],
)
def test_prose_of_each_kind_of_file_is_counted(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text.format(PHRASES["who"]))
    assert [place.rpartition(":")[2] for place, found in prose(tmp_path / name) if count(found)["who"]] != []


def test_test_names_are_read_as_sentences(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(f"def test_{PHRASES['who'].replace(' ', '_')}() -> None: ...\n")
    assert sum((count(text)["who"] for _, text in prose(tmp_path / "test_x.py"))) == 1


@pytest.mark.parametrize(
    "text", ["run `{}` first", "    {}\n", "```\n{}\n```\n", "see [the page](https://example.org/{})"]
)
def test_code_in_a_page_is_not_prose(tmp_path: Path, text: str) -> None:
    (tmp_path / "page.md").write_text(text.format(PHRASES["who"].replace(" ", "-") if "(" in text else PHRASES["who"]))
    assert sum((count(found)["who"] for _, found in prose(tmp_path / "page.md"))) == 0
