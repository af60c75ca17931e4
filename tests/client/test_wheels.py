"""The wheels of client and server install into separate environments, and work together."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from peopleinfo import __version__
from tests.http.serving import started
from tests.package_index import pip_install

ROOT: Final = Path(__file__).parents[2]
PROJECTS: Final = {"peopleinfo": ROOT, "peopleinfo-client": ROOT / "clients" / "python"}
PROGRAM: Final = Path(__file__).with_name("sample_program.py")
HTTPX: Final = {"anyio", "certifi", "h11", "httpcore", "httpx", "idna", "sniffio", "typing_extensions"}
"""httpx and its dependencies, in any version of Python."""

Build = Callable[[str], Path]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    def build(project: str) -> Path:
        command = [sys.executable, "-m", "flit_core.wheel", f"--outdir={tmp_path / project}", str(PROJECTS[project])]
        subprocess.run(command, check=True, capture_output=True)
        (wheel,) = (tmp_path / project).glob("*.whl")
        return wheel

    return build


def environment(folder: Path) -> Path:
    """Create an empty virtual environment, and return its interpreter."""
    venv.create(folder)
    return folder / "bin" / "python"


def locked_versions(folder: Path) -> Path:
    """Write the locked versions as constraints for pip, without hashes, which pip does not accept for a local wheel."""
    lock = (ROOT / "requirements" / "dev.lock").read_text()
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(re.findall(r"^[\w.\[\]-]+==[^\s;\\]+(?: *;[^\\\n]*)?", lock, re.MULTILINE)))
    return constraints


def installed_packages(python: Path) -> set[str]:
    code = "import importlib.metadata as m; print(*(d.metadata['Name'] for d in m.distributions()))"
    return set(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("project", PROJECTS)
def test_wheel_has_the_version_the_license_and_a_type_marker(project: str, build: Build) -> None:
    wheel = build(project)
    package = project.replace("-", "_")
    files = set(zipfile.ZipFile(wheel).namelist())
    assert wheel.name == f"{package}-{__version__}-py3-none-any.whl"
    assert f"{package}/py.typed" in files
    assert f"{package}-{__version__}.dist-info/licenses/LICENSE" in files


def test_license_of_the_client_is_that_of_the_repository() -> None:
    assert (PROJECTS["peopleinfo-client"] / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_program_that_uses_the_installed_client_passes_strict_type_checks(tmp_path: Path, build: Build) -> None:
    python = environment(tmp_path / "environment")
    pip_install("--no-deps", "--no-index", build("peopleinfo-client"), python=python)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--python-executable={python}"]
    done = subprocess.run(
        [*mypy, f"--cache-dir={tmp_path / 'cache'}", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "Success: no issues found in 1 source file\n"


def test_wheels_of_client_and_server_work_in_separate_environments(tmp_path: Path, build: Build) -> None:
    client, server = environment(tmp_path / "client"), environment(tmp_path / "server")
    constraints = f"--constraint={locked_versions(tmp_path)}"
    pip_install(constraints, "--only-binary=:all:", build("peopleinfo-client"), python=client)
    pip_install(constraints, "--only-binary=:all:", "--no-compile", build("peopleinfo"), python=server)
    assert {"peopleinfo-client", "httpx"} <= installed_packages(client) <= HTTPX | {"peopleinfo-client"}
    assert "peopleinfo-client" not in installed_packages(server)
    with started(tmp_path, command=(str(server.with_name("peopleinfo")), "serve")) as running:
        done = subprocess.run([client, PROGRAM, running.url], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("done\n", "")
