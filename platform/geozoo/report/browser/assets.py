"""The built page: one HTML file, one script, one style sheet, and the licences of what is in the script."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE_NAME, LIST_NAME = "index.html", "zoos.json"
ASSETS = (PAGE_NAME, "browser/app.js", "browser/app.css", "browser/licences.txt")


def read_asset(name: str) -> bytes:
    """The bytes of one of `ASSETS`."""
    return (files("geozoo.report.browser") / "static" / name).read_bytes()


@dataclass(frozen=True)
class ListedZoo:
    """A zoo that a page is about: ``path`` is relative to the page, ``embeddings`` says whether it has their table."""

    name: str
    path: str
    embeddings: bool = False


def encode_list(zoos: Sequence[ListedZoo]) -> bytes:
    """``zoos.json``: the zoos that a page is about."""
    return json.dumps({"zoos": [asdict(zoo) for zoo in zoos]}, indent=1).encode()
