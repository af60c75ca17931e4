"""The examples of the page on duplicate detection are those that the code computes."""

from __future__ import annotations

import re
import subprocess
import sys

from docs_site.matching_example import PAGE, updated


def test_worked_examples_are_those_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.count("<!-- example: ") == page.count("Grade: **probable**") == 2
    assert updated(page) == page, "run python -m docs_site.matching_example"


def test_program_with_the_frequencies_of_a_country_runs() -> None:
    [program] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "0.46\n"
