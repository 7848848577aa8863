"""From what encoders see to logits: what heads read, and which head a task has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from geozoo.ssl.downstream.decoders import MapHead, SwinDecoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geozoo.ssl.augment import Geometry
    from geozoo.ssl.downstream.experiment import Task
    from geozoo.ssl.experiment import AugmentationSettings
    from geozoo.ssl.views import Views
    from geozoo.weights.draws import RowDraws


Features = Tensor | list[list[Tensor]]
"""Vectors of all views side by side ``[n, sum of widths]``, or for pixels the maps of each view, fine to coarse."""


class Encoders(nn.Module):
    """The encoders under one or several heads, trained or frozen.

    Attributes:
        views: what is encoded.
        frozen: whether the encoders keep their weights; they then stay in evaluation mode, BatchNorm included.
        pixels: whether heads answer for every pixel, and so read maps.
    """

    def __init__(self, views: Views, *, frozen: bool, pixels: bool = False) -> None:
        super().__init__()
        self.views = views
        self.frozen = frozen
        self.pixels = pixels
        views.requires_grad_(not frozen)

    def train(self, mode: bool = True) -> Encoders:
        """Training mode, but for frozen encoders."""
        super().train(mode and not self.frozen)
        return self

    def features(self, pixels: Mapping[str, Tensor], geometry: Geometry) -> Features:
        """What heads read."""
        return self._features([geometry(view.stack(pixels)) for _, view in self.views.each()])

    def drawn_features(
        self,
        pixels: Mapping[str, Tensor],
        geometry: Geometry,
        augmentation: AugmentationSettings,
        draws: RowDraws,
    ) -> Features:
        """The same of pixels as training sees them: moved, recoloured, one of several sensors now and then missing."""
        seen = drop_sensors(pixels, augmentation.drop_sensor, draws) if augmentation.drop_sensor else pixels
        return self._features([view.draw(seen, geometry, augmentation, draws) for _, view in self.views.each()])

    def _features(self, drawn: list[Tensor]) -> Features:
        pairs = [(view, stacked) for (_, view), stacked in zip(self.views.each(), drawn, strict=True)]
        if self.pixels:
            return [view.pyramid(stacked) for view, stacked in pairs]
        return torch.cat([view(stacked) for view, stacked in pairs], dim=1)


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


def make_head(views: Views, task: Task, classes: int, size: int, *, frozen: bool) -> nn.Module:
    """The head of a task: a linear layer; for pixels one at every place, or where all encoders are Swins a decoder.

    Args:
        views: the encoders under it.
        task: what it answers.
        classes: how many.
        size: side of a chip in pixels, as the encoders see it.
        frozen: whether the encoders are.
    """
    if task != "segmentation":
        return linear_head(views.dim, classes, standardise=frozen)
    stages = [view.encoder.stages for _, view in views.each()]
    if all(stages):
        return SwinDecoder(stages, classes, size)
    return MapHead(views.dim, classes, size, standardise=frozen)


def linear_head(dim: int, classes: int, *, standardise: bool) -> nn.Module:
    """A linear layer; for frozen features preceded by BatchNorm without parameters, so that rates compare."""
    layers = [nn.BatchNorm1d(dim, affine=False)] if standardise else []
    return nn.Sequential(*layers, nn.Linear(dim, classes))
