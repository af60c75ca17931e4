"""The service without metrics of requests and without its access log, to be measured beside the real one."""

import sys

from peopleinfo.__main__ import main
from peopleinfo.http import app


def _nothing(*_):
    """Note nothing."""


app.AccessLogMiddleware._note = _nothing  # noqa: SLF001 - what is to be measured
sys.exit(main())
