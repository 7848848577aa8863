"""Reading a zoo of 1,000 members and 26 checkpoints back, against one directory per checkpoint."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from geozoo.nets import unflatten
from geozoo.store import Zoo, open_zoo
from tests.benchmarks.results import Result, spread
from tests.support.zoos import make_zoo

if TYPE_CHECKING:
    from collections.abc import Callable

MEMBERS, COHORTS, CHECKPOINTS = 1000, 40, 26
PUBLISHED_MEMBERS = 100
REPEATS = 7
COLUMNS = ("read", "zoo store", "one directory per checkpoint", "faster")


def measure() -> None:
    """Write simulated weights both ways, then read them back in turn from the page cache."""
    with tempfile.TemporaryDirectory() as folder:
        zoo, truth = make_zoo(Path(folder, "zoo"), members=MEMBERS, cohorts=COHORTS, checkpoints=range(CHECKPOINTS))
        trials = Path(folder, "trials")
        _write_published(trials, zoo, truth.weights[:PUBLISHED_MEMBERS])
        zoo = open_zoo(zoo.url)
        zoo.commits()
        rows = [_matrix(zoo, trials, truth.weights), *_parts(zoo, trials)]
    notes = (
        f"A simulated cnn_s zoo: {MEMBERS:,} members in {COHORTS} cohorts, {CHECKPOINTS} checkpoints, "
        f"{truth.weights.nbytes / 1e6:.0f} MB of float32. The other layout is that of the published zoos, "
        "`torch.save`d state dicts and optimisers in one directory per checkpoint; of it "
        f"{PUBLISHED_MEMBERS} members were written, and its rate is taken for all. Page cache warm but where `cold` is "
        f"said (pages dropped by `posix_fadvise`), {REPEATS} repeats in turn; the commits had been read.",
    )
    Result("reading", "Reading states back", COLUMNS, rows, notes).save()


def _matrix(zoo: Zoo, trials: Path, truth: np.ndarray[Any, Any]) -> list[str]:
    ours, theirs = [], []
    part = truth[:PUBLISHED_MEMBERS]
    assert np.array_equal(zoo.weights[:], truth)
    for repeat in range(REPEATS):
        ours.append(truth.nbytes / 1e6 / _seconds(lambda: zoo.weights[:]))
        if repeat < 3:
            theirs.append(part.nbytes / 1e6 / _seconds(lambda: _read_published(trials, zoo, PUBLISHED_MEMBERS)))
    assert np.array_equal(_read_published(trials, zoo, PUBLISHED_MEMBERS), part)
    faster = [one / sorted(theirs)[1] for one in ours]
    return ["all states as one matrix", spread(ours, " MB/s", 0), spread(theirs, " MB/s", 1), spread(faster, "x", 0)]


def _parts(zoo: Zoo, trials: Path) -> list[list[str]]:
    draw = np.random.default_rng(0)
    epochs = list(range(CHECKPOINTS))

    def random_state() -> None:
        zoo.states(int(draw.integers(MEMBERS)), int(draw.integers(CHECKPOINTS)))

    def published_state() -> None:
        _read_state(trials, zoo, int(draw.integers(PUBLISHED_MEMBERS)), int(draw.integers(CHECKPOINTS)))

    def cold_state() -> float:
        _drop_pages(Path(zoo.url))
        return _seconds(random_state)

    cold = [1e3 * cold_state() for _ in range(REPEATS)]
    return [
        _row("one random state", random_state, published_state, 100),
        ["one random state, cold", spread(cold, " ms", 2), "", ""],
        _row(
            "all states of a member",
            lambda: zoo.states(int(draw.integers(MEMBERS)), epochs),
            lambda: [_read_state(trials, zoo, 7, epoch) for epoch in epochs],
        ),
        _row(
            "all members at an epoch",
            lambda: zoo.states(list(range(MEMBERS)), int(draw.integers(CHECKPOINTS))),
            lambda: [_read_state(trials, zoo, member, 9) for member in range(PUBLISHED_MEMBERS)],
            scale=MEMBERS / PUBLISHED_MEMBERS,
        ),
    ]


def _row(
    what: str, ours: Callable[[], object], theirs: Callable[[], object], times: int = REPEATS, scale: float = 1
) -> list[str]:
    here, there = [], []
    for _ in range(times):
        here.append(1e3 * _seconds(ours))
        there.append(1e3 * scale * _seconds(theirs))
    faster = [slow / fast for fast, slow in zip(here, there, strict=True)]
    return [what, spread(here, " ms", 2), spread(there, " ms"), spread(faster, "x", 1)]


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _drop_pages(folder: Path) -> None:
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def _folder(trials: Path, member: str, step: int) -> Path:
    return trials / f"NN_tune_trainable_{member}" / f"checkpoint_{step:06d}"


def _write_published(trials: Path, zoo: Zoo, weights: np.ndarray[Any, Any]) -> None:
    for member, states in zip(zoo.members["member"], weights, strict=False):
        for step, vector in enumerate(states):
            folder = _folder(trials, member, step)
            folder.mkdir(parents=True)
            state = {name: tensor.clone() for name, tensor in unflatten(torch.from_numpy(vector), zoo.layout).items()}
            torch.save(state, folder / "checkpoints")
            moments = {name: {"exp_avg": tensor, "exp_avg_sq": tensor} for name, tensor in state.items()}
            torch.save(moments, folder / "optimizer")


def _read_state(trials: Path, zoo: Zoo, member: int, step: int) -> np.ndarray[Any, Any]:
    folder = _folder(trials, str(zoo.members["member"].iloc[member]), step)
    state = torch.load(folder / "checkpoints", weights_only=True)
    return torch.cat([tensor.flatten() for tensor in state.values()]).numpy()


def _read_published(trials: Path, zoo: Zoo, members: int) -> np.ndarray[Any, Any]:
    return np.stack(
        [[_read_state(trials, zoo, member, step) for step in range(CHECKPOINTS)] for member in range(members)]
    )
