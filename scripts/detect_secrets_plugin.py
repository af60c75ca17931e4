"""A detect-secrets plugin for API keys of PeopleInfo: `make audit` scans the repository for them."""

import re
from collections.abc import Generator

from detect_secrets.plugins.base import RegexBasedDetector

from peopleinfo.auth.api_keys import is_well_formed


class PeopleInfoKeyDetector(RegexBasedDetector):
    """Detects `pi_` and 49 letters and digits, of which the last ones are a checksum."""

    secret_type = "PeopleInfo API key"  # noqa: S105 - the name of the secret type
    denylist = (re.compile(r"pi_[0-9A-Za-z]{49}"),)

    def analyze_string(self, string: str) -> Generator[str, None, None]:
        """Yield the API keys in a text."""
        yield from filter(is_well_formed, super().analyze_string(string))
