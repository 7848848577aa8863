"""Members of a cohort stacked along a leading axis and trained by `torch.func`.

Weights are one matrix ``[members, params]``; the network is called through `torch.func.functional_call` under
`torch.vmap`, so any network of the catalogue runs without a stacked form of its own. Images stay on the device as
bytes; every step gathers the batches of all members by index. Symbols: G members, B batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from geozoo.nets import build_network, derive_layout, unflatten
from geozoo.population.augmentation import AUGMENTATIONS
from geozoo.population.dropout import StreamDropout, dropout_keys, dropout_layers, dropout_rates
from geozoo.population.engine import signs_of_life
from geozoo.population.going_on import copied
from geozoo.population.graphs import Repeated
from geozoo.population.optimizers import OPTIMIZERS, CohortSettings
from geozoo.population.schedules import CohortSchedule
from geozoo.population.streams import Stream, counter_hash
from geozoo.population.tensors import Pixels, Resident, autocast, image_losses, right_answers, weights_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from geozoo.population.engine import CohortJob, Progress


class Pack:
    """Stacked members in training: weights, optimiser, dropout settings, place in the epoch and sums over it."""

    def __init__(self, job: CohortJob, train: Resident, pixels: Pixels, total_steps: int) -> None:
        device, dtype = train.images.device, weights_dtype(job.precision)
        self.train, self.pixels = train, pixels
        self.batch_size, self.precision = job.batch_size, job.precision
        self.augment = AUGMENTATIONS[job.augmentation]
        self.seeds = torch.tensor(job.seeds, device=device)
        self.module = build_network(**job.network, make_dropout=StreamDropout).to(device)
        self.layout = derive_layout(self.module)
        self.weights = torch.from_numpy(job.initial).to(device, dtype, copy=True)
        self.finite = self.stored().isfinite().all(1)
        settings = CohortSettings.of(job.hyperparameters, dtype, device)
        self.optimizer = OPTIMIZERS[job.optimizer].cohort(settings, self.weights)
        self.schedule = CohortSchedule(job, settings, total_steps)
        self.dropouts = dropout_layers(self.module) if any(h.dropout > 0 for h in job.hyperparameters) else {}
        thresholds, scales = dropout_rates(torch.tensor([h.dropout for h in job.hyperparameters], dtype=torch.float64))
        self.rates = {f"{name}.threshold": thresholds.to(device) for name in self.dropouts}
        self.rates |= {f"{name}.scale": scales.to(device, dtype) for name in self.dropouts}
        images = torch.arange(len(train.labels), device=device)
        self.order = images.repeat(len(self.seeds), 1)
        self.batch = images[: self.batch_size].clone()
        self.epoch, self.step = (torch.zeros((), dtype=torch.int64, device=device) for _ in range(2))
        self.losses = torch.zeros(len(self.seeds), dtype=torch.float64, device=device)
        self.correct = torch.zeros(len(self.seeds), dtype=torch.int64, device=device)
        self.full_step = Repeated(lambda: self.train_on(self.batch), device.type)

    def __len__(self) -> int:
        return len(self.seeds)

    def stored(self) -> Tensor:
        """The weights as a block gives them: float32, a copy."""
        return self.weights.to(torch.float32, copy=True)

    def _state(self) -> dict[str, Tensor]:
        """The tensors that training goes on from, ``[members, ...]`` or shared by all members and without an axis."""
        moments = {f"optimizer.{name}": value for name, value in vars(self.optimizer).items() if torch.is_tensor(value)}
        return {"weights": self.weights, "schedule.steps": self.schedule.steps} | moments

    def states(self) -> list[dict[str, NDArray[Any]]]:
        """What training goes on from, for each member."""
        state = self._state()
        return [
            {name: copied(value[row] if value.ndim else value) for name, value in state.items()}
            for row in range(len(self))
        ]

    def restore(self, states: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        """Go on from `states`, whatever packs they were taken of."""
        for name, value in self._state().items():
            for row, state in enumerate(states):
                (value[row] if value.ndim else value).copy_(torch.from_numpy(state[name]))
        self.finite.copy_(self.stored().isfinite().all(1))

    def begin_epoch(self, epoch: int) -> None:
        """Draw every member's order of the images: see `geozoo.population.streams.data_order`."""
        self.epoch.fill_(epoch)
        self.step.zero_()
        self.losses.zero_()
        self.correct.zero_()
        self.batch.copy_(torch.arange(len(self.batch), device=self.batch.device))
        samples = torch.arange(self.order.shape[1], device=self.order.device)
        keys = counter_hash(self.seeds[:, None], Stream.ORDER, epoch, sample=samples)
        self.order.copy_(keys.argsort(dim=1, stable=True))

    def train_on(self, places: Tensor) -> None:
        """Train every member on its images at some places of its order, then go on to the places that follow."""
        rows = self.order.index_select(1, places)
        shown = self.augment(self.train.images[rows], self.seeds, self.epoch, self.step)
        images, labels = self.pixels(shown), self.train.labels[rows]
        keys = dropout_keys(self.dropouts, self.seeds, self.epoch, self.step)
        leaf = self.weights.detach().requires_grad_()
        state = unflatten(leaf, self.layout) | self.rates | {f"{name}.key": key for name, key in keys.items()}
        self.module.train(bool(self.dropouts))
        logits = self._logits(state, images, 0)
        losses = image_losses(logits, labels)
        (gradients,) = torch.autograd.grad(losses.mean(1).sum(), leaf)
        self.schedule()
        self.optimizer.step(self.weights, gradients)
        self.losses += losses.detach().double().sum(1)
        self.correct += right_answers(logits.detach(), labels).sum(1)
        self.batch += len(places)
        self.step += 1

    def _logits(self, state: dict[str, Tensor], images: Tensor, images_axis: int | None) -> Tensor:
        """Logits ``[G, B, classes]`` in the dtype of the images, which may be shared by all members."""
        network = vmap(lambda s, x: functional_call(self.module, s, (x,)), in_dims=(0, images_axis))
        with autocast(self.precision, images.device.type):
            logits: Tensor = network(state, images)
        return logits.to(images.dtype)

    def train_epoch(self, epoch: int) -> Iterator[Progress]:
        """Train one epoch; members that diverged before keep their weights."""
        frozen = None if self.finite.all() else self.weights[~self.finite].clone()
        self.begin_epoch(epoch)
        yield from signs_of_life(self._steps())
        if frozen is not None:
            self.weights[~self.finite] = frozen
        self.finite &= self.stored().isfinite().all(1)

    def _steps(self) -> Iterator[int]:
        """Train on one batch a member after the other; how many images all had together."""
        full, rest = divmod(self.order.shape[1], self.batch_size)
        for _ in range(full):
            self.full_step()
            yield len(self) * self.batch_size
        if rest:
            self.train_on(self.batch[:rest].clone())
            yield len(self) * rest

    def evaluate(self, part: Resident, at_once: int) -> tuple[Tensor, Tensor]:
        """Sums of losses and of right answers ``[G]`` over the images of a split, in evaluation mode."""
        losses, correct = torch.zeros_like(self.losses), torch.zeros_like(self.correct)
        self.module.eval()
        state = unflatten(self.weights, self.layout)
        with torch.no_grad():
            for images, labels in zip(part.images.split(at_once), part.labels.split(at_once), strict=True):
                logits = self._logits(state, self.pixels(images), None)
                every = labels.expand(len(self), -1)
                losses += image_losses(logits, every).double().sum(1)
                correct += right_answers(logits, every).sum(1)
        return losses, correct
