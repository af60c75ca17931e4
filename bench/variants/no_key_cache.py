"""The service without a cache of person keys: every read of a person unwraps its key."""

import sys

from peopleinfo.__main__ import main
from peopleinfo.crypto import keyring

keyring._HELD = 0  # noqa: SLF001 - the cache under test
sys.exit(main())
