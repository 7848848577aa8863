"""The lanes engine: plain stacks on a CPU, one thread per member computation."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.datasets.images import normalise
from geozoo.nets import build_network
from geozoo.population.dropout import StreamDropout
from geozoo.population.engine import Block, CohortJob, Progress, Snapshot
from geozoo.population.lanes.compiled import compiled
from geozoo.population.lanes.draws import BINS
from geozoo.population.lanes.lowering import lower
from geozoo.population.lanes.training import SETTINGS
from geozoo.population.lanes.updates import OPTIMIZER_CODES
from geozoo.population.lanes.vectors import MAX_LANES
from geozoo.population.metrics import Tally, block_metrics
from geozoo.population.streams import keep_threshold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from geozoo.datasets import ImageSet, ImageSplit
    from geozoo.population.lanes.program import Program
    from geozoo.recipe import HyperParameters

CALL_MACS = 4e9
"""Multiply-adds of one call of compiled code, a fraction of a second: between calls, progress is reported."""

GOES_ON = ("weights", "first", "second", "finite")
"""The arrays of a `Cohort` that training changes from epoch to epoch."""

Span = tuple[int, int]
Buffers = tuple[Any, ...]
Call = Callable[[Buffers, Span, Span], None]


@dataclass(frozen=True)
class Cohort:
    """The members of a job as compiled code wants them, first axis members; see `training.train_members`."""

    weights: NDArray[Any]
    first: NDArray[Any]
    second: NDArray[Any]
    settings: NDArray[np.float64]
    seeds: NDArray[np.int64]
    finite: NDArray[np.uint8]
    losses: NDArray[np.float64]
    right: NDArray[np.int64]

    @classmethod
    def of(cls, job: CohortJob) -> Cohort:
        """Start a job."""
        weights = job.initial.astype(job.precision)
        members = len(weights)
        return cls(
            weights=weights,
            first=np.zeros_like(weights),
            second=np.zeros_like(weights),
            settings=np.array([_settings(chosen) for chosen in job.hyperparameters]),
            seeds=np.array(job.seeds, dtype=np.int64),
            finite=np.array(np.isfinite(job.initial).all(axis=1), dtype=np.uint8),
            losses=np.zeros(members),
            right=np.zeros(members, dtype=np.int64),
        )

    def arguments(self) -> tuple[Any, ...]:
        """What compiled code is handed."""
        state = (self.weights, self.first, self.second, self.settings)
        return (*state, self.seeds, self.finite, self.losses, self.right)

    def snapshot(self, epoch: int) -> Snapshot:
        """What training goes on from."""
        rows = range(len(self.weights))
        return Snapshot(epoch, tuple({name: np.array(getattr(self, name)[row]) for name in GOES_ON} for row in rows))

    def restore(self, start: Snapshot) -> None:
        """Go on from a snapshot."""
        for row, state in enumerate(start.members):
            for name in GOES_ON:
                getattr(self, name)[row] = state[name]

    def take_sums(self, tally: Tally, images: int) -> None:
        """Count the sums over some images, and set them back to zero."""
        tally.add(self.losses, self.right, images)
        self.losses[:], self.right[:] = 0, 0


def _settings(chosen: HyperParameters) -> list[float]:
    values = {
        "lr": chosen.lr,
        "weight_decay": chosen.weight_decay,
        "momentum": chosen.momentum,
        "threshold": keep_threshold(chosen.dropout),
        "scale": 1 / (1 - chosen.dropout),
    }
    return [float(values[name]) for name in SETTINGS]


@dataclass(frozen=True)
class Images:
    """One split for compiled code: pixels and labels as read-only views, and the normalised value of every byte."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    table: NDArray[Any]

    @classmethod
    def of(cls, split: ImageSplit, images: ImageSet, precision: str) -> Images:
        """View a split of an image set."""
        shape = (len(split), images.channels, images.size**2)
        every_byte = np.broadcast_to(np.arange(256, dtype=np.uint8), (1, images.channels, 1, 256))
        table = normalise(every_byte, images.mean, images.std, precision)[0, :, 0]
        return cls(split.images.reshape(shape), split.labels, np.ascontiguousarray(table))

    def arguments(self) -> tuple[Any, ...]:
        """What compiled code is handed."""
        return (self.pixels, self.labels, self.table)


def lanes_of(batch_size: int) -> int:
    """How many images of a batch are computed at once: the batch cut into equal parts of at most `MAX_LANES`."""
    return -(-batch_size // -(-batch_size // MAX_LANES))


class Workers:
    """Threads that run compiled code, each call with buffers of its own."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="lanes")

    def run(self, call: Call, buffers: SimpleQueue[Buffers], tasks: list[Task]) -> Iterator[Task]:
        """Run all tasks and hand each back when it is done."""

        def work(task: Task) -> Task:
            own = buffers.get()
            try:
                call(own, task.members, task.part)
            finally:
                buffers.put(own)
            return task

        yield from self._pool.map(work, tasks)

    def close(self) -> None:
        """Wait for what runs and drop what does not."""
        self._pool.shutdown(cancel_futures=True)


def make_buffers(threads: int, program: Program, params: int, images: int, precision: str) -> SimpleQueue[Buffers]:
    """What `training.train_members` overwrites, once a thread."""
    queue: SimpleQueue[Buffers] = SimpleQueue()
    for _ in range(threads):
        queue.put(
            (
                np.zeros(program.workspace, dtype=precision),
                np.zeros(params, dtype=precision),
                np.zeros(MAX_LANES, dtype=np.uint32),
                np.zeros((2, images), dtype=np.uint32),
                np.zeros((2, images), dtype=np.int32),
                np.zeros(BINS + 1, dtype=np.int64),
            )
        )
    return queue


@dataclass(frozen=True)
class Task:
    """One call of compiled code: some members over some steps or images, one past the last in both."""

    members: Span
    part: Span


def cut_tasks(members: int, parts: int, part_macs: float, threads: int) -> Iterator[list[Task]]:
    """Cut members x parts into calls of about `CALL_MACS`; lists follow each other, tasks in a list do not mind.

    A member whose parts are too much for one call gets several, in consecutive lists; small members share one.
    """
    at_once = max(1, int(CALL_MACS / part_macs))
    rounds = -(-parts // at_once)
    group = max(1, min(int(CALL_MACS / (part_macs * parts)), -(-members // threads)))
    for number in range(rounds):
        span = (parts * number // rounds, parts * (number + 1) // rounds)
        yield [Task((first, min(first + group, members)), span) for first in range(0, members, group)]


class LanesEngine:
    """See `geozoo.population.engine.Engine`. ``threads`` members are computed at a time."""

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads

    def train(self, job: CohortJob, images: ImageSet, start: Snapshot | None = None) -> Iterator[Progress]:
        """See `geozoo.population.engine.Engine.train`."""
        run = Run(job, images, self.threads)
        try:
            if start is not None:
                run.cohort.restore(start)
            elif 0 in job.checkpoints:
                yield from run.block(0, None)
            for epoch in job.epochs_after(start):
                running = Tally.zeros(len(job.seeds))
                yield from run.epoch(epoch, running)
                if epoch in job.checkpoints:
                    yield from run.block(epoch, running)
                yield Progress(0, None, partial(run.cohort.snapshot, epoch))
        finally:
            run.workers.close()


class Run:
    """One job being trained."""

    def __init__(self, job: CohortJob, images: ImageSet, threads: int) -> None:
        module = build_network(**job.network, make_dropout=StreamDropout)
        shape = (images.channels, images.size)
        dropout = any(chosen.dropout for chosen in job.hyperparameters)
        threads = min(threads, len(job.seeds))
        self.job = job
        self.cohort = Cohort.of(job)
        self.workers = Workers(threads)
        self.training = lower(module, *shape, lanes_of(job.batch_size), training=True, dropout=dropout)
        self.evaluation = lower(module, *shape, MAX_LANES, training=False)
        self.train_images = Images.of(images.train, images, job.precision)
        self.evaluated = {name: Images.of(part, images, job.precision) for name, part in job.evaluated(images).items()}
        params = job.initial.shape[1]
        self.train_buffers = make_buffers(threads, self.training, params, len(images.train), job.precision)
        self.evaluation_buffers = make_buffers(threads, self.evaluation, 0, MAX_LANES, job.precision)
        self.train_members, self.evaluate_members = compiled(job.precision)

    def epoch(self, epoch: int, running: Tally) -> Iterator[Progress]:
        """Train one epoch; ``running`` becomes the sums over its batches as they were seen."""
        job, images = self.job, self.train_images
        code, optimizer = self.training.arguments(), OPTIMIZER_CODES[job.optimizer]

        def call(buffers: Buffers, members: Span, steps: Span) -> None:
            self.train_members(
                code, buffers, images.arguments(), self.cohort.arguments(),
                optimizer, job.batch_size, epoch, members, steps,
            )  # fmt: skip

        members, frozen = len(job.seeds), self.cohort.finite == 0
        steps = -(-len(images.labels) // job.batch_size)
        for tasks in cut_tasks(members, steps, self.training.macs * job.batch_size, self.workers.threads):
            for task in self.workers.run(call, self.train_buffers, tasks):
                yield Progress(_images_in(task, job.batch_size, len(images.labels), frozen))
        self.cohort.losses[frozen] = np.nan
        self.cohort.take_sums(running, len(images.labels))

    def block(self, epoch: int, running: Tally | None) -> Iterator[Progress]:
        """Evaluate all members and give their block."""
        code, cohort = self.evaluation.arguments(), self.cohort
        tallies = {}
        for split, images in self.evaluated.items():

            def call(buffers: Buffers, members: Span, rows: Span, images: Images = images) -> None:
                self.evaluate_members(code, buffers, images.arguments(), cohort.arguments(), members, rows)

            count = len(images.labels)
            for tasks in cut_tasks(len(cohort.seeds), count, self.evaluation.macs, self.workers.threads):
                for _ in self.workers.run(call, self.evaluation_buffers, tasks):
                    yield Progress(0)
            tallies[split] = Tally.zeros(len(cohort.seeds))
            cohort.take_sums(tallies[split], count)
        finite = cohort.finite.astype(bool)
        with np.errstate(over="ignore"):
            weights = cohort.weights.astype(np.float32)
        yield Progress(0, Block(epoch, weights, block_metrics(tallies, running, finite)))


def _images_in(task: Task, batch_size: int, images: int, frozen: NDArray[np.bool_]) -> int:
    """Image presentations of a task; frozen members are shown none."""
    moving = int((~frozen[slice(*task.members)]).sum())
    first, last = (min(step * batch_size, images) for step in task.part)
    return moving * (last - first)
