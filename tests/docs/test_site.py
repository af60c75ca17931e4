"""The documentation site builds without a warning, covers the whole interface and loads nothing from other hosts."""

from __future__ import annotations

import dataclasses
import html
import os
import re
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from docs_site.problem_help import HTTP_ERRORS, PROBLEMS
from peopleinfo.cli import app
from peopleinfo.http.openapi.document import document
from peopleinfo.http.openapi.operations import OPERATIONS
from peopleinfo.http.problems import PROBLEM_TYPES
from peopleinfo.settings import PREFIX, Settings
from peopleinfo.telemetry import metrics
from tests.console import browsing

ROOT = Path(__file__).parents[2]
# Resources that a browser loads by itself, unlike links.
LOADS = re.compile(
    r"""<(?:script|img|iframe|source|link(?! rel="(?:next|prev|canonical)"))[^>]*?(?:src|href)=["']?([^"'\s>]+)|url\(["']?([^"')]+)"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stdout, built.stderr) == (0, "", "")
    return folder


def text(page: Path) -> str:
    """Return the visible text of a page."""
    return html.unescape(re.sub("<[^>]*>", "", page.read_text()))


def test_no_page_loads_from_another_host(site: Path) -> None:
    loaded = {
        one or other
        for file in (*site.rglob("*.html"), *site.rglob("*.css"))
        for one, other in LOADS.findall(file.read_text())
    }
    assert len(loaded) > 5
    assert [url for url in loaded if re.match("(?:https?:)?//", url)] == []


def test_reference_has_every_operation(site: Path) -> None:
    page = text(site / "reference" / "api.html")
    for operation in OPERATIONS:
        assert f"{operation.method.upper()} {operation.path}" in page
        assert operation.summary in page


def test_reference_has_every_command(site: Path) -> None:
    page = text(site / "reference" / "commands.html")
    for command in app.registered_commands:
        assert f"peopleinfo {command.name or command.callback.__name__}" in page  # type: ignore[union-attr] # each has one


def test_reference_has_every_setting(site: Path) -> None:
    page = text(site / "reference" / "settings.html")
    for field in dataclasses.fields(Settings):
        assert f"{PREFIX}{field.name.upper()}" in page


def test_reference_has_every_metric(site: Path) -> None:
    page = text(site / "reference" / "metrics.html")
    for metric in metrics.ALL:
        assert metric.name in page
        assert metric.documentation in page


def test_catalogue_explains_every_problem_type(site: Path) -> None:
    page = text(site / "reference" / "errors.html")
    for kind in PROBLEM_TYPES.values():
        assert kind.slug in page
        assert f"{kind.status} {kind.title}" in page
    assert {kind.slug for kind in PROBLEM_TYPES.values()} | {"internal-error"} == PROBLEMS.keys()


def test_catalogue_has_every_status_of_the_api() -> None:
    responses = {
        int(status)
        for methods in document()["paths"].values()
        for operation in methods.values()
        for status in operation["responses"]
    }
    explained = {kind.status for kind in PROBLEM_TYPES.values()} | HTTP_ERRORS.keys()
    assert {status for status in responses if status >= HTTPStatus.BAD_REQUEST} <= explained


@pytest.mark.skipif(browsing.missing() is not None, reason=browsing.missing() or "")
@pytest.mark.parametrize(
    ("query", "heading", "target"),
    [
        ("graceful", "Graceful shutdown", "operations.html"),
        ("cache ttl", "PEOPLEINFO_CACHE_TTL", "reference/settings.html"),
    ],
)
def test_search_finds_a_page_from_disk(site: Path, query: str, heading: str, target: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browsing.chromium(), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto((site / "index.html").as_uri())
        page.get_by_role("textbox", name="Search").press_sequentially(query)  # the site searches at each released key
        result = page.locator(".md-search-result__item a", has_text=heading).first
        result.wait_for(state="attached")
        assert target in str(result.get_attribute("href"))
        browser.close()


def test_site_has_every_page(site: Path) -> None:
    for file in (ROOT / "docs").rglob("*.md"):
        assert (site / file.relative_to(ROOT / "docs").with_suffix(".html")).exists()


def test_index_pages_link_every_runbook_and_decision(site: Path) -> None:
    for folder in ("adr", "runbooks"):
        page = (site / folder / "index.html").read_text()
        for file in (ROOT / "docs" / folder).glob("*.md"):
            assert f'href="{file.stem}.html"' in page


@pytest.mark.parametrize("page", ["tutorial-console.md", "console.md"])
def test_console_pages_name_existing_labels(page: str) -> None:
    console = ROOT / "src" / "peopleinfo" / "console"
    templates = "".join(template.read_text() for template in (console / "templates").glob("*.html"))
    scripts = "".join(script.read_text() for script in (console / "static").glob("*.js"))
    visible = {part.strip() for part in re.split(r"<[^>]*>|\{\{[^}]*\}\}|\{%[^%]*%\}", templates)}
    visible |= set(
        re.findall(r'"([A-Z][^"]*)"', templates + scripts)
    )  # labels in lists, and of elements that scripts add
    labels = re.findall(r"\*\*(.*?)\*\*", (ROOT / "docs" / page).read_text())
    assert [label for label in labels if label not in visible] == []
