"""How long tests wait, and what they may start."""

from typing import Final

HANG_TIMEOUT: Final = (
    300  # seconds after which something that should have happened never will, however busy the machine is
)
FAST_LANE: Final = (
    "TESTS_ARE_FAST"  # variable of the fast lane (tests/fast_lane.py): no emulator and no Redis is started
)
