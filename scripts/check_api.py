"""Compare the API with that of the last release; a breaking change requires a major version: `python -m scripts.check_api [--update]`.

The released document is `docs/openapi.json` at the release's tag, written by `scripts.release`. Before the first release, the committed
file is the baseline; `--update` writes it.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from peopleinfo.http.openapi.document import document
from scripts.commits import ROOT, git, last_release
from scripts.next_version import next_release
from scripts.openapi_diff import breaking

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = "docs/openapi.json"


def problems(new: dict[str, Any], root: Path = ROOT) -> list[str]:
    """Return the changes that break a client of the last release, unless the next version is a major one.

    Before the first release, return those that break a client of the committed document.
    """
    last = last_release(root)
    if last is None:
        return breaking(json.loads((root / DOCUMENT).read_text(encoding="utf-8")), new)
    changes = breaking(json.loads(git("show", f"v{last}:{DOCUMENT}", root=root)), new)
    following = next_release(root)
    return [] if following and following.major > last.major else changes


def text(document: dict[str, Any]) -> str:
    """Return an OpenAPI document as it is stored."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Print the unannounced breaking changes; exit 1 if there are any."""
    if sys.argv[1:] == ["--update"]:
        (ROOT / DOCUMENT).write_text(text(document()), encoding="utf-8")
        return
    if found := problems(document()):
        if last_release():
            advice = "Restore the API, or announce the change: 'feat!: …' or a footer 'BREAKING CHANGE: …' makes a major version."
        else:
            advice = (
                "Restore the API, or accept the change before the first release: python -m scripts.check_api --update"
            )
        sys.exit("\n".join(["breaking changes of the API:", *found, advice]))
    print("no unannounced breaking changes of the API")


if __name__ == "__main__":
    main()
