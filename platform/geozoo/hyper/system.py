"""What a hyper-representation is trained on: two views of every state, and the terms of its loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from geozoo.hyper.behaviour import behaviour
from geozoo.hyper.losses import layer_normalised, masked_normalised, nt_xent, reconstruction
from geozoo.training.distributed import gather_rows, share
from geozoo.training.loop import LOSS
from geozoo.weights.augment import AddNoise, Augmentation, Erase, Permute, ScaleNoise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.hyper.experiment import AugmentationSettings, HyperExperiment, LossSettings
    from geozoo.hyper.codec import Codec
    from geozoo.hyper.models import Reconstruction
    from geozoo.hyper.networks import Networks
    from geozoo.hyper.stream import WeightBatch
    from geozoo.nets.layout import Layout
    from geozoo.training.distributed import World
    from geozoo.training.draws import RowDraws
    from geozoo.weights.symmetry import Symmetry


@dataclass(frozen=True)
class QueryImages:
    """Normalised images ``[q, channels, size, size]`` of one zoo, and its networks, for the behavioural term."""

    images: Tensor
    networks: Networks


class HyperSystem(nn.Module):
    """A codec with its views and losses; see `geozoo.training.loop.Job.system`.

    Of every state two views are drawn and both are reconstructed; without a contrastive term one view suffices. In
    validation views are permuted and nothing else. The terms: ``contrast`` (NT-Xent between the two views, negatives
    from the whole batch over all workers), ``structure`` (reconstruction error), ``behaviour`` (difference between the
    answers of the original and of the decoded network), ``loss`` their weighted sum.

    Deviation: the published systems pass the two views through the projection head one after the other; here they go
    together, so that its BatchNorm sees both.
    """

    def __init__(
        self,
        codec: Codec,
        symmetries: Sequence[Symmetry],
        experiment: HyperExperiment,
        world: World,
        queries: Sequence[QueryImages] = (),
    ) -> None:
        super().__init__()
        self.codec = codec
        self.settings: LossSettings = experiment.loss
        self.target = experiment.augmentation.target
        self.augmentations = [_augmentations(symmetry, experiment.augmentation) for symmetry in symmetries]
        self.world = world
        self.queries = queries
        self.layouts: list[Layout] = [symmetry.layout for symmetry in symmetries]
        if not self.settings.contrast:
            for parameter in codec.model.projection_parameters():
                parameter.requires_grad_(False)

    def forward(self, batch: WeightBatch, draws: RowDraws) -> dict[str, Tensor]:
        """This worker's share of the terms of a batch."""
        space = self.codec.space(batch.zoo)
        pair = self.settings.contrast > 0
        views = [self._view(batch, draws) for _ in range(2 if pair else 1)]
        seen = space.to_model(torch.cat(views))
        made: Reconstruction = self.codec.model(seen, batch.zoo, draws)
        clean = torch.cat([batch.weights] * len(views))
        target = seen if self.target == "view" else space.to_model(clean)
        terms = {"structure": self._structure(made, target, batch)}
        loss = terms["structure"]
        asked = self.settings.behaviour
        if asked is not None:
            terms["behaviour"] = self._behaviour(made, clean, batch, draws)
            loss = (1 - asked.weight) * loss + asked.weight * terms["behaviour"]
        if pair:
            terms["contrast"] = self._contrast(made, batch)
            loss = self.settings.contrast * terms["contrast"] + (1 - self.settings.contrast) * loss
        return {LOSS: loss, **terms}

    def _view(self, batch: WeightBatch, draws: RowDraws) -> Tensor:
        weights = batch.weights
        for augmentation in self.augmentations[batch.zoo]:
            if self.training or isinstance(augmentation, Permute):
                weights = augmentation(weights, draws)
        return weights

    def _structure(self, made: Reconstruction, target: Tensor, batch: WeightBatch) -> Tensor:
        """The mean over the rows of this worker, weighted by its share of the batch."""
        if not len(target):
            return made.predicted.sum()
        return self._error(made, target, batch) * (len(batch.weights) / batch.total)

    def _error(self, made: Reconstruction, target: Tensor, batch: WeightBatch) -> Tensor:
        match self.settings.structure:
            case "plain":
                return reconstruction(made.predicted, target, made.mask)
            case "batch":
                return masked_normalised(made.predicted, target, self.layouts[batch.zoo], made.mask)
        space = self.codec.space(batch.zoo)
        predicted, wanted = space.from_model(made.predicted), space.from_model(target)
        alike = self.settings.structure == "layers_alike"
        return layer_normalised(
            predicted,
            wanted,
            space.std,
            self.layouts[batch.zoo],
            reduction="layer_mean" if alike else "global_mean",
            mask=made.mask,
        )

    def _contrast(self, made: Reconstruction, batch: WeightBatch) -> Tensor:
        """NT-Xent of this worker's anchors among all rows of the batch, the two views of a state the positives."""
        projected = self.codec.model.project(made.latent)
        rows, total = len(batch.weights), batch.total
        both = torch.cat([projected[:rows], projected[rows:]], dim=1)
        first, second = gather_rows(both, total, self.world).chunk(2, dim=1)
        mine = torch.arange(total, device=projected.device)[share(total, self.world)]
        anchors = torch.cat([mine, mine + total])
        return nt_xent(projected, anchors, torch.cat([first, second]), self.settings.temperature) / (2 * total)

    def _behaviour(self, made: Reconstruction, clean: Tensor, batch: WeightBatch, draws: RowDraws) -> Tensor:
        """How differently decoded networks answer, for the first view of the first ``states`` rows of the batch."""
        asked = self.settings.behaviour
        assert asked is not None
        query = self.queries[batch.zoo]
        shown = min(asked.states or batch.total, batch.total)
        place = share(batch.total, self.world)
        rows = max(0, min(place.stop, shown) - place.start)
        if not rows:
            return made.predicted.sum() * 0
        decoded = self.codec.space(batch.zoo).from_model(made.predicted[:rows])
        generator = draws.generator
        chosen = torch.randperm(len(query.images), generator=generator, device=generator.device)[: asked.images]
        images, activations = query.images[chosen], batch.activations[:rows]
        with torch.no_grad():
            original = query.networks.logits(clean[:rows], activations, images)
        answers = query.networks.logits(decoded, activations, images)
        return behaviour(answers, original, asked.kind) * (rows / shown)


def _augmentations(symmetry: Symmetry, settings: AugmentationSettings) -> list[Augmentation]:
    chosen: list[Augmentation] = []
    if settings.permute:
        chosen.append(Permute(symmetry))
    if settings.erase:
        chosen.append(Erase(settings.erase))
    if settings.add_noise:
        chosen.append(AddNoise(settings.add_noise))
    if settings.scale_noise:
        chosen.append(ScaleNoise(settings.scale_noise))
    return chosen
