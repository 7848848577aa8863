"""A headless Chromium for tests of pages, where there is one."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("chromium", "chromium-browser", "google-chrome")
READY_MS = 30_000


def find_chromium() -> str | None:
    """The path of an installed Chromium or Chrome."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def launch(playwright: Any, path: str) -> Any:
    """Start it; root, as in a container, has no sandbox."""
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [])


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A running browser; tests that ask for it are skipped where none is installed.

    It ends with the module, since an event loop runs in this thread until then.
    """
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium is installed: install the package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launch(playwright, path)
        yield browser
        browser.close()


def wait_until(page: Any, expression: str) -> None:
    """Wait until an expression holds; the page's own policy forbids playwright's way, which evaluates text in it."""
    deadline = time.monotonic() + READY_MS / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"this does not come true: {expression}"
        page.wait_for_timeout(30)


def open_page(context: Any, url: str) -> Any:
    """Open the zoo browser and wait until all its plots are there."""
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("html[data-ready]", timeout=READY_MS)
    return page
