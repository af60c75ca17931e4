"""Windows of a real browser, and what must not happen in them."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from tests.http.serving import HANG_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import (
        Browser,
        BrowserContext,
        ConsoleMessage,
        Dialog,
        Page,
        Request,
        ViewportSize,
        WebError,
    )

SIZES: Final[dict[str, ViewportSize]] = {
    "desktop": {"width": 1280, "height": 860},
    "phone": {"width": 390, "height": 844},
}
FLAGS: Final = ["--no-sandbox", "--process-per-site"]
# The browser's own note of an answer that is no 2xx, of which a page knows, and which it cannot keep back.
_NOTED: Final = "Failed to load resource"


def chromium() -> str | None:
    """Return where the browser is."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


def missing() -> str | None:
    """Return what these tests need and how to provide it; None when they can run."""
    return None if chromium() else "needs Chromium (Debian: chromium)"


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


_Key = tuple["Browser", str, str, bool]
_contexts: dict[_Key, tuple[BrowserContext, Page]] = {}  # of the latest server, each with a page that keeps its process


@contextmanager
def window(
    browser: Browser, url: str, size: str = "desktop", *, dark: bool = False, also: tuple[str, ...] = ()
) -> Iterator[Page]:
    """Open a window; at its end nothing may have gone wrong in it: no error, no breach of the policy, no word to another host, but those in `also`.

    Windows of one server and size follow one another in one context, whose storage is cleared in between: a new one costs the browser a
    process and half a second of CPU.
    """
    context, first = _context(browser, url, size, dark=dark)
    watch = _Watch(url, *also)
    listeners: dict[Any, Callable[[Any], None]] = {
        "console": watch.said, "weberror": watch.failed, "dialog": watch.opened, "request": watch.asked,
    }  # fmt: skip
    for event, listener in listeners.items():
        context.on(event, listener)
    try:
        yield context.new_page()
    finally:
        for page in context.pages:
            if page != first:
                page.close()
        for event, listener in listeners.items():
            context.remove_listener(event, listener)
        _clear(context, first, (url, *also))
    assert watch.wrong == [], watch.wrong


def scroll_to(page: Page, rows: int) -> None:
    """Scroll down until the list has so many rows."""
    patience = monotonic() + HANG_TIMEOUT
    while (shown := page.locator(".row").count()) < rows:
        assert monotonic() < patience, f"{shown} of {rows} rows"
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.wait_for_timeout(50)


def close_contexts() -> None:
    """Close the contexts of the latest server."""
    while _contexts:
        _contexts.popitem()[1][0].close()


def _context(browser: Browser, url: str, size: str, *, dark: bool) -> tuple[BrowserContext, Page]:
    key = (browser, url, size, dark)
    if any((browser, url) != known[:2] for known in _contexts):
        close_contexts()
    if key not in _contexts:
        phone = size == "phone"
        context = browser.new_context(
            base_url=url,
            viewport=SIZES[size],
            is_mobile=phone,
            has_touch=phone,
            color_scheme="dark" if dark else "light",
        )
        context.set_default_timeout(HANG_TIMEOUT * 1000)
        page = context.new_page()
        page.goto("/status")
        _contexts[key] = context, page
    return _contexts[key]


def _clear(context: BrowserContext, page: Page, origins: tuple[str, ...]) -> None:
    """Clear the cookies, the storage and the cache of a context."""
    context.clear_cookies()
    session = context.new_cdp_session(page)
    for origin in origins:
        session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
    session.send("Network.clearBrowserCache")
    session.detach()
