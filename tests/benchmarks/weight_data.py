"""From stored states to permuted, augmented batches: the stream of the zoo store, against the published pattern."""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import torch

from geozoo.hyper.sources import with_activations, zoo_symmetry
from geozoo.hyper.stream import RESIDENT_BYTES, StateStream
from geozoo.store import open_zoo
from geozoo.store.selection import select_states
from geozoo.training.distributed import World
from geozoo.weights.augment import Erase, Permute
from geozoo.weights.draws import RowDraws
from tests.benchmarks.published_views import published_batches, write_data_set
from tests.benchmarks.results import Result, count, ratios, spread
from tests.support.zoos import make_zoo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    Batches = Callable[[], Iterator[tuple[Tensor, Tensor]]]

MEMBERS, COHORTS, CHECKPOINTS = 1000, 40, 26
PERMUTATIONS, BATCH, REPEATS = 25_000, 500, 3
PUBLISHED = "pickled vectors, 25,000 index lists"


@dataclass(frozen=True)
class Pass:
    """One pass over the training states by a process of its own.

    ``ready`` seconds to the first batch; ``seconds`` from there to the end; ``memory`` bytes at most, beyond those of
    the process before it opened anything.
    """

    states: int
    ready: float
    seconds: float
    memory: int


def measure() -> None:
    """Run passes of every side in turn, each in a fresh process with one thread for torch."""
    with tempfile.TemporaryDirectory() as folder:
        zoo, _ = make_zoo(Path(folder, "zoo"), members=MEMBERS, cohorts=COHORTS, checkpoints=range(CHECKPOINTS))
        chosen = select_states(zoo, "train", None, "finite")
        weights = torch.from_numpy(zoo.states(chosen.members, chosen.epochs))
        write_data_set(Path(folder, "dataset.pt"), weights, zoo_symmetry(zoo), PERMUTATIONS)
        sides: dict[str, Batches] = {
            PUBLISHED: partial(published_batches, Path(folder, "dataset.pt"), BATCH),
            "zoo store, states kept in memory": partial(streamed_batches, zoo.url, RESIDENT_BYTES),
            "zoo store, shard by shard": partial(streamed_batches, zoo.url, 0),
        }
        passes: dict[str, list[Pass]] = {name: [] for name in sides}
        for _ in range(REPEATS):
            for name, batches in sides.items():
                passes[name].append(in_fresh_process(batches))
    assert {taken.states for several in passes.values() for taken in several} == {len(weights)}
    note = (
        f"{len(weights):,} training states of a simulated cnn_s zoo of {MEMBERS:,} members, 2,464 float32 weights, "
        f"in batches of {BATCH} in two views, each permuted and, one in two, erased in a block; one thread, page cache "
        f"warm, {REPEATS} passes in turn, each in a process of its own. Published: every item indexes its vector by "
        "one of the lists, which are the only permutations there are. Zoo store: every view of every state has "
        "permutations of its own, new in each pass. Memory is the peak beyond that of the process with its libraries "
        "loaded; `faster` compares states/s once the first batch is there."
    )
    columns = ("data", "states/s", "faster", "first batch after", "memory")
    Result("weight_data", "Augmented batches of states", columns, _rows(passes), (note,)).save()


def streamed_batches(url: str, resident_bytes: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Two views of every training state of a zoo, in one shuffled pass."""
    zoo = open_zoo(url)
    source = with_activations(zoo, select_states(zoo, "train", None, "finite"))
    permute, erase, generator = Permute(zoo_symmetry(zoo)), Erase(), torch.Generator().manual_seed(0)
    for batch in StateStream([source], BATCH, World(), seed=0, resident_bytes=resident_bytes).epoch(0):
        draws = RowDraws.of(generator, batch.total)
        first, second = (erase(permute(batch.weights, draws), draws) for _ in range(2))
        yield first, second


def in_fresh_process(batches: Batches) -> Pass:
    """Go through all batches in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(go_through, batches).result()


def go_through(batches: Batches) -> Pass:
    """Go through all batches here."""
    torch.set_num_threads(1)
    before = _memory("VmRSS")
    started = time.perf_counter()
    stream = batches()
    first = len(next(stream)[0])
    ready = time.perf_counter()
    rest = sum(len(one) for one, _ in stream)
    ended = time.perf_counter()
    memory = _memory("VmHWM") - before
    return Pass(first + rest, ready - started, (ended - ready) * (first + rest) / rest, memory)


def _memory(what: str) -> int:
    """Bytes of this process by the kernel's account: ``VmRSS`` now, ``VmHWM`` at most."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


def _rows(passes: dict[str, list[Pass]]) -> list[list[str]]:
    theirs = [taken.seconds for taken in passes[PUBLISHED]]
    return [
        [
            name,
            count(median(taken.states / taken.seconds for taken in several)),
            spread(ratios([taken.seconds for taken in several], theirs)),
            spread([taken.ready for taken in several], " s"),
            spread([taken.memory / 1e6 for taken in several], " MB", 0),
        ]
        for name, several in passes.items()
    ]
