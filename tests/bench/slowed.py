"""The service, every answer of which takes more of the processor."""

from typing import Any

from peopleinfo.__main__ import main
from peopleinfo.http import app

_note = app.AccessLogMiddleware._record


def _slowly(*rest: Any) -> None:
    """Do what is to be done, and count to ten thousand."""
    for _ in range(10_000):
        pass
    _note(*rest)


if __name__ == "__main__":
    app.AccessLogMiddleware._record = _slowly  # type: ignore[method-assign, assignment]
    main()
