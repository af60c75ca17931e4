"""Compare the API with that of the last release; a breaking change requires a major version: `python -m scripts.check_api`.

The released document is `docs/openapi.json` at the release's tag, written by `scripts.release`.
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
    """Return the changes that break a client of the last release, unless the next version is a major one."""
    last = last_release(root)
    if last is None:
        return []
    changes = breaking(json.loads(git("show", f"v{last}:{DOCUMENT}", root=root)), new)
    following = next_release(root)
    return [] if following and following.major > last.major else changes


def main() -> None:
    """Print the unannounced breaking changes; exit 1 if there are any."""
    if found := problems(document()):
        advice = "Restore the API, or announce the change: 'feat!: …' or a footer 'BREAKING CHANGE: …' makes a major version."
        sys.exit("\n".join(["breaking changes since the last release:", *found, advice]))
    print("no unannounced breaking changes since the last release")


if __name__ == "__main__":
    main()
