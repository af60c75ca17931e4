"""The service without a cache of person keys: every read of a person unwraps its key."""

import sys

from peopleinfo.__main__ import main
from peopleinfo.crypto import keyring
from peopleinfo.stores.sqlite import decrypted_pages

keyring._MAX_CACHED_KEYS = 0  # type: ignore[misc]  # noqa: SLF001 - the cache under test
decrypted_pages.MAX_CACHED_SIZE = 0  # type: ignore[misc]
sys.exit(main())
