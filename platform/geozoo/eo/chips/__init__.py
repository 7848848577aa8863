"""The chip store: tiles cut into chips of one size once, then read in any order at the speed of the disk."""

from geozoo.eo.chips.chips import Chips, open_chips

__all__ = ["Chips", "open_chips"]
