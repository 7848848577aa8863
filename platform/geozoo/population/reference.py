"""The reference engine: a plain loop over members with `torch.optim`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from geozoo.nets import build_network, derive_layout, flatten, load_flat
from geozoo.population.augmentation import AUGMENTATIONS
from geozoo.population.dropout import StreamDropout, dropout_keys, dropout_layers, dropout_rates
from geozoo.population.engine import Block, CohortJob, Progress, Snapshot
from geozoo.population.going_on import member_state, restore_member
from geozoo.population.metrics import Tally, block_metrics
from geozoo.population.optimizers import OPTIMIZERS
from geozoo.population.schedules import torch_schedule
from geozoo.population.streams import data_order
from geozoo.population.tensors import (
    Pixels,
    arithmetic,
    autocast,
    image_losses,
    right_answers,
    split_tensors,
    weights_dtype,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from geozoo.datasets import ImageSet

EVALUATION_BATCH = 500


class Learner:
    """One member: its module, its optimiser, and whether its weights are finite."""

    def __init__(self, job: CohortJob, row: int, total_steps: int) -> None:
        self.seed = torch.tensor(int(job.seeds[row]))
        self.module = build_network(**job.network, make_dropout=StreamDropout)
        self.layout = derive_layout(self.module)
        self.module.to(weights_dtype(job.precision))
        load_flat(self.module, torch.from_numpy(job.initial[row].copy()), self.layout)
        self.dropouts = dropout_layers(self.module)
        hyperparameters = job.hyperparameters[row]
        thresholds, scales = dropout_rates(torch.tensor([hyperparameters.dropout], dtype=torch.float64))
        for layer in self.dropouts.values():
            layer.threshold, layer.scale = thresholds[0], scales[0]
        self.optimizer = OPTIMIZERS[hyperparameters.optimizer].reference(self.module.parameters(), hyperparameters)
        self.schedule = torch_schedule(job, self.optimizer, total_steps)
        self.precision = job.precision
        self.finite = bool(self.stored().isfinite().all())

    def stored(self) -> Tensor:
        """The flat weights ``[params]`` as a block gives them: float32."""
        return flatten(self.module.state_dict(), self.layout).float()

    def state(self) -> dict[str, NDArray[Any]]:
        """What training goes on from."""
        return member_state(self.module, self.optimizer, self.schedule)

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `state`."""
        restore_member(state, self.module, self.optimizer, self.schedule)
        self.finite = bool(self.stored().isfinite().all())

    def logits(self, images: Tensor) -> Tensor:
        """The network's outputs, in the dtype of its weights."""
        with autocast(self.precision, "cpu"):
            outputs: Tensor = self.module(images)
        return outputs.to(images.dtype)

    def step(self, images: Tensor, labels: Tensor, epoch: int, step: int) -> tuple[float, int]:
        """Train on one batch; return the sums of losses and of right answers before the update."""
        for name, key in dropout_keys(self.dropouts, self.seed, epoch, step).items():
            self.dropouts[name].key = key
        self.module.train()
        self.optimizer.zero_grad()
        logits = self.logits(images)
        loss = nn.functional.cross_entropy(logits, labels)
        loss.backward()
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        return loss.item() * len(labels), int(right_answers(logits.detach(), labels).sum())

    def evaluate(self, images: Tensor, labels: Tensor) -> tuple[float, int]:
        """Return the sums of losses and of right answers in evaluation mode."""
        self.module.eval()
        with torch.no_grad():
            logits = self.logits(images)
        return float(image_losses(logits, labels).double().sum()), int(right_answers(logits, labels).sum())


class ReferenceEngine:
    """See `geozoo.population.engine.Engine`: every other engine is measured against this one."""

    def train(self, job: CohortJob, images: ImageSet, start: Snapshot | None = None) -> Iterator[Progress]:
        """See `geozoo.population.engine.Engine.train`."""
        with arithmetic(job.precision):
            learners = [Learner(job, row, job.total_steps(images)) for row in range(len(job.seeds))]
            pixels = Pixels.of(images, weights_dtype(job.precision))
            if start is not None:
                for learner, state in zip(learners, start.members, strict=True):
                    learner.restore(state)
            elif 0 in job.checkpoints:
                yield Progress(0, _block(0, learners, job, images, pixels, None))
            for epoch in job.epochs_after(start):
                running = Tally.zeros(len(learners))
                yield from _train_epoch(epoch, learners, job, images, pixels, running)
                wanted = epoch in job.checkpoints
                block = _block(epoch, learners, job, images, pixels, running) if wanted else None
                yield Progress(0, block, partial(_snapshot, epoch, learners))


def _snapshot(epoch: int, learners: list[Learner]) -> Snapshot:
    return Snapshot(epoch, tuple(learner.state() for learner in learners))


def _train_epoch(
    epoch: int, learners: list[Learner], job: CohortJob, images: ImageSet, pixels: Pixels, running: Tally
) -> Iterator[Progress]:
    train_images, train_labels = split_tensors(images.train)
    augment = AUGMENTATIONS[job.augmentation]
    orders = torch.from_numpy(data_order(job.seeds, epoch, len(images.train)))
    losses, correct = np.zeros(len(learners)), np.zeros(len(learners), dtype=np.int64)
    for row, learner in enumerate(learners):
        if not learner.finite:
            losses[row] = np.nan
            continue
        for step, batch in enumerate(orders[row].split(job.batch_size)):
            shown = augment(train_images[batch], learner.seed, epoch, step)
            loss, right = learner.step(pixels(shown), train_labels[batch], epoch, step)
            losses[row] += loss
            correct[row] += right
            yield Progress(len(batch))
        learner.finite = bool(learner.stored().isfinite().all())
    running.add(losses, correct, len(images.train))


def _block(
    epoch: int, learners: list[Learner], job: CohortJob, images: ImageSet, pixels: Pixels, running: Tally | None
) -> Block:
    evaluated = {split: Tally.zeros(len(learners)) for split in job.evaluated(images)}
    for split, part in job.evaluated(images).items():
        all_images, all_labels = split_tensors(part)
        for rows in torch.arange(len(part)).split(EVALUATION_BATCH):
            inputs, labels = pixels(all_images[rows]), all_labels[rows]
            losses, correct = zip(*(learner.evaluate(inputs, labels) for learner in learners), strict=True)
            evaluated[split].add(losses, correct, len(rows))
    weights = torch.stack([learner.stored() for learner in learners]).numpy()
    finite = np.array([learner.finite for learner in learners])
    return Block(epoch, weights, block_metrics(evaluated, running, finite))
