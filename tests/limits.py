"""Limits of tests: maximum waits, and whether servers may start."""

from typing import Final

HANG_TIMEOUT: Final = 300  # seconds; ends a hanging test and is never reached otherwise, even on a busy machine
FAST_LANE: Final = "TESTS_ARE_FAST"  # environment variable of the fast lane (tests/fast_lane.py), which starts no emulator and no Redis
