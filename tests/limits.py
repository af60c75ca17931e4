"""How long tests wait."""

from typing import Final

HANGS: Final = 300  # seconds after which something that should have happened never will, however busy the machine is
