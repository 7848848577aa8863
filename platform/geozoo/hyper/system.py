"""What a hyper-representation is trained on: two views of every state, and the terms of its loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from geozoo.hyper.behaviour import behaviour
from geozoo.hyper.experiment import AugmentationSettings
from geozoo.hyper.losses import (
    batch_normalised,
    combined,
    layer_normalised,
    layer_numbers,
    nt_xent,
    reconstruction,
)
from geozoo.training.distributed import gather_rows, share
from geozoo.training.loop import LOSS
from geozoo.weights.augment import AddNoise, Augmentation, Erase, Permute, ScaleNoise, compose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.hyper.codec import Codec
    from geozoo.hyper.experiment import BehaviourSettings, HyperExperiment, LossSettings
    from geozoo.hyper.losses import Reduction
    from geozoo.hyper.models.model import Reconstruction
    from geozoo.hyper.networks import Networks
    from geozoo.hyper.stream import WeightBatch
    from geozoo.training.distributed import World
    from geozoo.weights.draws import RowDraws
    from geozoo.weights.symmetry import Symmetry


@dataclass(frozen=True)
class Query:
    """What the networks of one zoo are asked: normalised ``images`` ``[q, channels, size, size]``."""

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
        queries: Sequence[Query] = (),
    ) -> None:
        super().__init__()
        self.codec = codec
        self.settings: LossSettings = experiment.loss
        self.target = experiment.augmentation.target
        permuted = AugmentationSettings(permute=experiment.augmentation.permute)
        self.training_views = [_views(symmetry, experiment.augmentation) for symmetry in symmetries]
        self.validation_views = [_views(symmetry, permuted) for symmetry in symmetries]
        self.world = world
        self.queries = queries
        self.layers = [layer_numbers(symmetry.layout).to(world.device) for symmetry in symmetries]
        if not self.settings.contrast:
            codec.model.head.requires_grad_(False)

    def forward(self, batch: WeightBatch, draws: RowDraws) -> dict[str, Tensor]:
        """This worker's share of the terms of a batch."""
        space = self.codec.space(batch.zoo)
        pair = self.settings.contrast > 0
        views = [self._view(batch, draws) for _ in range(2 if pair else 1)]
        seen = space.to_model(torch.cat(views))
        made: Reconstruction = self.codec.model(seen, batch.zoo, draws.generator)
        clean = torch.cat([batch.weights] * len(views))
        target = seen if self.target == "view" else space.to_model(clean)
        terms = {"structure": self._structure(made, target, batch)}
        if self.settings.behaviour is not None:
            terms["behaviour"] = self._behaviour(made, batch, draws, self.settings.behaviour)
        if pair:
            terms["contrast"] = self._contrast(made, batch)
        beta = 1 - (self.settings.behaviour.weight if self.settings.behaviour else 0.0)
        loss = combined(
            terms.get("contrast"),
            terms["structure"],
            terms.get("behaviour"),
            gamma=self.settings.contrast,
            beta=beta,
        )
        return {LOSS: loss, **terms}

    def _view(self, batch: WeightBatch, draws: RowDraws) -> Tensor:
        chosen = self.training_views if self.training else self.validation_views
        return chosen[batch.zoo](batch.weights, draws)

    def _structure(self, made: Reconstruction, target: Tensor, batch: WeightBatch) -> Tensor:
        """The mean over this worker's rows, weighted by its share of the batch."""
        layers, (predicted, mask) = self.layers[batch.zoo], (made.predicted, made.mask)
        if self.settings.structure == "plain":
            error = reconstruction(predicted, target, mask)
        elif self.settings.structure == "batch":
            error = batch_normalised(predicted, target, layers, mask)
        else:
            space = self.codec.space(batch.zoo)
            scales = torch.ones_like(space.std) if space.standardise else space.std
            reduction: Reduction = "layer_mean" if self.settings.structure == "layers_alike" else "global_mean"
            error = layer_normalised(predicted, target, scales, reduction, mask, layers=layers)
        return error * (len(batch.weights) / batch.total)

    def _contrast(self, made: Reconstruction, batch: WeightBatch) -> Tensor:
        """NT-Xent of this worker's anchors among all rows of the batch, the two views of a state the positives."""
        projected = self.codec.model.project(made.latent)
        rows, total = len(batch.weights), batch.total
        both = torch.cat([projected[:rows], projected[rows:]], dim=1)
        everyone = torch.cat(gather_rows(both, total, self.world).chunk(2, dim=1))
        mine = torch.arange(total, device=projected.device)[share(total, self.world)]
        return nt_xent(projected, everyone, torch.cat([mine, mine + total]), self.settings.temperature) / (2 * total)

    def _behaviour(self, made: Reconstruction, batch: WeightBatch, draws: RowDraws, asked: BehaviourSettings) -> Tensor:
        """How differently decoded networks answer, for the first view of the first ``states`` rows of the batch."""
        query, generator = self.queries[batch.zoo], draws.generator
        chosen = torch.randperm(len(query.images), generator=generator, device=generator.device)[: asked.images]
        shown = min(asked.states or batch.total, batch.total)
        place = share(batch.total, self.world)
        rows = max(0, min(place.stop, shown) - place.start)
        decoded = self.codec.space(batch.zoo).from_model(made.predicted[:rows]).to(query.images.dtype)
        images, activations = query.images[chosen], batch.activations[:rows]
        with torch.no_grad():
            original = query.networks.logits(batch.weights[:rows], activations, images)
        answers = query.networks.logits(decoded, activations, images)
        return behaviour(answers, original, asked.kind) * (rows / shown) if rows else answers.sum()


def _views(symmetry: Symmetry, settings: AugmentationSettings) -> Augmentation:
    chosen: list[Augmentation] = []
    if settings.permute:
        chosen.append(Permute(symmetry))
    if settings.erase:
        chosen.append(Erase(settings.erase))
    if settings.add_noise:
        chosen.append(AddNoise(settings.add_noise))
    if settings.scale_noise:
        chosen.append(ScaleNoise(settings.scale_noise))
    return compose(chosen)
