"""From what encoders see to logits: one linear layer, or one for every pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geozoo.ssl.augment import Geometry
    from geozoo.ssl.experiment import AugmentationSettings
    from geozoo.ssl.views import Views
    from geozoo.weights.draws import RowDraws


class Encoders(nn.Module):
    """The encoders under one or several heads, trained or frozen.

    Attributes:
        views: their features are put side by side.
        frozen: whether the encoders keep their weights; they then stay in evaluation mode, BatchNorm included.
    """

    def __init__(self, views: Views, *, frozen: bool) -> None:
        super().__init__()
        self.views = views
        self.frozen = frozen
        views.requires_grad_(not frozen)

    def train(self, mode: bool = True) -> Encoders:
        """Training mode, but for frozen encoders."""
        super().train(mode and not self.frozen)
        return self

    @property
    def dim(self) -> int:
        """Width of the features."""
        return self.views.dim

    def features(self, pixels: Mapping[str, Tensor], geometry: Geometry) -> Tensor:
        """Vectors of all views ``[n, sum of widths]``."""
        return torch.cat([view(geometry(view.stack(pixels))) for _, view in self.views.each()], dim=1)

    def drawn_features(
        self,
        pixels: Mapping[str, Tensor],
        geometry: Geometry,
        augmentation: AugmentationSettings,
        draws: RowDraws,
    ) -> Tensor:
        """The same of pixels as training sees them: moved, recoloured, one of several sensors now and then missing."""
        seen = drop_sensors(pixels, augmentation.drop_sensor, draws) if augmentation.drop_sensor else pixels
        drawn = [view(view.draw(seen, geometry, augmentation, draws)) for _, view in self.views.each()]
        return torch.cat(drawn, dim=1)


def drop_sensors(pixels: Mapping[str, Tensor], probability: float, draws: RowDraws) -> dict[str, Tensor]:
    """Set one sensor of a chip to NaN, not measured, with a probability; never the only one."""
    draw = draws.uniform(2)
    victim = torch.where(draw[:, 0] < probability, (draw[:, 1] * len(pixels)).long(), -1)
    if len(pixels) < 2:
        return dict(pixels)
    return {
        name: one.masked_fill((victim == number)[:, None, None, None], torch.nan)
        for number, (name, one) in enumerate(pixels.items())
    }


def linear_head(dim: int, classes: int, *, standardise: bool) -> nn.Module:
    """A linear layer; for frozen features preceded by BatchNorm without parameters, so that rates compare."""
    layers = [nn.BatchNorm1d(dim, affine=False)] if standardise else []
    return nn.Sequential(*layers, nn.Linear(dim, classes))
