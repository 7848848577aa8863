"""Class codes: a published merge of them, recoding of masks, and the classes of a whole mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.eo.tiles import IGNORE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DFC_CLASSES = ("Forest", "Shrubland", "Grassland", "Wetlands", "Croplands", "Urban/Built-up", "Barren", "Water")
DFC_RECODE = (IGNORE, 0, 1, IGNORE, 2, 3, 4, 5, IGNORE, 6, 7)
"""Class number of each code of DFC2020 (1 to 10). Savanna (3) and Snow/Ice (8) count for nothing, as in the training
code of Scheibenreif et al., 2022 (HSG-AIML/SSLTransformerRS)."""
_IGBP_TO_DFC = (0, 1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 6, 8, 9, 10)
IGBP_RECODE = tuple(DFC_RECODE[code] for code in _IGBP_TO_DFC)
"""The same for codes of the IGBP land cover (1 to 17), merged to those of DFC2020 as the contest does."""

MULTILABEL_SHARE = 0.1
"""Share of the pixels from which a class is a label of its patch, after Schmitt and Wu, 2021 (arXiv:2104.00704)."""


def recode_mask(codes: NDArray[Any], recode: Sequence[int] | None) -> NDArray[np.int64]:
    """Class numbers of an array of codes, `IGNORE` for a code that ``recode`` does not reach; codes stay without it."""
    if recode is None:
        return codes.astype(np.int64)
    known = (codes >= 0) & (codes < len(recode))
    numbers = np.full(codes.shape, IGNORE, np.int64)
    numbers[known] = np.asarray(recode, np.int64)[codes[known].astype(np.int64)]
    return numbers


def majority_class(mask: NDArray[Any]) -> int:
    """The class of most pixels, the lowest among equals, and `IGNORE` where no pixel counts.

    The published code (see `DFC_RECODE`) lets ignored pixels take part, so that a tile mostly of Savanna has no class;
    here it has that of the rest.
    """
    classes, counts = np.unique(mask[mask != IGNORE], return_counts=True)
    return int(classes[counts.argmax()]) if len(classes) else IGNORE


def multilabels(mask: NDArray[Any], fraction: float = MULTILABEL_SHARE) -> tuple[int, ...]:
    """Every class that covers at least ``fraction`` of all pixels, ignored ones among them, in rising order."""
    classes, counts = np.unique(mask, return_counts=True)
    pairs = zip(classes.tolist(), counts.tolist(), strict=True)
    return tuple(int(label) for label, count in pairs if label != IGNORE and count >= fraction * mask.size)
