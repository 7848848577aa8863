"""The torch engine: small networks stacked, large ones one by one, on a CPU or a GPU."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from geozoo.nets import build_network, find_network
from geozoo.population.engine import Block, CohortJob, Progress, Snapshot
from geozoo.population.metrics import Tally, block_metrics
from geozoo.population.packs import PackSizes, free_memory, peak_memory, sizes_in_memory, sizes_on_cpu
from geozoo.population.single import Single, trains_alone
from geozoo.population.stacked import Pack
from geozoo.population.tensors import Pixels, Resident, arithmetic, weights_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from geozoo.datasets import ImageSet

PROBE_MEMBERS = 4
EVALUATED_ALONE = 500
"""Images in one call of a network that is trained alone."""


class Learners(Protocol):
    """Some members of a job in training: a `Pack` of many or a `Single` one.

    ``finite`` ``bool [members]`` tells who has not diverged; ``losses`` and ``correct`` ``[members]`` are the sums over
    the epoch as its batches were seen.
    """

    finite: Tensor
    losses: Tensor
    correct: Tensor

    def stored(self) -> Tensor:
        """The weights ``[members, params]`` as a block gives them: float32, a copy."""

    def states(self) -> list[dict[str, NDArray[Any]]]:
        """What training goes on from, for each member."""

    def restore(self, states: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        """Go on from `states`."""

    def train_epoch(self, epoch: int) -> Iterator[Progress]:
        """Train one epoch."""

    def evaluate(self, part: Resident, at_once: int) -> tuple[Tensor, Tensor]:
        """Sums of losses and of right answers ``[members]`` over a split, in evaluation mode."""


class TorchEngine:
    """See `geozoo.population.engine.Engine`.

    Computes on ``device``, by default a GPU where there is one: there the members that fit its memory train together,
    each step a CUDA graph.
    """

    def __init__(self, device: str | None = None) -> None:
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")

    def train(self, job: CohortJob, images: ImageSet, start: Snapshot | None = None) -> Iterator[Progress]:
        """See `geozoo.population.engine.Engine.train`."""
        with arithmetic(job.precision):
            evaluated = {split: Resident.of(part, self.device) for split, part in job.evaluated(images).items()}
            learners, at_once = self._begin(job, images)
            if start is not None:
                _restore(learners, start)
            elif 0 in job.checkpoints:
                yield Progress(0, _block(0, learners, evaluated, at_once, None))
            for epoch in job.epochs_after(start):
                for some in learners:
                    yield from some.train_epoch(epoch)
                running = _tally([(some.losses, some.correct) for some in learners], len(images.train))
                wanted = epoch in job.checkpoints
                block = _block(epoch, learners, evaluated, at_once, running) if wanted else None
                yield Progress(0, block, partial(_snapshot, epoch, learners))

    def _begin(self, job: CohortJob, images: ImageSet) -> tuple[list[Learners], int]:
        """The members, and how many images they are evaluated on at once."""
        pixels = Pixels.of(images, weights_dtype(job.precision), self.device)
        train, total_steps = Resident.of(images.train, self.device), job.total_steps(images)
        if find_network(job.network["name"]).as_it_is or trains_alone(build_network(**job.network)):
            return [Single(part, train, pixels, total_steps) for part in _cut(job, 1)], EVALUATED_ALONE
        sizes = _pack_sizes(job, train, pixels, total_steps)
        return [Pack(part, train, pixels, total_steps) for part in _cut(job, sizes.members)], sizes.images


def _snapshot(epoch: int, learners: list[Learners]) -> Snapshot:
    return Snapshot(epoch, tuple(state for some in learners for state in some.states()))


def _restore(learners: list[Learners], start: Snapshot) -> None:
    first = 0
    for some in learners:
        members = len(some.finite)
        some.restore(start.members[first : first + members])
        first += members


def _pack_sizes(job: CohortJob, train: Resident, pixels: Pixels, total_steps: int) -> PackSizes:
    """On a GPU, measure a step of a few members."""
    if not train.images.is_cuda:
        return sizes_on_cpu(len(job.seeds))
    probe = Pack(_members(job, slice(PROBE_MEMBERS)), train, pixels, total_steps)
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


def _block(
    epoch: int, learners: list[Learners], evaluated: dict[str, Resident], at_once: int, running: Tally | None
) -> Block:
    tallies = {
        split: _tally([some.evaluate(part, at_once) for some in learners], len(part.labels))
        for split, part in evaluated.items()
    }
    weights = np.concatenate([some.stored().cpu().numpy() for some in learners])
    finite = np.concatenate([some.finite.cpu().numpy() for some in learners])
    return Block(epoch, weights, block_metrics(tallies, running, finite))


def _tally(sums: list[tuple[Tensor, Tensor]], images: int) -> Tally:
    """Sums over images, in the order of the members, brought to the host."""
    losses, correct = (np.concatenate([pair[which].cpu().numpy() for pair in sums]) for which in (0, 1))
    return Tally(losses, correct, images)
