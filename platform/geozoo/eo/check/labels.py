"""Certain checks of masks: whole numbers, known codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.eo.check.finding import Finding, Undecided
from geozoo.eo.tiles import IGNORE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from geozoo.eo.check.opened import OpenedTile


def check_label_type(tile: OpenedTile) -> Iterator[Finding]:
    """Masks whose codes are not whole numbers, as resampling leaves them, or are stored as floats."""
    for file in tile.of_sensor("labels"):
        for band, pixels in zip(file.bands, file.pixels, strict=True):
            if pixels.dtype.kind != "f":
                continue
            fractional = _fractions(pixels).size
            if fractional:
                value = f"{fractional:,} of {pixels.size:,} codes are fractions, as {_fractions(pixels)[0]:g}"
                remedy = "resample labels by nearest neighbour"
            else:
                value, remedy = f"codes are stored as {pixels.dtype}", "store them as uint8"
            yield Finding("label_type", "certain", tile.tile.id, str(file.file), band, value, remedy)


def check_label_code(tile: OpenedTile) -> Iterator[Finding | Undecided]:
    """Codes that no class has; 255 is the code to ignore."""
    for file in tile.of_sensor("labels"):
        if tile.codes is None:
            yield Undecided("label_code", tile.tile.id, "nothing tells the classes")
            continue
        for band, pixels in zip(file.bands, file.pixels, strict=True):
            codes, counts = np.unique(pixels[pixels == np.round(pixels)], return_counts=True)
            unknown = ((codes < 0) | (codes >= tile.codes)) & (codes != IGNORE)
            if unknown.any():
                listed = ", ".join(f"{code:g} ({count:,} pixels)" for code, count in _first(codes, counts, unknown))
                value = f"code {listed} beyond the {tile.codes} that are known"
                remedy = f"correct the mask, or recode to {IGNORE} what counts for nothing"
                yield Finding("label_code", "certain", tile.tile.id, str(file.file), band, value, remedy)


def _first(codes: NDArray[Any], counts: NDArray[Any], chosen: NDArray[Any]) -> list[tuple[float, int]]:
    return list(zip(codes[chosen][:3].tolist(), counts[chosen][:3].tolist(), strict=True))


def _fractions(pixels: NDArray[Any]) -> NDArray[Any]:
    found: NDArray[Any] = pixels[np.isfinite(pixels) & (pixels != np.round(pixels))]
    return found
