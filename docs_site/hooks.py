"""MkDocs hooks: add generated pages and files from outside docs/, and rewrite their links."""

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
# Lets the search run from file://. The theme would load it from another host.
_SHIM: Final = "assets/iframe-worker.js"
_GENERATED: Final = {
    "reference/api.md": reference.api,
    "reference/commands.md": reference.commands,
    "reference/settings.md": reference.settings,
    "reference/metrics.md": reference.metrics_page,
    "reference/errors.md": reference.errors,
}
# Page to the file of the repository that has its text.
_SOURCES: Final = {
    "index.md": "README.md",
    "infrastructure.md": "iac/README.md",
    "consistency-check.md": "consistency/README.md",
    "benchmarks.md": "bench/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "reporting.md": "SECURITY.md",
}
_LINK: Final = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_config(config: MkDocsConfig) -> None:
    """Load the polyfill of the offline search from the site itself."""
    config.extra["polyfills"] = [_SHIM]


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that are not stored in docs/, and the polyfill."""
    for uri, content in _pages():
        files.append(File.generated(config, uri, content=content))
    shim = ROOT / "docs_site" / "iframe_worker" / "shim.js"
    files.append(File.generated(config, _SHIM, content=shim.read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, *, page: Page, files: Files, **_: object) -> str:
    """Point links at pages; replace a link to another file of the repository with its text.

    A link whose target does not exist stays as it is, so that MkDocs reports it.
    """
    here = page.file.src_uri
    source = _SOURCES.get(here, f"docs/{here}")
    targets = {_SOURCES.get(file.src_uri, f"docs/{file.src_uri}"): file.src_uri for file in files}

    def rewrite(link: re.Match[str]) -> str:
        bang, text, target = link.groups()
        path, mark, part = target.partition("#")
        if ":" in target or not path:
            return link.group()
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        found = targets.get(wanted) or targets.get(f"{wanted}/index.md")
        if found:
            return f"{bang}[{text}]({posixpath.relpath(found, posixpath.dirname(here) or '.')}{mark}{part})"
        return text if not bang and (ROOT / wanted).exists() else link.group()

    return _LINK.sub(rewrite, markdown)


def _pages() -> Iterator[tuple[str, str]]:
    for uri, generate in _GENERATED.items():
        yield uri, generate()
    for uri, file in _SOURCES.items():
        yield uri, (ROOT / file).read_text(encoding="utf-8")
    yield (
        "adr/index.md",
        _list("Architecture decisions", "Each record has the context, the decision and figures.", "adr"),
    )
    yield "runbooks/index.md", _list("Runbooks", "One page per alert: meaning, diagnosis, remedy.", "runbooks")


def _list(title: str, introduction: str, folder: str) -> str:
    pages = sorted((ROOT / "docs" / folder).glob("*.md"))
    titles = ((page.name, page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")) for page in pages)
    return f"# {title}\n\n{introduction}\n\n" + "".join(f"- [{heading}]({name})\n" for name, heading in titles)
