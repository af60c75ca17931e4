"""Fuzz the readers of imports: `python -m scripts.fuzz_imports [MINUTES]`.

Every file must be read or rejected as an input, and every row must be stored, rejected or skipped. A failure prints its smallest file.
"""

from __future__ import annotations

import sys
import time

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.unit.test_any_file import ENCODINGS, MARKS, PIECES, check_any_file, mutated

EXAMPLES = 2_000  # in a round
FORMATS = (None, "csv", "ndjson", "json", "vcard", "ldif")
FUZZING = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


@FUZZING
@given(st.data(), st.sampled_from(ENCODINGS), st.sampled_from(FORMATS), st.integers(0, 2))
def fuzz(data: st.DataObject, encoding: str | None, form: str | None, kind: int) -> None:
    """Check one file: random bytes, random pieces, or a damaged file of the tests."""
    if kind == 0:
        content = data.draw(st.sampled_from(MARKS)) + data.draw(st.binary(max_size=2_000))
    elif kind == 1:
        pieces = data.draw(st.lists(st.sampled_from(PIECES), max_size=200))
        content = "".join(pieces).encode(errors="surrogateescape")
    else:
        content = mutated(data.draw)
    check_any_file(content, encoding=encoding, form=form)


def main() -> None:
    """Fuzz for some minutes (default: 10) and print the number of files."""
    end = time.monotonic() + 60 * float(sys.argv[1] if len(sys.argv) > 1 else 10)
    rounds = 0
    while time.monotonic() < end:
        fuzz()
        rounds += 1
    print(f"{rounds * EXAMPLES:,} files, no finding")


if __name__ == "__main__":
    main()
