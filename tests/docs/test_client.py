"""docs/client.md is true: its blocks are run, one after the other, against a real server."""

from __future__ import annotations

import re
from pathlib import Path

from tests.http.serving import serving

PAGE = Path(__file__).parents[2] / "docs" / "client.md"


def test_the_examples_run_as_they_stand(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 6
    with serving(tmp_path) as server:
        program = "".join(blocks).replace("http://127.0.0.1:3000", server.url)
        exec(compile(program, PAGE.name, "exec"), {})
