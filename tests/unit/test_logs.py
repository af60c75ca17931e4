"""What libraries say is handed on without values, at the level that it deserves."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging
from peopleinfo.errors import StoreUnavailable
from peopleinfo.telemetry import logs
logs.configure("info")
try:
    raise {error}("Anna Schmidt")
except Exception:
    logging.getLogger("library").exception("something about %s", "Anna Schmidt")
"""


@pytest.mark.parametrize(("error", "level"), [("ValueError", "error"), ("StoreUnavailable", "warning")])
def test_an_answer_that_breaks_off_for_want_of_the_store_is_a_warning_and_all_else_an_error(
    error: str, level: str
) -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM.format(error=error)], capture_output=True, check=True)
    line = json.loads(said.stdout)
    assert (line["level"], line["error"], line["template"]) == (level, error, "something about %s")
    assert b"Anna" not in said.stdout + said.stderr
