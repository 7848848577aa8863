"""An epoch of training data out of a zoo: shuffled by shard, in one process, in workers and through Ray Data."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.utils.data import DataLoader

from geozoo.cluster.data import read_states
from geozoo.cluster.session import ray_session
from geozoo.store.torch_data import ShardSampler
from tests.benchmarks.results import Result, ratios, spread
from tests.benchmarks.side_by_side import seconds
from tests.support.zoos import make_zoo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from geozoo.store import Zoo

MEMBERS, COHORTS, CHECKPOINTS = 1000, 40, 26
BATCH, REPEATS = 64, 3
UNIFORM = "DataLoader, shuffle=True"


def measure() -> None:
    """Run epochs of every loader in turn over the training split of one zoo, read from the page cache."""
    with tempfile.TemporaryDirectory() as folder, ray_session(None):
        zoo, _ = make_zoo(Path(folder, "zoo"), members=MEMBERS, cohorts=COHORTS, checkpoints=range(CHECKPOINTS))
        states = len(zoo.torch_dataset())
        loaders = _loaders(zoo)
        times: dict[str, list[float]] = {name: [] for name in loaders}
        for epoch in range(REPEATS + 1):
            for name, load in loaders.items():
                took = seconds(partial(_go_through, load, epoch, states))
                if epoch:
                    times[name].append(took)
    rows = [
        [name, spread([states / took for took in taken], "", 0), spread(ratios(taken, times[UNIFORM]))]
        for name, taken in times.items()
    ]
    note = (
        f"The training split of a simulated cnn_s zoo of {MEMBERS:,} members in {COHORTS} cohorts, {states:,} states "
        f"of 2,464 float32 weights, in batches of {BATCH} tensors; page cache warm, {REPEATS} epochs in turn after one "
        "that does not count. Making the data set, for which metrics are read, counts as well. Workers and Ray tasks "
        "are other processes; the workers start in every epoch. Ray runs on this machine and hands its blocks over "
        "through shared memory. `faster` is against the first row."
    )
    Result("loading", "An epoch of training data", ("loader", "states/s", "faster"), rows, (note,)).save()


def _loaders(zoo: Zoo) -> dict[str, Callable[[int], Iterable[int]]]:
    """For each loader, the sizes of the batches of an epoch."""

    def uniform(epoch: int) -> Iterable[int]:
        return (len(target) for _, target in DataLoader(zoo.torch_dataset(), BATCH, shuffle=True))

    def by_shard(epoch: int, workers: int = 0) -> Iterable[int]:
        data = zoo.torch_dataset()
        sampler = ShardSampler(data)
        sampler.set_epoch(epoch)
        return (len(target) for _, target in DataLoader(data, BATCH, sampler=sampler, num_workers=workers))

    def with_ray(epoch: int) -> Iterable[int]:
        batches = read_states(zoo.url, seed=0, epoch=epoch).iter_batches(batch_size=BATCH, batch_format="numpy")
        tensors = ((torch.tensor(batch["weights"]), torch.tensor(batch["target"])) for batch in batches)
        return (len(target) for _, target in tensors)

    return {
        UNIFORM: uniform,
        "DataLoader, ShardSampler": by_shard,
        "DataLoader, ShardSampler, 2 workers": lambda epoch: by_shard(epoch, workers=2),
        "Ray Data, read_states": with_ray,
    }


def _go_through(load: Callable[[int], Iterable[int]], epoch: int, states: int) -> None:
    """All batches of an epoch; makes sure that it was one."""
    assert sum(load(epoch)) == states
