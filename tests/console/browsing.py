"""Windows of a real browser, and what must not happen in them."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tests.http.serving import HANGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, ViewportSize, WebError

SIZES: Final[dict[str, ViewportSize]] = {
    "desktop": {"width": 1280, "height": 860},
    "phone": {"width": 390, "height": 844},
}
# The browser's own note of an answer that is no 2xx, of which a page knows, and which it cannot keep back.
_NOTED: Final = "Failed to load resource"


def chromium() -> str | None:
    """Return where the browser is."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


def missing() -> str | None:
    """Say what these tests need that is not here. In CI everything must be there."""
    problem = None if chromium() else "the console's tests need Chromium: on Debian and Ubuntu, apt install chromium"
    assert not (problem and os.environ.get("CI")), problem
    return problem


class _Watch:
    """Writes down what goes wrong in a window of the server at `url`."""

    def __init__(self, *urls: str) -> None:
        self._ours = (*urls, "blob:", "data:")
        self.wrong: list[str] = []

    def said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and _NOTED not in message.text:
            self.wrong.append(message.text)

    def failed(self, error: WebError) -> None:
        self.wrong.append(str(error.error))

    def asked(self, request: Request) -> None:
        if not request.url.startswith(self._ours):
            self.wrong.append(f"a request to {request.url}")

    def opened(self, dialog: Dialog) -> None:
        if dialog.type != "beforeunload":  # which a page may show that has something unsaved
            self.wrong.append(f"a dialog: {dialog.message}")
        dialog.accept()


@contextmanager
def window(
    browser: Browser, url: str, size: str = "desktop", *, dark: bool = False, also: tuple[str, ...] = ()
) -> Iterator[Page]:
    """Open a window; at its end nothing may have gone wrong in it: no error, no breach of the policy, no word to another host, but those in `also`."""
    phone = size == "phone"
    context = browser.new_context(
        base_url=url, viewport=SIZES[size], is_mobile=phone, has_touch=phone, color_scheme="dark" if dark else "light"
    )
    context.set_default_timeout(HANGS * 1000)
    watch = _Watch(url, *also)
    context.on("console", watch.said)
    context.on("weberror", watch.failed)
    context.on("dialog", watch.opened)
    context.on("request", watch.asked)
    yield context.new_page()
    context.close()
    assert watch.wrong == [], watch.wrong
