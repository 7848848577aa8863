"""From stored numbers to what an encoder sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geozoo.eo.chips import Chips
    from geozoo.ssl.split import Rows

SAMPLE = 20_000
"""Most chips that statistics are measured on; of larger training parts a random sample."""
DECIBELS = (-25.0, 0.0)
REFLECTANCE = (0.0, 10_000.0)
_READ = 512
_TINY = 1e-5


class DatasetScale(nn.Module):
    """``(x - mean) / std`` of each band; what was not measured (NaN) becomes 0, the mean."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, pixels: Tensor) -> Tensor:
        """Scale ``[n, bands, height, width]``."""
        scaled = (pixels - self.mean[:, None, None]) / self.std[:, None, None]
        return torch.nan_to_num(scaled)


class ChipMaxScale(nn.Module):
    """The published scaling: clip, then divide every band of every chip by its own maximum plus 1e-5.

    Sentinel-1 is clipped to [-25, 0] dB and raised by 25, all else clipped to [0, 10,000]. Absolute radiometry is
    lost, which is why `DatasetScale` is the default.

    Args:
        is_radar: whether each band is Sentinel-1.
    """

    def __init__(self, is_radar: Sequence[bool]) -> None:
        super().__init__()
        low = [DECIBELS[0] if radar else REFLECTANCE[0] for radar in is_radar]
        high = [DECIBELS[1] if radar else REFLECTANCE[1] for radar in is_radar]
        self.register_buffer("low", torch.tensor(low), persistent=False)
        self.register_buffer("high", torch.tensor(high), persistent=False)

    low: Tensor
    high: Tensor

    def forward(self, pixels: Tensor) -> Tensor:
        """Scale ``[n, bands, height, width]``; the result lies in [0, 1]."""
        low, high = self.low[:, None, None], self.high[:, None, None]
        filled = torch.where(torch.isnan(pixels), low, pixels)
        raised = torch.minimum(torch.maximum(filled, low), high) - low
        return raised / (raised.amax((2, 3), keepdim=True) + _TINY)


def measure_bands(
    chips: Chips, rows: Rows, bands: Mapping[str, Sequence[str]], seed: int
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of every band, in the order of ``bands``, over the pixels that were measured.

    A band that never changes has the standard deviation 1.
    """
    from geozoo.eo.bands import find_sensor

    some = rows if len(rows) <= SAMPLE else np.sort(np.random.default_rng(seed).choice(rows, SAMPLE, replace=False))
    means: list[float] = []
    stds: list[float] = []
    for modality, names in bands.items():
        nodata = find_sensor(chips.header.arrays[modality].sensor).nodata
        count, total, square = (np.zeros(len(names)) for _ in range(3))
        for start in range(0, len(some), _READ):
            pixels = chips.read(modality, some[start : start + _READ], names).astype(np.float64)
            seen = np.isfinite(pixels) if nodata is None else np.isfinite(pixels) & (pixels != nodata)
            values = np.where(seen, pixels, 0.0)
            count += seen.sum((0, 2, 3))
            total += values.sum((0, 2, 3))
            square += np.square(values).sum((0, 2, 3))
        mean = total / np.maximum(count, 1)
        std = np.sqrt(np.maximum(square / np.maximum(count, 1) - np.square(mean), 0.0))
        means += mean.tolist()
        stds += np.where(std > 0, std, 1.0).tolist()
    return means, stds
