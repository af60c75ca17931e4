"""The documentation as a site: it is built without a warning, tells of everything that there is, and asks no other host for anything."""

from __future__ import annotations

import dataclasses
import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from peopleinfo.cli import app
from peopleinfo.http.operations import OPERATIONS
from peopleinfo.settings import PREFIX, Settings
from peopleinfo.telemetry import metrics

ROOT = Path(__file__).parents[2]
# What a browser loads by itself; a link is followed by whoever likes to.
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
    """Return what can be read on a page."""
    return html.unescape(re.sub("<[^>]*>", "", page.read_text()))


def test_no_page_asks_another_host_for_anything(site: Path) -> None:
    loaded = {
        one or other
        for file in (*site.rglob("*.html"), *site.rglob("*.css"))
        for one, other in LOADS.findall(file.read_text())
    }
    assert len(loaded) > 5
    assert [url for url in loaded if re.match("(?:https?:)?//", url)] == []


def test_the_reference_has_every_operation(site: Path) -> None:
    page = text(site / "reference" / "api.html")
    for operation in OPERATIONS:
        assert f"{operation.method.upper()} {operation.path}" in page
        assert operation.summary in page


def test_the_reference_has_every_command(site: Path) -> None:
    page = text(site / "reference" / "commands.html")
    for command in app.registered_commands:
        assert f"peopleinfo {command.name or command.callback.__name__}" in page  # type: ignore[union-attr] # each has one


def test_the_reference_has_every_setting(site: Path) -> None:
    page = text(site / "reference" / "settings.html")
    for field in dataclasses.fields(Settings):
        assert f"{PREFIX}{field.name.upper()}" in page


def test_the_reference_has_every_figure(site: Path) -> None:
    page = text(site / "reference" / "figures.html")
    for figure in metrics.ALL:
        assert figure.name in page
        assert figure.says in page


def test_every_page_of_the_documentation_is_in_the_site(site: Path) -> None:
    for file in (ROOT / "docs").rglob("*.md"):
        assert (site / file.relative_to(ROOT / "docs").with_suffix(".html")).exists()


def test_every_runbook_and_every_decision_is_led_to(site: Path) -> None:
    for folder in ("adr", "runbooks"):
        page = (site / folder / "index.html").read_text()
        for file in (ROOT / "docs" / folder).glob("*.md"):
            assert f'href="{file.stem}.html"' in page
