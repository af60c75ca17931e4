"""The service without authentication and rate limits, for comparison."""

import sys

from peopleinfo.__main__ import main
from peopleinfo.auth.authenticator import Authenticator
from peopleinfo.auth.principal import BOOTSTRAP_ADMIN
from peopleinfo.http.middleware.request_limits import RateLimiter

Authenticator.cached_principal = lambda _self, _credential: BOOTSTRAP_ADMIN
RateLimiter.charge = lambda *_: None
RateLimiter.spend = lambda *_: True
sys.exit(main())
