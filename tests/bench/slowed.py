"""The service with responses that need more CPU time."""

from typing import Any

from peopleinfo.__main__ import main
from peopleinfo.http import app

_note = app.AccessLogMiddleware._record


def _note_slowly(*rest: Any) -> None:
    """Record a request after ten thousand extra iterations."""
    for _ in range(10_000):
        pass
    _note(*rest)


if __name__ == "__main__":
    app.AccessLogMiddleware._record = _note_slowly  # type: ignore[method-assign, assignment]
    main()
