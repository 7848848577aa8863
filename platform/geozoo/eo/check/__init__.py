"""Validators: pure functions over the files and pixels of a tile, or over the facts of all tiles, by name."""

from geozoo.eo.check.finding import Finding, Undecided
from geozoo.eo.check.run import check_collection

__all__ = ["Finding", "Undecided", "check_collection"]
