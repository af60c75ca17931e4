"""The service without request metrics and access log, for comparison."""

import sys

from peopleinfo.__main__ import main
from peopleinfo.http import app


def _nothing(*_):
    """Record nothing."""


app.AccessLogMiddleware._note = _nothing  # noqa: SLF001 - the code under test
sys.exit(main())
