"""What MkDocs calls: pages from the code and from elsewhere in the repository join docs/, and links lead to pages instead of files."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mkdocs.structure.files import File

from docs_site import reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[1]
_MADE: Final = {
    "reference/api.md": reference.api,
    "reference/commands.md": reference.commands,
    "reference/settings.md": reference.settings,
    "reference/figures.md": reference.figures,
}
# page → the file of the repository that it is
_ELSEWHERE: Final = {
    "infrastructure.md": "iac/README.md",
    "proof.md": "consistency/README.md",
    "measurements.md": "bench/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "reporting.md": "SECURITY.md",
}
_LINK: Final = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that do not lie in docs/."""
    for uri, content in _pages():
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, files: Files, **_: object) -> str:
    """Let links lead to pages; what is in the repository and no page is named, not linked. What is nowhere is left for MkDocs to find."""
    here = page.file.src_uri
    source = _SOURCES.get(here, f"docs/{here}")
    pages = {_SOURCES.get(file.src_uri, f"docs/{file.src_uri}"): file.src_uri for file in files.documentation_pages()}

    def leads(link: re.Match[str]) -> str:
        bang, text, target = link.groups()
        path, mark, part = target.partition("#")
        if bang or ":" in target or not path:
            return link.group()
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        found = pages.get(wanted) or pages.get(f"{wanted}/index.md")
        if found:
            return f"[{text}]({posixpath.relpath(found, posixpath.dirname(here) or '.')}{mark}{part})"
        return text if (ROOT / wanted).exists() else link.group()

    return _LINK.sub(leads, markdown)


def _pages() -> Iterator[tuple[str, str]]:
    for uri, made in _MADE.items():
        yield uri, made()
    for uri, file in _ELSEWHERE.items():
        yield uri, (ROOT / file).read_text(encoding="utf-8")
    start, five, rest = re.split(
        r"^## (?:Five minutes|The API)\n", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    yield (
        "index.md",
        start + "![The console](pictures/search.png)\n\n## Further\n" + rest.partition("\n## Further\n")[2],
    )
    yield "tutorial.md", "# Five minutes\n\nAfter `make run`, in another terminal:\n" + five
    yield "adr/index.md", _list("Decisions", "What was decided, why, and what was measured.", "adr")
    yield (
        "runbooks/index.md",
        _list("Runbooks", "A page for each alert: what it means, where to look, what to do.", "runbooks"),
    )


_SOURCES: Final = {**_ELSEWHERE, "index.md": "README.md", "tutorial.md": "README.md"}


def _list(title: str, says: str, folder: str) -> str:
    pages = sorted((ROOT / "docs" / folder).glob("*.md"))
    titles = ((page.name, page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")) for page in pages)
    return f"# {title}\n\n{says}\n\n" + "".join(f"- [{called}]({name})\n" for name, called in titles)
