"""Compare the API with the last release's; what breaks a client needs a major version: `python -m scripts.check_api`.

The released document is `docs/openapi.json` of the release's tag, where `scripts.release` writes it.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from peopleinfo.http.openapi import document
from scripts.commits import ROOT, git, last_release
from scripts.next_version import next_release
from scripts.openapi_diff import breaking

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = "docs/openapi.json"


def problems(new: dict[str, Any], root: Path = ROOT) -> list[str]:
    """Name what breaks a client of the last release, unless the next one is a major one."""
    last = last_release(root)
    if last is None:
        return []
    changes = breaking(json.loads(git("show", f"v{last}:{DOCUMENT}", root=root)), new)
    following = next_release(root)
    return [] if following and following.major > last.major else changes


def main() -> None:
    """Print what breaks a client and was not announced; exits 1 when something does."""
    if found := problems(document()):
        advice = "Keep the API as it was, or announce it: 'feat!: …', or a footer 'BREAKING CHANGE: …', makes a major version."
        sys.exit("\n".join(["this breaks clients of the last release:", *found, advice]))
    print("no client of the last release breaks unannounced")


if __name__ == "__main__":
    main()
