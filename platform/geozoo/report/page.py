"""Self-contained HTML pages: one template each, one style for all."""

from __future__ import annotations

import base64
import importlib.resources
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Picture:
    """A figure for the page: a heading, what it shows in words (also its alternative text), and its SVG."""

    heading: str
    text: str
    svg: str

    @property
    def source(self) -> str:
        """The image as a ``data:`` URL, so that the page loads nothing."""
        return f"data:image/svg+xml;base64,{base64.b64encode(self.svg.encode()).decode()}"


def render_page(template: str, **values: Any) -> str:
    """Fill in a template of this package; every text is escaped, and a value that is missing raises."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_read), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template).render(**values)


def _read(name: str) -> str:
    return importlib.resources.files("geozoo.report").joinpath(name).read_text(encoding="utf-8")
