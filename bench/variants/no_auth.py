"""The service without authentication and rate limits, for comparison."""

import sys

from peopleinfo.__main__ import main
from peopleinfo.auth.principal import ANONYMOUS
from peopleinfo.http.middleware.auth import AuthMiddleware


async def _let_in(_self, req, _resp, _resource, _params):
    """Accept every request."""
    req.context.principal = ANONYMOUS


AuthMiddleware.process_resource = _let_in
sys.exit(main())
