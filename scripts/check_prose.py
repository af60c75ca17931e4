"""Count phrases that make technical prose hard to read: `python -m scripts.check_prose [PATH…] [--worst N]`.

The prose of the repository is its docstrings, comments, long messages, test names, pages and Terraform descriptions. The frequency of
each pattern per 10,000 words must not exceed its limit; no single phrase is forbidden. docs/writing.md explains the style.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SENTENCE: Final = 35  # words
# The worst of eleven well-written open-source projects, rounded up.
LIMITS: Final = {
    "who": 5,
    "indefinite person": 6,
    "clause without a head": 4,
    "stand, lie": 1,
    "tell, ask": 16,
    "begin, go on": 4,
    "quaint": 3,
    "long sentence": 25,
}
_PATTERNS: Final = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "who": r"\bwho(m|se|ever|mever)?\b",
        "indefinite person": r"\b(some|no|every|any)body('s)?\b|\b(some|every|any|no )one('s)?\b",
        "clause without a head": r"\bwhat(ever)? (is|was|are|were|it|they|he|she|has|had|have|goes|comes|came|becomes|stands|lies|remains"
        r"|follows|a|an|the|one|every|each|no|others|people|clients?|callers?)\b",
        "stand, lie": r"\b(stands?|stood|lies?|lay|lying|lain)\b(?!-)",
        "tell, ask": r"\b(told|tell(s|ing)?|ask(s|ed|ing)?|hears?|heard|says?|said)\b",
        "begin, go on": r"\b(begins?|began|begun|beginning|anew|(go|goes|going|went|gone) on)\b",
        "quaint": r"\bmend(s|ed|ing)?\b|\b(beside|likewise|namesakes?)\b|\ball the same\b|\bin the place of\b|\bof (ours|yours|theirs|its own)\b"
        r"|\bin good order\b|\bof whichever\b|\b(is|are|was) meant\b|\blets? in\b|\blook at it\b|, say\b",
    }.items()
}
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z'\u2019]*")
_CODE: Final = re.compile(r"``[^`]*``|`[^`]*`|https?://\S+|\]\([^)]*\)|<[^>\n]+>")
_SENTENCE: Final = re.compile(r"(?<=[.!?;:])\s+|\n\s*\n")
_DIRECTIVE: Final = re.compile(r"#\s*(!|noqa|type:|pragma|fmt:)")
_TERRAFORM: Final = re.compile(r'\b(?:description|error_message)\s*=\s*"((?:[^"\\]|\\.)*)"|^\s*#\s?(.*)')
_MESSAGE: Final = 5  # words of a string that count as prose
_SHOWN: Final = 20


class Prose(NamedTuple):
    """A piece of prose and its location."""

    place: str
    text: str


def prose(path: Path) -> Iterator[Prose]:
    """Yield the prose of a file; nothing for a file of an unknown type."""
    readers = {".py": _python, ".md": _markdown, ".tf": _terraform, ".hcl": _terraform}
    if reader := readers.get(path.suffix):
        for line, text in reader(path.read_text(encoding="utf-8")):
            yield Prose(f"{path}:{line}", _CODE.sub("X", text))


def _python(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if docstring := ast.get_docstring(node):
                yield node.body[0].lineno, docstring
            if (name := getattr(node, "name", "")).startswith("test_"):
                yield node.body[0].lineno, name.removeprefix("test_").replace("_", " ")
        elif isinstance(node, ast.Call):
            for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                if len(_WORD.findall(message := _text(argument))) >= _MESSAGE:
                    yield argument.lineno, message
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not _DIRECTIVE.match(token.string):
            yield token.start[0], token.string.lstrip("# ")


def _text(node: ast.expr) -> str:
    """Return the text of a string or f-string without code or markup in it; "" for anything else."""
    if isinstance(node, ast.JoinedStr):
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    else:
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    return "" if re.search(r"[<>{}\\]|\(\?|^\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|WITH) ", text) else text


def _markdown(source: str) -> Iterator[tuple[int, str]]:
    source = re.sub(
        r"^(```|~~~).*?^\1", lambda block: "\n" * block[0].count("\n"), source, flags=re.MULTILINE | re.DOTALL
    )
    start = 1
    for paragraph in re.split(r"(?<=\n)(?=\s*\n|[-*|#]|\d+\. )", source):
        for cell in paragraph.split("|"):
            if not cell.startswith("    "):
                yield start, cell
        start += paragraph.count("\n")


def _terraform(source: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(source.splitlines(), 1):
        if found := _TERRAFORM.search(line):
            yield number, found[1] or found[2]


def count(text: str) -> Counter[str]:
    """Return how often each pattern occurs in a text."""
    found = Counter({name: len(pattern.findall(text)) for name, pattern in _PATTERNS.items()})
    found["long sentence"] = sum(len(_WORD.findall(sentence)) > MAX_SENTENCE for sentence in _SENTENCE.split(text))
    return found


def main() -> None:
    """Print the frequency of each pattern and the worst places; exit 1 when a limit is exceeded."""
    parser = argparse.ArgumentParser(description="Count phrases that make technical prose hard to read.")
    parser.add_argument("paths", nargs="*", default=["."], help="files and folders (default: the repository)")
    parser.add_argument("--worst", type=int, default=_SHOWN, help=f"places to print (default: {_SHOWN})")
    arguments = parser.parse_args()
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *arguments.paths], capture_output=True, text=True, check=True
    ).stdout.split("\0")
    pieces = [piece for name in listed if (path := Path(name)).is_file() for piece in prose(path)]
    words = sum(len(_WORD.findall(piece.text)) for piece in pieces) or 1
    total = sum((count(piece.text) for piece in pieces), Counter[str]())
    excess = [name for name, limit in LIMITS.items() if total[name] * 10_000 / words > limit]
    if excess:
        for piece in sorted(pieces, key=lambda piece: -count(piece.text).total())[: arguments.worst]:
            print(f"{piece.place}: {' '.join(piece.text.split())[:160]}")
    for name, limit in LIMITS.items():
        print(f"{name:24} {total[name] * 10_000 / words:6.1f} per 10,000 words, at most {limit}")
    if excess:
        sys.exit(f"above the limit: {', '.join(excess)}; see docs/writing.md")


if __name__ == "__main__":
    main()
