"""The README is true: its tour is run, and its tables name what there is."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from peopleinfo.http.operations import OPERATIONS
from peopleinfo.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
ADDRESS = "http://127.0.0.1:3000"

# What differs from run to run, and is only held to its form.
VARYING = {
    "an id": r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])",
    "a time": r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z",
    "a request id": r"[0-9a-f]{12}-[0-9a-f]+",
}


def steps() -> Iterator[tuple[str, str]]:
    """Yield each command of the tour with what the README says it prints."""
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, answer = step.partition("\n")
            yield command, answer.strip()


def fixed(text: str) -> str:
    for name, form in VARYING.items():
        text = re.sub(form, f"<{name}>", text)
    return text.strip()


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl (Debian: curl)")
def test_every_command_of_the_tour_answers_as_the_readme_says(tmp_path: Path) -> None:
    for name in ("examples",):
        (tmp_path / name).symlink_to(ROOT / name)
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    starter = binaries / "peopleinfo"
    starter.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m peopleinfo "$@"\n')
    starter.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    serve = [str(starter), "serve", "--port", "0"]
    with subprocess.Popen(
        serve, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stderr
            address = re.search(r"http://\S+", server.stderr.readline())
            assert address
            person_id = ""
            for command, answer in steps():
                here = command.replace(ADDRESS, address[0]).replace("e953cc6a7f986f7bb8466799a8eb167a", person_id)
                ran = subprocess.run(
                    here, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
                )
                assert fixed(ran.stdout + ran.stderr) == fixed(answer), command
                person_id = person_id or re.findall(VARYING["an id"], ran.stdout)[0]
        finally:
            server.terminate()


def test_every_setting_is_in_the_readme_with_its_default() -> None:
    for field in dataclasses.fields(Settings):
        assert f"| `{PREFIX}{field.name.upper()}` | `{field.default}` |" in README


def test_every_path_of_the_api_is_in_the_readme() -> None:
    for operation in OPERATIONS:
        assert operation.path.replace("person_id", "id") in README
