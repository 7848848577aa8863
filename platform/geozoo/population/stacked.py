"""The torch engine: the members of a cohort stacked along a leading axis and trained by `torch.func`.

Weights are one matrix ``[members, params]``; the network is called through `torch.func.functional_call` under
`torch.vmap`, so any network of the catalogue runs without a stacked form of its own. Symbols: G members, B batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from geozoo.nets import build_network, derive_layout, unflatten
from geozoo.population.dropout import StreamDropout, dropout_keys, dropout_layers, dropout_rates
from geozoo.population.engine import Block, CohortJob, Progress
from geozoo.population.metrics import Tally, block_metrics
from geozoo.population.optimizers import OPTIMIZERS, CohortSettings
from geozoo.population.streams import data_order
from geozoo.population.tensors import Pixels, image_losses, right_answers, single_thread, split_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geozoo.datasets import ImageSet

EVALUATED_AT_ONCE = 1024
"""Network evaluations (members x images) in one call: what keeps activations of the small networks in cache."""


class Cohort:
    """The stacked members of a job: weights, optimiser, dropout settings."""

    def __init__(self, job: CohortJob) -> None:
        dtype = getattr(torch, job.precision)
        self.seeds = torch.tensor(job.seeds)
        self.module = build_network(**job.network, make_dropout=StreamDropout)
        self.layout = derive_layout(self.module)
        self.weights = torch.from_numpy(job.initial).to(dtype, copy=True)
        self.finite = self.stored().isfinite().all(1)
        self.optimizer = OPTIMIZERS[job.optimizer].cohort(_settings(job, dtype), self.weights)
        self.dropouts = dropout_layers(self.module) if any(h.dropout > 0 for h in job.hyperparameters) else {}
        thresholds, scales = dropout_rates(torch.tensor([h.dropout for h in job.hyperparameters], dtype=torch.float64))
        self.rates = {f"{name}.threshold": thresholds for name in self.dropouts}
        self.rates |= {f"{name}.scale": scales.to(dtype) for name in self.dropouts}

    def stored(self) -> Tensor:
        """The weights as a block gives them: float32, a copy."""
        return self.weights.to(torch.float32, copy=True)

    def step(self, images: Tensor, labels: Tensor, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Train on one batch a member ([G, B, ...], [G, B]); return sums of losses and of right answers before it."""
        keys = dropout_keys(self.dropouts, self.seeds, epoch, step)
        leaf = self.weights.detach().requires_grad_()
        state = unflatten(leaf, self.layout) | self.rates | {f"{name}.key": key for name, key in keys.items()}
        self.module.train(bool(self.dropouts))
        logits = vmap(lambda s, x: functional_call(self.module, s, (x,)))(state, images)
        losses = image_losses(logits, labels)
        (gradients,) = torch.autograd.grad(losses.mean(1).sum(), leaf)
        self.optimizer.step(self.weights, gradients)
        return losses.detach().double().sum(1), right_answers(logits.detach(), labels).sum(1)

    def evaluate(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return sums of losses and right answers ``[G]`` of all members on the same images, in evaluation mode."""
        self.module.eval()
        with torch.no_grad():
            state = unflatten(self.weights, self.layout)
            logits = vmap(lambda s, x: functional_call(self.module, s, (x,)), in_dims=(0, None))(state, images)
        labels = labels.expand(len(self.weights), -1)
        return image_losses(logits, labels).double().sum(1), right_answers(logits, labels).sum(1)


def _settings(job: CohortJob, dtype: torch.dtype) -> CohortSettings:
    def column(name: str) -> Tensor:
        return torch.tensor([[getattr(h, name)] for h in job.hyperparameters], dtype=dtype)

    return CohortSettings(column("lr"), column("weight_decay"), column("momentum"))


class StackedEngine:
    """See `geozoo.population.engine.Engine`."""

    def train(self, job: CohortJob, images: ImageSet) -> Iterator[Progress]:
        """See `geozoo.population.engine.Engine.train`."""
        with single_thread():
            cohort = Cohort(job)
            pixels = Pixels.of(images, getattr(torch, job.precision))
            if 0 in job.checkpoints:
                yield Progress(0, _block(0, cohort, job, images, pixels, None))
            for epoch in range(1, job.checkpoints[-1] + 1):
                running = Tally.zeros(len(job.seeds))
                frozen = _frozen_rows(cohort)
                yield from _train_epoch(epoch, cohort, job, images, pixels, running)
                if frozen is not None:
                    cohort.weights[~cohort.finite] = frozen
                cohort.finite &= cohort.stored().isfinite().all(1)
                if epoch in job.checkpoints:
                    yield Progress(0, _block(epoch, cohort, job, images, pixels, running))


def _frozen_rows(cohort: Cohort) -> Tensor | None:
    """A copy of the weights of members that have diverged; None while there are none."""
    return None if cohort.finite.all() else cohort.weights[~cohort.finite].clone()


def _train_epoch(
    epoch: int, cohort: Cohort, job: CohortJob, images: ImageSet, pixels: Pixels, running: Tally
) -> Iterator[Progress]:
    train_images, train_labels = split_tensors(images.train)
    orders = torch.from_numpy(data_order(job.seeds, epoch, len(images.train)))
    for step, batch in enumerate(orders.split(job.batch_size, dim=1)):
        losses, correct = cohort.step(pixels(train_images[batch]), train_labels[batch], epoch, step)
        running.add(losses, correct, batch.shape[1])
        yield Progress(batch.numel())


def _block(
    epoch: int, cohort: Cohort, job: CohortJob, images: ImageSet, pixels: Pixels, running: Tally | None
) -> Block:
    evaluated = {}
    for split, part in job.evaluated(images).items():
        all_images, all_labels = split_tensors(part)
        evaluated[split] = Tally.zeros(len(job.seeds))
        for rows in torch.arange(len(part)).split(max(1, EVALUATED_AT_ONCE // len(job.seeds))):
            losses, correct = cohort.evaluate(pixels(all_images[rows]), all_labels[rows])
            evaluated[split].add(losses, correct, len(rows))
    return Block(epoch, cohort.stored().numpy(), block_metrics(evaluated, running, cohort.finite.numpy()))
