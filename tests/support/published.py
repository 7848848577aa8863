"""Published zoos of simulated data."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from geozoo.datasets import find_record
from geozoo.interchange.publishing.edition import Edition
from geozoo.interchange.publishing.publish import Published, publish
from geozoo.store import Zoo, create_zoo
from tests.support.zoos import make_header, make_plan, write_cohort

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.interchange.publishing.publish import Pages

ASKED: dict[str, Any] = {
    "title": "Simulated zoo",
    "version": "1.0.0",
    "license": "CC-BY-4.0",
    "authors": ["Lovelace, Ada", "An Institute"],
    "doi": "10.5281/zenodo.1234567",
    "url": None,
    "date": date(2026, 1, 2),
}
OPTIONS = ("--license", "CC-BY-4.0", "--author", "Lovelace, Ada", "--author", "An Institute", "--no-probe")
"""Options of the command; its title is the recipe's name."""

MLCROISSANT = [
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.reset_index is deprecated"),
]
"""What mlcroissant calls in its own dependencies."""


def make_edition(**other: Any) -> Edition:
    return Edition.check(**{**ASKED, **other})


def publish_simulated(zoo: Zoo, to: str | Path, pages: Pages | None = None, **other: Any) -> Published:
    """Publish without a card, which takes seconds."""
    return publish(zoo.url, to, make_edition(**other), pages=pages)


def make_eurosat_zoo(url: str | Path) -> Zoo:
    """A finished zoo of simulated data whose header says EuroSAT at 32 pixels."""
    record, header = find_record("eurosat"), make_header((0, 1), name="eurosat_simulated")
    data = {"name": "eurosat", "channels": 3, "size": 32, "classes": list(record.classes or ())}
    described = {**header.dataset, **data, "mean": list(record.mean), "std": list(record.std)}
    zoo = create_zoo(url, header.model_copy(update={"dataset": described}), make_plan(6, 2))
    for cohort in zoo.members["cohort"].unique():
        write_cohort(zoo, cohort)
    return zoo
