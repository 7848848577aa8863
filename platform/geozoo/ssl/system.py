"""What self-supervised learning trains: views, projection heads, and the loss between two views of each place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from geozoo.ssl.augment import Geometry
from geozoo.ssl.collapse import spread
from geozoo.ssl.grad_cache import encode_in_chunks
from geozoo.ssl.losses.make import make_loss
from geozoo.ssl.losses.registry import find_loss
from geozoo.ssl.memory_bank import MemoryBank
from geozoo.training.distributed import gather_rows

if TYPE_CHECKING:
    from geozoo.ssl.experiment import ProjectionSettings, SslExperiment
    from geozoo.ssl.stream import ChipBatch
    from geozoo.ssl.views import Views
    from geozoo.training.distributed import World
    from geozoo.weights.draws import RowDraws


class Embedder(nn.Module):
    """Views with their projection heads.

    Attributes:
        views: as in the experiment.
        heads: one for each view; none where feature maps are compared.
        maps: whether feature maps are compared.
    """

    def __init__(self, views: Views, projection: ProjectionSettings | None, *, maps: bool = False) -> None:
        super().__init__()
        self.views = views
        self.maps = maps
        settings = None if maps else projection
        self.heads = nn.ModuleDict({name: _head(view.dim, settings) for name, view in views.each()})
        self.width = settings.out if settings else views.each()[0][1].dim

    def embed(self, name: str, stacked: Tensor, chunk: int | None = None) -> Tensor:
        """Embeddings ``[n, width]`` of stacked bands, or feature maps."""
        view, head = self.views[name], self.heads[name]
        if self.maps:
            maps: Tensor = view.maps(stacked)  # type: ignore[operator]
            return maps
        whole = nn.Sequential(view, head)
        embedded: Tensor = encode_in_chunks(whole, stacked, chunk) if chunk else whole(stacked)
        return embedded

    def draw(self, batch: ChipBatch, experiment: SslExperiment, draws: RowDraws) -> list[tuple[str, Tensor]]:
        """The two views of every chip, each with the name of the encoder that sees it.

        Of one `View` two are drawn with independent augmentations; of two views each is drawn once, with one geometry.
        """
        named = self.views.each()
        augmentation = experiment.augmentation
        if len(named) == 2:
            geometry = Geometry.draw(augmentation, draws)
            return [(name, view.draw(batch.pixels, geometry, augmentation, draws)) for name, view in named]
        ((name, view),) = named
        return [
            (name, view.draw(batch.pixels, Geometry.draw(augmentation, draws), augmentation, draws)) for _ in range(2)
        ]

    def pair(self, drawn: list[tuple[str, Tensor]], chunk: int | None = None) -> tuple[Tensor, Tensor]:
        """Embeddings of the two views; one encoder sees both in one batch, BatchNorm included."""
        (one, first), (other, second) = drawn
        if one != other:
            return self.embed(one, first, chunk), self.embed(other, second, chunk)
        left, right = self.embed(one, torch.cat([first, second]), chunk).chunk(2)
        return left, right


class ContrastiveSystem(nn.Module):
    """Two views of every chip, embedded and compared over all workers; see `geozoo.training.loop.Job.system`.

    Validation draws as training does, from fixed numbers. The terms: those of the loss, ``loss`` among them, and
    ``spread`` (`geozoo.ssl.collapse.spread`), 1 where embeddings fill the sphere and 0 where they have collapsed.
    """

    def __init__(self, views: Views, experiment: SslExperiment, world: World) -> None:
        super().__init__()
        self.experiment = experiment
        self.embedder = Embedder(views, experiment.projection, maps=find_loss(experiment.loss.name).maps)
        self.measure = make_loss(experiment.loss)
        self.banks = make_banks(experiment, self.embedder.width)
        self.world = world

    @property
    def views(self) -> Views:
        """The encoders that are kept."""
        return self.embedder.views

    def forward(self, batch: ChipBatch, draws: RowDraws) -> dict[str, Tensor]:
        """This worker's share of the terms of a batch: every worker compares the rows of all."""
        pair = self.embedder.pair(self.embedder.draw(batch, self.experiment, draws), self.experiment.chunk)
        one, other = (gather_rows(view, batch.total, self.world) for view in pair)
        terms = self.measure(one, other, queues=stored(self.banks), groups=batch.groups)
        if self.training:
            push(self.banks, one, other)
        if not self.embedder.maps:
            terms["spread"] = spread(torch.cat([one, other]))
        return {name: term / self.world.size for name, term in terms.items()}


def make_banks(experiment: SslExperiment, width: int) -> nn.ModuleList:
    """Two memory banks, or none."""
    return nn.ModuleList([MemoryBank(experiment.memory, width) for _ in range(2)] if experiment.memory else [])


def stored(banks: nn.ModuleList) -> tuple[Tensor, Tensor] | None:
    """What banks hold; None where there are none or they are empty."""
    if not len(banks) or not int(banks[0].seen):  # type: ignore[arg-type]
        return None
    one, other = (bank.stored() for bank in banks)  # type: ignore[operator]
    return one, other


def push(banks: nn.ModuleList, one: Tensor, other: Tensor) -> None:
    """Keep the embeddings of a batch."""
    for bank, embeddings in zip(banks, (one, other), strict=False):
        bank.push(embeddings.detach())  # type: ignore[operator]


def _head(dim: int, settings: ProjectionSettings | None) -> nn.Module:
    if settings is None:
        return nn.Identity()
    hidden = settings.hidden or dim
    normalise = [nn.BatchNorm1d(hidden)] if settings.batchnorm else []
    return nn.Sequential(nn.Linear(dim, hidden), *normalise, nn.ReLU(), nn.Linear(hidden, settings.out))
