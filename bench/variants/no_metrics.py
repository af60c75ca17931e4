"""The service without request metrics and access log, for comparison."""

import sys

from peopleinfo.__main__ import main
from peopleinfo.telemetry.access_log import AccessLog

AccessLog.append = lambda *_: None
sys.exit(main())
