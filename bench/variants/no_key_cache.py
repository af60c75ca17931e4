"""The service as it is when it holds no keys of persons: each is asked for when a person is read."""

import sys

from peopleinfo.__main__ import main
from peopleinfo.crypto import keyring

keyring._HELD = 0  # noqa: SLF001 - that is what is changed
sys.exit(main())
