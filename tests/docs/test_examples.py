"""The commands and programs of the README and of the pages run as written."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import httpx
import pytest

from peopleinfo.settings import PREFIX
from tests.http.serving import HANG_TIMEOUT, serving

ROOT = Path(__file__).parents[2]
ADDRESS = "http://127.0.0.1:3000"
EXAMPLE_ID = "e953cc6a7f986f7bb8466799a8eb167a"
PAGES = ["README.md", "docs/tutorial-api.md", "docs/import-and-export.md"]
MAX_README_LINES = 120

# Values that differ from run to run: only their form is compared.
VARYING = {
    "an id": r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])",
    "a time": r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z",
    "a request id": r"[0-9a-f]{12}-[0-9a-f]+",
}


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a page, also those in tabs."""
    text = (ROOT / page).read_text()
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE)
    return [dedent(block) for _, block in found]


def steps(page: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a page with the output that the page shows."""
    for block in blocks(page, "console"):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = step.partition("\n")
            yield command, output.strip()


def normalized(text: str) -> str:
    for name, form in VARYING.items():
        text = re.sub(form, f"<{name}>", text)
    return text.strip()


@contextmanager
def workspace(folder: Path) -> Iterator[tuple[dict[str, str], str]]:
    """Serve a new store in a folder; yield the environment for commands there, and the URL."""
    (folder / "examples").symlink_to(ROOT / "examples")
    binaries = folder / ".venv" / "bin"
    binaries.mkdir(parents=True)
    starter = binaries / "peopleinfo"
    starter.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m peopleinfo "$@"\n')
    starter.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    serve = [str(starter), "serve", "--port", "0"]
    with subprocess.Popen(
        serve, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stderr
            address = re.search(r"http://\S+", server.stderr.readline())
            assert address
            yield environment, address[0]
        finally:
            server.terminate()


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl (Debian: curl)")
@pytest.mark.parametrize("page", PAGES)
def test_every_command_prints_the_output_on_the_page(page: str, tmp_path: Path) -> None:
    person_id = ""
    with workspace(tmp_path) as (environment, url):
        for command, output in steps(page):
            actual = command.replace(ADDRESS, url).replace(EXAMPLE_ID, person_id)
            ran = subprocess.run(
                actual, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert normalized(ran.stdout + ran.stderr) == normalized(output), command
            person_id = person_id or next(iter(re.findall(VARYING["an id"], ran.stdout)), "")


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial-api.md", "docs/client.md"])
def test_python_examples_run_on_a_store_with_similar_records(page: str, tmp_path: Path) -> None:
    program = "".join(blocks(page, "python"))
    assert "peopleinfo_client" in program
    with serving(tmp_path) as server:
        for _ in range(2):
            person = {"person_name": "Anna", "person_surname": "Müller"}
            httpx.post(f"{server.url}/v1/people", json=person, timeout=HANG_TIMEOUT).raise_for_status()
        exec(compile(program.replace(ADDRESS, server.url), page, "exec"), {})


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js (Debian: nodejs)")
def test_javascript_examples_print_success(tmp_path: Path) -> None:
    program = "".join(blocks("docs/tutorial-api.md", "javascript"))
    with serving(tmp_path) as server:
        script = tmp_path / "tutorial.mjs"
        script.write_text(program.replace(ADDRESS, server.url))
        ran = subprocess.run(["node", str(script)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert re.findall(r"^\d{3}", ran.stdout, re.MULTILINE) == ["201", "200", "422", "204"]


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= MAX_README_LINES
