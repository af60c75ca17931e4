"""The service with responses that need more CPU time."""

from typing import Any

from peopleinfo.__main__ import main
from peopleinfo.http.fast_reads import FastReads

_respond = FastReads.respond


def _respond_slowly(*arguments: Any) -> Any:
    """Respond to a known read after ten thousand extra iterations."""
    for _ in range(10_000):
        pass
    return _respond(*arguments)


if __name__ == "__main__":
    FastReads.respond = _respond_slowly  # type: ignore[method-assign, assignment]
    main()
