"""The training loop: one model, on one worker or several, from its last checkpoint to its last epoch."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from geozoo.errors import TrainingError
from geozoo.training.best import drop_others, save_weights
from geozoo.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from geozoo.training.distributed import share
from geozoo.training.draws import derived_seed
from geozoo.training.optimizers import make_optimizer, make_schedule
from geozoo.training.sums import TermSums
from geozoo.weights.draws import RowDraws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from geozoo.store import Location
    from geozoo.training.distributed import World
    from geozoo.training.settings import OptimizerSettings, ScheduleSettings, TrainingSettings

LOSS = "loss"
VALIDATION = "validation_"


class Batch(Protocol):
    """The part of a batch that this worker holds: `geozoo.training.distributed.share` of ``total`` rows."""

    @property
    def total(self) -> int:
        """Rows over all workers."""


class Source(Protocol):
    """Batches, the same for every number of workers."""

    def __len__(self) -> int:
        """Batches of an epoch."""

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch ``first`` on, in an order that depends on the epoch's number alone."""


@dataclass(frozen=True)
class Job:
    """A training run.

    Attributes:
        system: what is trained; its weights are where training starts. ``system(batch, draws)`` returns this worker's
            share of every term of the loss by name, ``loss`` among them: summed over the workers they are the values
            for the batch. All randomness but dropout comes from the `RowDraws`.
        train: training batches.
        validation: batches of the validation loss, or None: then the training loss takes its place.
        settings: length, batches, arithmetic, stopping.
        optimizer: which optimiser.
        schedule: how the learning rate moves.
        identity: what a checkpoint must have been started with to be continued, as text.
        monitor: measures the system in evaluation mode after every epoch, on every worker; joins the epoch's record.
    """

    system: nn.Module
    train: Source
    validation: Source | None
    settings: TrainingSettings
    optimizer: OptimizerSettings
    schedule: ScheduleSettings
    identity: str = ""
    monitor: Callable[[World], dict[str, float]] = lambda world: {}


@dataclass(frozen=True)
class Watch:
    """Who is told: ``on_epoch`` with the record of every finished epoch."""

    on_epoch: Callable[[dict[str, float]], None] = lambda record: None


def fit(job: Job, world: World, location: Location | None = None, watch: Watch | None = None) -> Checkpoint:
    """Train to the end, from the checkpoint at ``location`` if there is one; every worker calls it.

    After every epoch, and after every ``checkpoint_steps`` steps of one, the first worker writes a checkpoint. A run
    that was killed continues from its last checkpoint with the same batches, random numbers and rates, so its loss
    curve is that of a run never stopped (bit for bit with as many workers and threads on the same kind of processor and
    the same ``checkpoint_steps``, which decide in which order the terms of several workers are summed). Of an epoch
    that was continued the record's ``seconds`` and ``data_wait`` are those since then. On a GPU ``gpu_mib`` is the most
    memory that tensors took there so far.

    Returns:
        The last checkpoint; ``best`` holds the weights to keep, which the system then has.

    Raises:
        TrainingError: the loss of an epoch is not finite.
        InputError: the checkpoint there belongs to another run.
    """
    watch = watch or Watch()
    run = _Run(job, world, location)
    state = (load_checkpoint(location, job.identity, world.device) if location else None) or Checkpoint(job.identity)
    run.restore(state)
    run.drop_worse(state)
    while not state.finished:
        record = run.epoch(state)
        state = run.checkpoint(state, record)
        run.save(state)
        watch.on_epoch(record)
    if state.best is not None:
        job.system.load_state_dict(state.best)
    return state


def best_epoch(history: Sequence[Mapping[str, float]]) -> int:
    """The epoch with the least validation loss (training loss where nothing is validated), the first of equals."""
    return best_epochs(history, 1)[0]


def best_epochs(history: Sequence[Mapping[str, float]], count: int) -> list[int]:
    """The ``count`` best epochs, or all where there are fewer, as `best_epoch` ranks them; the best first.

    A loss that is not a number is the worst.
    """

    def rank(record: Mapping[str, float]) -> tuple[bool, float]:
        validation = f"{VALIDATION}{LOSS}"
        loss = record[validation if validation in record else LOSS]
        return math.isnan(loss), loss

    return [int(record["epoch"]) for record in sorted(history, key=rank)[:count]]


class _Run:
    """The moving parts of a job on one worker."""

    def __init__(self, job: Job, world: World, location: Location | None) -> None:
        self.job, self.world = job, world
        self.location = location if world.is_first else None
        self.system = job.system.to(world.device)
        self.wrapped: nn.Module = self.system
        if world.size > 1:
            ids = [torch.device(world.device)] if world.device.startswith("cuda") else None
            self.wrapped = nn.parallel.DistributedDataParallel(self.system, device_ids=ids, forward_sync_buffers=False)
        self.optimizer = make_optimizer(self.system, job.optimizer)
        self.schedule = make_schedule(self.optimizer, job.schedule, job.settings.epochs * len(job.train))

    def restore(self, state: Checkpoint) -> None:
        """Continue from a checkpoint that has a step."""
        if not state.module:
            return
        self.system.load_state_dict(state.module)
        self.optimizer.load_state_dict(state.optimizer)
        self.schedule.load_state_dict(state.schedule)

    def epoch(self, state: Checkpoint) -> dict[str, float]:
        """Train the rest of an epoch and validate; the record of both."""
        number, started = state.epoch, time.perf_counter()
        terms, waited = self._train(state)
        trained = time.perf_counter() - started
        record = {"epoch": float(number + 1), **terms}
        if not math.isfinite(record[LOSS]):
            raise TrainingError(
                f"the training loss of epoch {number + 1} is {record[LOSS]}: lower optimizer.lr, or look for states "
                "that are not finite."
            )
        if self.job.validation is not None:
            record |= {f"{VALIDATION}{name}": value for name, value in self._validate(self.job.validation).items()}
        self.system.eval()
        record |= self.job.monitor(self.world)
        self.schedule.after_epoch(record[LOSS])
        seconds = time.perf_counter() - started
        if self.world.device.startswith("cuda"):
            record["gpu_mib"] = torch.cuda.max_memory_allocated(self.world.device) / 2**20
        return record | {
            "lr": self.optimizer.param_groups[0]["lr"],
            "seconds": seconds,
            "data_wait": waited / trained,
        }

    def checkpoint(self, before: Checkpoint, record: dict[str, float]) -> Checkpoint:
        """The checkpoint after an epoch: keeps the weights of the least validation loss, decides whether to stop."""
        history = [*before.history, record]
        module = {name: tensor.detach().clone() for name, tensor in self.system.state_dict().items()}
        best, patience, epoch = best_epoch(history), self.job.settings.patience, before.epoch + 1
        return Checkpoint(
            identity=self.job.identity,
            epoch=epoch,
            module=module,
            optimizer=self.optimizer.state_dict(),
            schedule=self.schedule.state_dict(),
            history=history,
            best=module if best == epoch else before.best,
            finished=epoch >= self.job.settings.epochs or (patience is not None and epoch - best >= patience),
        )

    def save(self, state: Checkpoint) -> None:
        """After an epoch: write its weights if it is among the best, then the checkpoint; then drop what fell out."""
        if self.location is None:
            return
        keep_best = self.job.settings.keep_best
        if keep_best > 1 and state.epoch in best_epochs(state.history, keep_best):
            save_weights(self.location, state.epoch, state.module)
        save_checkpoint(self.location, state)
        self.drop_worse(state)

    def drop_worse(self, state: Checkpoint) -> None:
        """Leave only the weights of the best epochs; a run that died after a checkpoint may not have come to it."""
        keep_best = self.job.settings.keep_best
        if self.location is not None and keep_best > 1:
            drop_others(self.location, best_epochs(state.history, keep_best))

    def _train(self, state: Checkpoint) -> tuple[dict[str, float], float]:
        """The means of the terms over the whole epoch, and the seconds that its remaining steps waited for batches."""
        self.system.train()
        sums = TermSums(self.world, state.rows, state.sums)
        batches = iter(self.job.train.epoch(state.epoch, state.step))
        every = self.job.settings.checkpoint_steps
        waited, step = 0.0, state.step
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            waited += time.perf_counter() - asked
            if batch is None:
                return sums.means() or {LOSS: math.nan}, waited
            self._step(batch, sums, "train", state.epoch, step)
            step += 1
            if every is not None and step % every == 0:
                self._save_step(state, step, sums)

    def _save_step(self, state: Checkpoint, step: int, sums: TermSums) -> None:
        """The checkpoint in the middle of the epoch after ``state``; every worker adds its sums."""
        summed = sums.over_workers()
        if self.location is None:
            return
        middle = replace(
            state,
            module=self.system.state_dict(),
            optimizer=self.optimizer.state_dict(),
            schedule=self.schedule.state_dict(),
            step=step,
            rows=sums.rows,
            sums=summed,
        )
        save_checkpoint(self.location, middle)

    def _step(self, batch: Batch, sums: TermSums, *place: int | str) -> None:
        terms = self._terms(self.wrapped, batch, *place)
        self.optimizer.zero_grad(set_to_none=True)
        (terms[LOSS] * self.world.size).backward()  # the wrapper averages over workers
        self.optimizer.step()
        self.schedule.after_step()
        sums.add(terms, batch.total)

    def _validate(self, source: Source) -> dict[str, float]:
        self.system.eval()
        sums = TermSums(self.world)
        with torch.no_grad():
            for step, batch in enumerate(source.epoch(0)):
                sums.add(self._terms(self.system, batch, "validation", 0, step), batch.total)
        return sums.means() or {LOSS: math.nan}

    def _terms(self, module: nn.Module, batch: Batch, *place: int | str) -> dict[str, Tensor]:
        """The terms of a batch, with random numbers that depend on the seed and the place in the run alone."""
        seed = self.job.settings.seed
        generator = torch.Generator(self.world.device).manual_seed(derived_seed(seed, *place))
        torch.manual_seed(derived_seed(seed, "dropout", self.world.rank, *place))
        draws = RowDraws(generator, batch.total, share(batch.total, self.world))
        bfloat16 = self.job.settings.precision == "bfloat16"
        with torch.autocast(torch.device(self.world.device).type, torch.bfloat16, enabled=bfloat16):
            terms: dict[str, Tensor] = module(batch, draws)
        return terms
