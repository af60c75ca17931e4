"""The service without decrypted pages in memory: every read of an encrypted store decrypts its records."""

import sys

from peopleinfo.__main__ import main
from peopleinfo.stores.sqlite import decrypted_pages

decrypted_pages.MAX_CACHED_SIZE = 0  # type: ignore[misc]
sys.exit(main())
