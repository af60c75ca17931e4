"""Browser windows that fail a test after errors, policy violations and requests to other hosts."""

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
# The browser logs this for every error response; pages handle these responses and cannot suppress the message.
_IGNORED: Final = "Failed to load resource"


def chromium() -> str | None:
    """Return the path of the browser, or None."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


def missing() -> str | None:
    """Return the missing requirement and how to install it, or None."""
    return None if chromium() else "needs Chromium (Debian: chromium)"


class _ProblemCollector:
    """Collects problems in a window; requests may go to `urls` only."""

    def __init__(self, *urls: str) -> None:
        self._allowed = (*urls, "blob:", "data:")
        self.problems: list[str] = []

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and _IGNORED not in message.text:
            self.problems.append(message.text)

    def on_error(self, error: WebError) -> None:
        self.problems.append(str(error.error))

    def on_request(self, request: Request) -> None:
        if not request.url.startswith(self._allowed):
            self.problems.append(f"a request to {request.url}")

    def on_dialog(self, dialog: Dialog) -> None:
        if dialog.type != "beforeunload":  # expected for unsaved input
            self.problems.append(f"a dialog: {dialog.message}")
        dialog.accept()


_Key = tuple["Browser", str, str, bool]
_contexts: dict[
    _Key, tuple[BrowserContext, Page]
] = {}  # for the latest server; the page keeps the browser process alive


@contextmanager
def window(
    browser: Browser, url: str, size: str = "desktop", *, dark: bool = False, also: tuple[str, ...] = ()
) -> Iterator[Page]:
    """Open a window and assert at its end that it had no error, no policy violation and no request to hosts outside `also`.

    Windows of one server and size share a context; its storage is cleared in between. A new context costs a process and
    half a second of CPU time.
    """
    context, base_page = _context(browser, url, size, dark=dark)
    collector = _ProblemCollector(url, *also)
    listeners: dict[Any, Callable[[Any], None]] = {
        "console": collector.on_console, "weberror": collector.on_error, "dialog": collector.on_dialog, "request": collector.on_request,
    }  # fmt: skip
    for event, listener in listeners.items():
        context.on(event, listener)
    try:
        yield context.new_page()
    finally:
        for page in context.pages:
            if page != base_page:
                page.close()
        for event, listener in listeners.items():
            context.remove_listener(event, listener)
        _clear(context, base_page, (url, *also))
    assert collector.problems == [], collector.problems


def scroll_to(page: Page, rows: int) -> None:
    """Scroll down until the list has this many rows."""
    deadline = monotonic() + HANG_TIMEOUT
    while (shown := page.locator(".row").count()) < rows:
        assert monotonic() < deadline, f"{shown} of {rows} rows"
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.wait_for_timeout(50)


def open_menu(page: Page) -> None:
    """Open the navigation on a phone; a desktop always shows it."""
    if (button := page.get_by_role("button", name="Menu")).is_visible():
        button.click()


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
