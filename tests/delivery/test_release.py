"""A release is one commit and one tag with the same version everywhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from peopleinfo import __version__
from peopleinfo.http.openapi.document import document
from scripts.check_api import DOCUMENT
from scripts.next_version import next_release, pre_release
from scripts.release import CHANGELOG, PACKAGES, notes, release, stamp
from tests.http.serving import serving

if TYPE_CHECKING:
    from tests.delivery.repositories import Repository

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(repository: Repository) -> Repository:
    """A repository with the files that a release changes, released once."""
    for name in (*PACKAGES, CHANGELOG):
        (repository.root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, repository.root / name)
    (repository.root / "docs").mkdir()
    repository.git("config", "user.name", "Test")
    repository.git("config", "user.email", "test@example.org")
    repository.commit("feat: start")
    release("0.1.0", repository.root)
    return repository


def test_packages_changelog_openapi_document_and_tag_have_the_same_version(project: Repository) -> None:
    project.commit("feat: more")
    release(str(next_release(project.root)), project.root)
    assert project.git("describe", "--exact-match") == "v0.2.0"
    for package in PACKAGES:
        assert '\n__version__ = "0.2.0"' in project.git("show", f"v0.2.0:{package}")
    assert "\n## 0.2.0 (" in project.git("show", f"v0.2.0:{CHANGELOG}")
    assert json.loads(project.git("show", f"v0.2.0:{DOCUMENT}"))["info"]["version"] == "0.2.0"
    assert project.git("status", "--porcelain") == ""


def test_no_release_follows_without_a_change(project: Repository) -> None:
    assert next_release(project.root) is None


def test_changelog_section_becomes_the_release_notes(project: Repository) -> None:
    changelog = project.root / CHANGELOG
    head, _, rest = changelog.read_text().partition("\n## ")
    changelog.write_text(f"{head}\n## Next (not yet released)\n- People can fly.\n\n## {rest}")
    project.commit("feat: flight")
    release("0.2.0", project.root)
    assert notes(project.root) == "- People can fly."
    assert "(not yet released)" not in changelog.read_text()


def test_release_notes_list_the_commits_without_a_changelog_section(project: Repository) -> None:
    project.commit("fix: repair it\n\nAt length.", "docs: explain it", "feat: regretted")
    project.revert("HEAD")
    release("0.1.1", project.root)
    assert notes(project.root) == "- fix: repair it"


def test_pre_release_is_a_valid_python_version(project: Repository) -> None:
    project.commit("feat: more")
    stamp(pre_release(project.root), project.root)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, project.root / name)
    (project.root / "made").mkdir()
    program = "import flit_core.buildapi as b; b.prepare_metadata_for_build_wheel('made')"
    subprocess.run([sys.executable, "-c", program], cwd=project.root, check=True, capture_output=True)
    (metadata,) = project.root.glob("made/*/METADATA")
    assert "\nVersion: 0.2.0.dev20" in metadata.read_text()


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "1.2.3-rc.1", "1.2.3; rm -rf /", ""])
def test_invalid_version_is_rejected(project: Repository, version: str) -> None:
    with pytest.raises(SystemExit, match="is not a version"):
        stamp(version, project.root)


def test_running_service_reports_one_version_everywhere(tmp_path: Path) -> None:
    command = subprocess.run(
        [sys.executable, "-m", "peopleinfo", "version"], capture_output=True, text=True, check=True
    )
    with serving(tmp_path) as server:
        status = httpx.get(f"{server.url}/status").json()
        metrics = httpx.get(f"{server.url}/metrics").text
        api = httpx.get(f"{server.url}/openapi.json").json()
    assert command.stdout.split()[1] == status["version"] == api["info"]["version"] == document()["info"]["version"]
    assert status["version"] == __version__
    assert f'version="{__version__}"' in metrics
