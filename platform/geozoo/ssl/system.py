"""What self-supervised learning trains: views, projection heads, and the loss between two views of each place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from geozoo.ssl.augment import Geometry, recolour
from geozoo.ssl.collapse import spread
from geozoo.ssl.losses.make import make_loss
from geozoo.training.distributed import gather_rows

if TYPE_CHECKING:
    from geozoo.ssl.experiment import ProjectionSettings, SslExperiment
    from geozoo.ssl.stream import ChipBatch
    from geozoo.ssl.views import View, Views
    from geozoo.training.distributed import World
    from geozoo.weights.draws import RowDraws


class ContrastiveSystem(nn.Module):
    """Two views of every chip, embedded and compared over all workers; see `geozoo.training.loop.Job.system`.

    One `View` is drawn twice with independent augmentations, through the same weights; of two views each is drawn
    once, with one geometry for both, through its own weights. Validation draws as training does, from fixed numbers.

    The terms: ``loss``, and ``spread``, the mean standard deviation of the normalised embedding's dimensions times the
    root of their number: about 1 where embeddings fill the sphere, 0 where they have collapsed (as lightly's
    ``std_of_l2_normalized``, scaled).
    """

    def __init__(self, views: Views, experiment: SslExperiment, world: World) -> None:
        super().__init__()
        self.views = views
        self.heads = nn.ModuleDict({name: _head(view.dim, experiment.projection) for name, view in views.each()})
        self.augmentation = experiment.augmentation
        self.measure = make_loss(experiment.loss)
        self.world = world

    def forward(self, batch: ChipBatch, draws: RowDraws) -> dict[str, Tensor]:
        """This worker's share of the terms of a batch: every worker compares the rows of all."""
        first, second = self._embeddings(batch, draws)
        both = gather_rows(torch.cat([first, second], dim=1), batch.total, self.world)
        one, other = both.chunk(2, dim=1)
        terms = {**self.measure(one, other), "spread": spread(torch.cat([one, other]))}
        return {name: term / self.world.size for name, term in terms.items()}

    def _embeddings(self, batch: ChipBatch, draws: RowDraws) -> tuple[Tensor, Tensor]:
        if len(self.views) == 1:
            ((name, view),) = self.views.each()
            stacked = view.stack(batch.pixels)
            drawn = torch.cat([self._draw(view, stacked, draws, self._geometry(draws)) for _ in range(2)])
            first, second = self.heads[name](view(drawn)).chunk(2)
            return first, second
        geometry = self._geometry(draws)
        first, second = (
            self.heads[name](view(self._draw(view, view.stack(batch.pixels), draws, geometry)))
            for name, view in self.views.each()
        )
        return first, second

    def _geometry(self, draws: RowDraws) -> Geometry:
        return Geometry.draw(self.augmentation, draws)

    def _draw(self, view: View, stacked: Tensor, draws: RowDraws, geometry: Geometry) -> Tensor:
        return recolour(geometry(stacked), self.augmentation, draws)


def _head(dim: int, settings: ProjectionSettings | None) -> nn.Module:
    if settings is None:
        return nn.Identity()
    hidden = settings.hidden or dim
    normalise = [nn.BatchNorm1d(hidden)] if settings.batchnorm else []
    return nn.Sequential(nn.Linear(dim, hidden), *normalise, nn.ReLU(), nn.Linear(hidden, settings.out))
