"""How detect-secrets knows an API key of ours: `make audit` looks for them in what is committed."""

import re
from collections.abc import Generator

from detect_secrets.plugins.base import RegexBasedDetector

from peopleinfo.auth.api_keys import is_well_formed


class PeopleInfoKeyDetector(RegexBasedDetector):
    """Finds `pi_` and 49 letters and digits, of which the last are the check of the others."""

    secret_type = "PeopleInfo API key"  # noqa: S105 - what a secret is called
    denylist = (re.compile(r"pi_[0-9A-Za-z]{49}"),)

    def analyze_string(self, string: str) -> Generator[str, None, None]:
        """Yield the keys in a text."""
        yield from filter(is_well_formed, super().analyze_string(string))
