"""Several workers as one: who holds which rows of a batch, sums and gathers that carry gradient, BatchNorm over all.

The convention everywhere is that of sums: the loss of the whole batch is the *sum* of what the workers return, so the
gradient of a parameter is the sum of the workers' gradients. All collectives run over the default process group, on
gloo (CPU) as well as NCCL, and do nothing where there is one worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class World:
    """The workers of a job: this one is number ``rank`` of ``size``, and computes on ``device``."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @classmethod
    def current(cls, device: str = "cpu") -> World:
        """The world of the default process group, or one of this process alone."""
        if not dist.is_initialized():
            return cls(device=device)
        return cls(dist.get_rank(), dist.get_world_size(), device)

    @property
    def is_first(self) -> bool:
        """Whether this worker writes checkpoints and curves."""
        return self.rank == 0


def share(total: int, world: World, rank: int | None = None) -> slice:
    """The rows of a batch of ``total`` that a worker holds: consecutive, and as even as whole rows allow."""
    number = world.rank if rank is None else rank
    return slice(total * number // world.size, total * (number + 1) // world.size)


def sum_over_workers(local: Tensor) -> Tensor:
    """The sum of a tensor over all workers, with gradient: every worker's output depends on every worker's input."""
    if not _several():
        return local
    summed: Tensor = _Sum.apply(local)
    return summed


def gather_rows(local: Tensor, total: int, world: World) -> Tensor:
    """All rows ``[total, ...]`` of a batch of which this worker holds `share`, in order and with gradient.

    A worker's gradient is the sum of what all workers send back to its rows. Workers may hold unequal numbers of rows,
    or none.
    """
    if world.size == 1:
        return local
    gathered: Tensor = _Gather.apply(local, total, world)
    return gathered


def _several() -> bool:
    return dist.is_initialized() and dist.get_world_size() > 1


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        out = local.detach().clone()
        dist.all_reduce(out)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        out = gradient.clone()
        dist.all_reduce(out)
        return out


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, local: Tensor, total: int, world: World) -> Tensor:
        ctx.place = share(total, world)
        places = [share(total, world, rank) for rank in range(world.size)]
        most = max(place.stop - place.start for place in places)
        padded = local.new_zeros((most, *local.shape[1:]))
        padded[: len(local)] = local.detach()
        parts = [torch.empty_like(padded) for _ in places]
        dist.all_gather(parts, padded)
        return torch.cat([part[: place.stop - place.start] for part, place in zip(parts, places, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        summed = gradient.clone()
        dist.all_reduce(summed)
        return summed[ctx.place], None, None


class SyncedBatchNorm1d(nn.BatchNorm1d):
    """BatchNorm over the rows of all workers, on any backend: torch's ``SyncBatchNorm`` refuses a CPU.

    Takes ``[rows, features]``; rows may be unequally spread over the workers. With one worker it equals
    `torch.nn.BatchNorm1d`, except that a batch of a single row is allowed (its variance is 0, and the running variance
    keeps its value).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``[rows, features]`` by the mean and variance of all rows, or by the running ones in evaluation."""
        if not self.training:
            return super().forward(input)
        rows = input.new_tensor([float(len(input))])
        count = float(sum_over_workers(rows))
        mean = sum_over_workers(input.sum(0)) / count
        centred = input - mean
        variance = sum_over_workers(centred.square().sum(0)) / count
        self._remember(mean.detach(), variance.detach(), count)
        normalised = centred * torch.rsqrt(variance + self.eps)
        return normalised * self.weight + self.bias

    def _remember(self, mean: Tensor, variance: Tensor, count: float) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        momentum = 0.1 if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        if count > 1:
            unbiased = variance * count / (count - 1)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), momentum)
