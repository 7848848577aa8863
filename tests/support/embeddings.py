"""Embeddings of two views for tests of losses."""

from __future__ import annotations

import torch
from torch import Tensor


def two_views(places: int = 5, width: int = 4, noise: float = 0.7) -> tuple[Tensor, Tensor]:
    """Two views ``[places, width]`` in float64 that look alike, none of length one."""
    generator = torch.Generator().manual_seed(3)
    shared, first, second = torch.randn(3, places, width, generator=generator, dtype=torch.float64)
    return shared + noise * first, 1.5 * shared + noise * second


def two_maps(places: int = 3, channels: int = 2, height: int = 3, width: int = 4) -> tuple[Tensor, Tensor]:
    """Two views as feature maps ``[places, channels, height, width]`` in float64."""
    first, second = two_views(places, channels * height * width)
    return first.view(places, channels, height, width), second.view(places, channels, height, width)
