"""The zoo browser: a page over one or many zoos, served here or shipped with a published zoo."""

from geozoo.report.browser.server import BrowserServer
from geozoo.report.browser.shelves import Shelf, open_shelf
from geozoo.report.browser.shipping import browser_pages

__all__ = ["BrowserServer", "Shelf", "browser_pages", "open_shelf"]
