"""The landscape of a zoo: one self-contained HTML page of its analyses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geozoo.report.landscape_sections import SECTIONS
from geozoo.report.page import render_page

if TYPE_CHECKING:
    from geozoo.hyper.analysis.findings import Landscape
    from geozoo.report.landscape_sections import Section

TEMPLATE = "landscape.html.jinja"


@dataclass(frozen=True)
class LandscapePage:
    """The page of a landscape: its sections, in order, and its HTML."""

    sections: tuple[Section, ...]
    html: str


def render_landscape(landscape: Landscape) -> LandscapePage:
    """Draw all figures and put them on one page, which makes no request and needs no script.

    An analysis that was left out has a sentence that says why in the place of its figures.
    """
    sections = tuple(make(landscape) for make in SECTIONS)
    sample, zoo = landscape.sample, landscape.zoo
    epochs = ", ".join(map(str, sample.epochs))
    sentences = [
        f"{len(landscape.population.members):,} committed members of the zoo {zoo.header.name} with finite weights"
        f" ({landscape.population.diverged:,} diverged members are left out).",
        f"Maps and neighbourhoods are of {len(sample.members):,} members at epochs {epochs}: "
        f"{len(sample.members) * len(sample.epochs):,} states, which is at most 4,000 here.",
    ]
    html = render_page(TEMPLATE, name=zoo.header.name, url=zoo.url, sentences=sentences, sections=sections)
    return LandscapePage(sections, html)
