"""The pages name existing files, settings, metrics, benchmarks and commands."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from typer.main import get_command

from peopleinfo.cli import app
from peopleinfo.settings import PREFIX, Settings
from peopleinfo.telemetry import metrics

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "bench" / "README.md", *ROOT.glob("docs/**/*.md")])
SETTINGS = {f"{PREFIX}{field.name.upper()}" for field in dataclasses.fields(Settings)} | {"PEOPLEINFO_API_KEY"}
METRICS = {metric.name for metric in metrics.ALL}
# Variables that a page shows as an example of one that is not a setting.
EXAMPLES = {"PEOPLEINFO_VALKEY_SERVICE_HOST"}
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pages
def test_named_files_exist(page: Path) -> None:
    paths = re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|toml|yml|csv|txt))`", page.read_text())
    bases = (ROOT, ROOT / "src" / "peopleinfo")
    assert [path for path in paths if not any((base / path).exists() for base in bases)] == []


def test_map_of_changes_names_existing_definitions() -> None:
    rows = (ROOT / "CONTRIBUTING.md").read_text().partition("## Where to change what")[2].partition("\n## ")[0]
    named = re.findall(r"`([\w./]+\.py)`((?: `\w+`)*)", rows)
    missing = [
        f"{path} {name}"
        for path, names in named
        for name in re.findall(r"\w+", names)
        if not re.search(
            rf"^(?:class |(?:async )?def |){name}\b", (ROOT / "src" / "peopleinfo" / path).read_text(), re.MULTILINE
        )
    ]
    assert len(named) > 20
    assert missing == []


@pages
def test_named_settings_exist(page: Path) -> None:
    named = set(re.findall(rf"\b{PREFIX}[A-Z][A-Z_]*[A-Z]\b", page.read_text()))
    assert named - SETTINGS - EXAMPLES == set()


@pages
def test_named_metrics_exist(page: Path) -> None:
    named = set(re.findall(r"\bpeopleinfo_[a-z_]+\b", page.read_text())) - {"peopleinfo_client"}
    assert {name for name in named if re.sub("_(bucket|count|sum)$", "", name) not in METRICS} == set()


@pages
def test_named_benchmarks_exist(page: Path) -> None:
    folder = ROOT / "bench"
    named = re.findall(r"(?:python -m bench[ .]|`bench )([a-z_]+)", page.read_text())
    assert [name for name in named if not (folder / f"{name}.py").exists()] == []


@pages
def test_named_commands_exist(page: Path) -> None:
    commands = set(get_command(app).commands)  # type: ignore[attr-defined] # the application is a group
    named = set(re.findall(r"(?:^    |`|bin/)peopleinfo ([a-z]+)", page.read_text(), re.MULTILINE))
    assert named - commands == set()
