"""The torch engine: the members of a cohort stacked along a leading axis and trained by `torch.func`.

Weights are one matrix ``[members, params]``; the network is called through `torch.func.functional_call` under
`torch.vmap`, so any network of the catalogue runs without a stacked form of its own. Images stay on the device as
bytes; every step gathers the batches of all members by index. Symbols: G members, B batch.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, vmap

from geozoo.nets import build_network, derive_layout, unflatten
from geozoo.population.dropout import StreamDropout, dropout_keys, dropout_layers, dropout_rates
from geozoo.population.engine import Block, CohortJob, Progress
from geozoo.population.graphs import Repeated
from geozoo.population.metrics import Tally, block_metrics
from geozoo.population.optimizers import OPTIMIZERS, CohortSettings
from geozoo.population.packs import PackSizes, free_memory, peak_memory, sizes_in_memory, sizes_on_cpu
from geozoo.population.streams import Stream, counter_hash
from geozoo.population.tensors import (
    Pixels,
    image_losses,
    right_answers,
    single_thread,
    split_tensors,
    tensor_float_32,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geozoo.datasets import ImageSet, ImageSplit

SIGN_SECONDS = 0.25
PROBE_MEMBERS = 4


@dataclass(frozen=True)
class Resident:
    """One split on a device: images ``uint8 [n, channels, size, size]`` and labels ``int64 [n]``."""

    images: Tensor
    labels: Tensor

    @classmethod
    def of(cls, split: ImageSplit, device: str) -> Self:
        """Copy a split to a device, or view it where it is there."""
        images, labels = split_tensors(split)
        return cls(images.to(device), labels.to(device))


class Pack:
    """Stacked members in training: weights, optimiser, dropout settings, place in the epoch and sums over it."""

    def __init__(self, job: CohortJob, train: Resident, pixels: Pixels) -> None:
        device, dtype = train.images.device, getattr(torch, job.precision)
        self.train, self.pixels = train, pixels
        self.batch_size = job.batch_size
        self.seeds = torch.tensor(job.seeds, device=device)
        self.module = build_network(**job.network, make_dropout=StreamDropout).to(device)
        self.layout = derive_layout(self.module)
        self.weights = torch.from_numpy(job.initial).to(device, dtype, copy=True)
        self.finite = self.stored().isfinite().all(1)
        self.optimizer = OPTIMIZERS[job.optimizer].cohort(_settings(job, dtype, device), self.weights)
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
        images, labels = self.pixels(self.train.images[rows]), self.train.labels[rows]
        keys = dropout_keys(self.dropouts, self.seeds, self.epoch, self.step)
        leaf = self.weights.detach().requires_grad_()
        state = unflatten(leaf, self.layout) | self.rates | {f"{name}.key": key for name, key in keys.items()}
        self.module.train(bool(self.dropouts))
        logits = vmap(lambda s, x: functional_call(self.module, s, (x,)))(state, images)
        losses = image_losses(logits, labels)
        (gradients,) = torch.autograd.grad(losses.mean(1).sum(), leaf)
        self.optimizer.step(self.weights, gradients)
        self.losses += losses.detach().double().sum(1)
        self.correct += right_answers(logits.detach(), labels).sum(1)
        self.batch += len(places)
        self.step += 1

    def train_epoch(self, epoch: int) -> Iterator[Progress]:
        """Train one epoch; members that diverged before keep their weights."""
        frozen = None if self.finite.all() else self.weights[~self.finite].clone()
        self.begin_epoch(epoch)
        full, rest = divmod(self.order.shape[1], self.batch_size)
        unreported, reported_at = 0, time.monotonic()
        for _ in range(full):
            self.full_step()
            unreported += len(self) * self.batch_size
            if time.monotonic() > reported_at + SIGN_SECONDS:
                yield Progress(unreported)
                unreported, reported_at = 0, time.monotonic()
        if rest:
            self.train_on(self.batch[:rest].clone())
            unreported += len(self) * rest
        yield Progress(unreported)
        if frozen is not None:
            self.weights[~self.finite] = frozen
        self.finite &= self.stored().isfinite().all(1)

    def evaluate(self, part: Resident, at_once: int) -> tuple[Tensor, Tensor]:
        """Sums of losses and of right answers ``[G]`` over the images of a split, in evaluation mode."""
        losses, correct = torch.zeros_like(self.losses), torch.zeros_like(self.correct)
        self.module.eval()
        state = unflatten(self.weights, self.layout)
        with torch.no_grad():
            for images, labels in zip(part.images.split(at_once), part.labels.split(at_once), strict=True):
                network = vmap(lambda s, x: functional_call(self.module, s, (x,)), in_dims=(0, None))
                logits = network(state, self.pixels(images))
                every = labels.expand(len(self), -1)
                losses += image_losses(logits, every).double().sum(1)
                correct += right_answers(logits, every).sum(1)
        return losses, correct


def _settings(job: CohortJob, dtype: torch.dtype, device: torch.device) -> CohortSettings:
    def column(name: str) -> Tensor:
        return torch.tensor([[getattr(h, name)] for h in job.hyperparameters], dtype=dtype, device=device)

    return CohortSettings(column("lr"), column("weight_decay"), column("momentum"))


class StackedEngine:
    """See `geozoo.population.engine.Engine`.

    Computes on ``device``, by default a GPU where there is one: there the members that fit its memory train together,
    each step a CUDA graph. ``tf32`` allows products of reduced precision on a GPU.
    """

    def __init__(self, device: str | None = None, *, tf32: bool = False) -> None:
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.tf32 = tf32

    def train(self, job: CohortJob, images: ImageSet) -> Iterator[Progress]:
        """See `geozoo.population.engine.Engine.train`."""
        with single_thread(), tensor_float_32(self.tf32):
            pixels = Pixels.of(images, getattr(torch, job.precision), self.device)
            train = Resident.of(images.train, self.device)
            evaluated = {split: Resident.of(part, self.device) for split, part in job.evaluated(images).items()}
            sizes = _pack_sizes(job, train, pixels)
            packs = [Pack(part, train, pixels) for part in _cut(job, sizes.members)]
            if 0 in job.checkpoints:
                yield Progress(0, _block(0, packs, evaluated, sizes.images, None))
            for epoch in range(1, job.checkpoints[-1] + 1):
                for pack in packs:
                    yield from pack.train_epoch(epoch)
                if epoch in job.checkpoints:
                    running = _tally([(pack.losses, pack.correct) for pack in packs], len(train.labels))
                    yield Progress(0, _block(epoch, packs, evaluated, sizes.images, running))


def _pack_sizes(job: CohortJob, train: Resident, pixels: Pixels) -> PackSizes:
    """On a GPU, measure a step of a few members."""
    if not train.images.is_cuda:
        return sizes_on_cpu(len(job.seeds))
    probe = Pack(_members(job, slice(PROBE_MEMBERS)), train, pixels)
    used = peak_memory(lambda: probe.train_on(probe.batch.clone()))
    return sizes_in_memory(len(job.seeds), job.batch_size, free_memory(), used // len(probe))


def _cut(job: CohortJob, most: int) -> list[CohortJob]:
    """Parts of at most ``most`` members, of even size."""
    members = len(job.seeds)
    parts = -(-members // most)
    return [_members(job, slice(part * members // parts, (part + 1) * members // parts)) for part in range(parts)]


def _members(job: CohortJob, rows: slice) -> CohortJob:
    return replace(
        job, initial=job.initial[rows], seeds=job.seeds[rows], hyperparameters=tuple(job.hyperparameters[rows])
    )


def _block(epoch: int, packs: list[Pack], evaluated: dict[str, Resident], at_once: int, running: Tally | None) -> Block:
    tallies = {
        split: _tally([pack.evaluate(part, at_once) for pack in packs], len(part.labels))
        for split, part in evaluated.items()
    }
    weights = np.concatenate([pack.stored().cpu().numpy() for pack in packs])
    finite = np.concatenate([pack.finite.cpu().numpy() for pack in packs])
    return Block(epoch, weights, block_metrics(tallies, running, finite))


def _tally(sums: list[tuple[Tensor, Tensor]], images: int) -> Tally:
    """Sums over images, pack by pack, brought to the host."""
    losses, correct = (np.concatenate([pair[which].cpu().numpy() for pair in sums]) for which in (0, 1))
    return Tally(losses, correct, images)
