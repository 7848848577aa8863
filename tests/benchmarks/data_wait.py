"""How long the trainer of hyper-representations waits for data."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from geozoo.hyper.experiment import load_experiment
from geozoo.hyper.fit import prepare
from geozoo.hyper.stream import RESIDENT_BYTES, StateStream
from geozoo.training.distributed import World
from geozoo.training.loop import Watch, fit
from tests.benchmarks.results import Result, count, spread
from tests.support.zoos import make_zoo

if TYPE_CHECKING:
    from geozoo.hyper.experiment import HyperExperiment

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "hyper" / "mnist_small.yaml"
MEMBERS, COHORTS, EPOCHS = 400, 16, 3
SIDES = {"states kept in memory": RESIDENT_BYTES, "shard by shard, read ahead": 0}


def measure() -> None:
    """Train the experiment of the working zoo for some epochs on a simulated zoo, with either way of reading."""
    with tempfile.TemporaryDirectory() as folder:
        zoo, _ = make_zoo(Path(folder, "zoo"), members=MEMBERS, cohorts=COHORTS, checkpoints=range(26))
        overrides = [f"zoo={zoo.url}", f"training.epochs={EPOCHS}"]
        experiment = load_experiment(EXPERIMENT, overrides)
        runs = {name: _train(experiment, resident) for name, resident in SIDES.items()}
    states = runs[next(iter(SIDES))][0]
    rows = [
        [
            name,
            count(states / min(epoch["seconds"] for epoch in epochs)),
            spread([100 * epoch["data_wait"] for epoch in epochs], " %", 2),
        ]
        for name, (_, epochs) in runs.items()
    ]
    note = (
        f"`experiments/hyper/mnist_small.yaml`, {EPOCHS} epochs of {states:,} states of a simulated cnn_s zoo of "
        f"{MEMBERS:,} members, one process with {torch.get_num_threads()} threads. The share is the time that the loop "
        "waits for its next batch, of the time that training takes; the first epoch reads and aligns all states where "
        "they are kept in memory. `states/s` counts validation as well. Every training run records its own share in "
        "each epoch of its card (`data_wait`)."
    )
    columns = ("states", "states/s", "waits for data")
    Result("data_wait", "What the trainer waits for", columns, rows, (note,)).save()


def _train(experiment: HyperExperiment, resident_bytes: int) -> tuple[int, list[dict[str, float]]]:
    """Training states, and the record of every epoch."""
    prepared = prepare(experiment, World())
    stream = prepared.job.train
    assert isinstance(stream, StateStream)
    stream.resident_bytes = resident_bytes
    epochs: list[dict[str, float]] = []
    fit(prepared.job, World(), watch=Watch(epochs.append))
    return sum(len(states) for states in prepared.train), epochs
