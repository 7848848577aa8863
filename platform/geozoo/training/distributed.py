"""Several workers as one: who holds which rows of a batch, sums and gathers that carry gradient.

The convention everywhere is that of sums: the loss of the whole batch is the *sum* of what the workers return, so the
gradient of a parameter is the sum of the workers' gradients. All collectives run over the default process group, on
gloo (CPU) as well as NCCL, and do nothing where there is one worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


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


def own_device() -> str:
    """``cuda`` where this process sees a GPU, else ``cpu``: for work that is done in this one process."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def share(total: int, world: World, rank: int | None = None) -> slice:
    """The rows of a batch of ``total`` that a worker holds: consecutive, and as even as whole rows allow."""
    number = world.rank if rank is None else rank
    return slice(total * number // world.size, total * (number + 1) // world.size)


def sum_over_workers(local: Tensor) -> Tensor:
    """The sum of a tensor over all workers, with gradient: every worker's output depends on every worker's input."""
    if not several_workers():
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


def several_workers() -> bool:
    """Whether the default process group has more than this process."""
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
