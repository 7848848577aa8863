"""How much is computed at once: members in a pack, images in an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

EVALUATED_AT_ONCE = 1024
"""Network evaluations (members x images) in one call on a CPU: keeps activations of the small networks in cache."""

EVALUATED_AT_ONCE_ON_GPU = 2**18
MEMORY_FRACTION = 0.7
"""Of the memory that is free, what a training step may take; the rest is for evaluation and what libraries hold."""


@dataclass(frozen=True)
class PackSizes:
    """Members whose training step is computed at once, and images all of them are evaluated on in one call."""

    members: int
    images: int


def sizes_on_cpu(members: int) -> PackSizes:
    """All members at once, and so many images as stay in cache."""
    return PackSizes(members, max(1, EVALUATED_AT_ONCE // members))


def sizes_in_memory(members: int, batch_size: int, free: int, bytes_per_member: int) -> PackSizes:
    """Fit a training step of ``bytes_per_member`` into `MEMORY_FRACTION` of ``free`` bytes, one member at least.

    A pack is evaluated on as many images as need no more than the training step of a full pack does.
    """
    pack = max(1, min(members, int(MEMORY_FRACTION * free / max(bytes_per_member, 1))))
    room = int(MEMORY_FRACTION * free * batch_size / max(bytes_per_member * pack, 1))
    return PackSizes(pack, max(1, min(room, EVALUATED_AT_ONCE_ON_GPU // pack)))


def peak_memory(call: Callable[[], object]) -> int:
    """Bytes that a call takes on the GPU beyond what is allocated before it."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def free_memory() -> int:
    """Bytes that this process may still take on the GPU, its own unused reserve included."""
    free, _ = torch.cuda.mem_get_info()
    return free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
