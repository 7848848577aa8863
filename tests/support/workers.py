"""Several processes of this machine as the workers of one job, over gloo."""

from __future__ import annotations

import multiprocessing
import os
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from geozoo.training.distributed import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


SLOW_TO_IMPORT = ("torch", "torch._dynamo", "lightly.loss", "pytorch_metric_learning.miners")
"""Imported once for all workers."""


def on_workers(size: int, folder: Path, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What ``function(world, *arguments)`` returns on each of ``size`` workers; one worker is this process."""
    if size == 1:
        return [function(World(), *arguments)]
    folder.mkdir(parents=True, exist_ok=True)
    multiprocessing.get_context("forkserver").set_forkserver_preload([*SLOW_TO_IMPORT, __name__])
    arguments = (size, str(folder), function, arguments)
    mp.start_processes(_work, arguments, nprocs=size, start_method="forkserver")  # type: ignore[no-untyped-call]
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(size)]


def _work(rank: int, size: int, folder: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size)
    try:
        torch.save(function(World.current(), *arguments), f"{folder}/{rank}.pt")
    finally:
        dist.destroy_process_group()
