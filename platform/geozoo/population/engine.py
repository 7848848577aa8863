"""What an engine is asked (a job) and what it gives back (progress and blocks)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

from geozoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from torch.nn import Module

    from geozoo.datasets import ImageSet, ImageSplit
    from geozoo.recipe import HyperParameters
    from geozoo.recipe.model import Evaluation, Training

SIGN_SECONDS = 0.25
SPLITS = ("train", "validation", "test")
RUNNING_METRICS = ("running_train_loss", "running_train_accuracy", "running_generalization_gap")
METRICS: tuple[str, ...] = (
    *(f"{split}_{what}" for split in SPLITS for what in ("loss", "accuracy")),
    "generalization_gap",
    *RUNNING_METRICS,
    "finite",
)


@dataclass(frozen=True, kw_only=True)
class CohortJob:
    """One cohort to train: members of one network and activation, one optimiser and batch size.

    ``network`` are the arguments of `geozoo.nets.build_network` without ``dropout``; ``initial`` the initial weights
    ``float32 [members, params]``; ``seeds`` and ``hyperparameters`` have one entry a member. ``checkpoints`` are the
    epochs at which a block is wanted, in rising order, 0 being the initialisation; training goes up to the last.
    ``evaluation`` limits the images of each split a block is evaluated on. ``epochs`` is the length of the
    ``schedule``; it, ``augmentation`` and ``precision`` are those of `geozoo.recipe.model.Training`.
    """

    network: dict[str, Any]
    initial: NDArray[np.float32]
    seeds: NDArray[np.int64]
    hyperparameters: tuple[HyperParameters, ...]
    checkpoints: tuple[int, ...]
    epochs: int
    evaluation: Evaluation
    precision: str = "float32"
    schedule: str = "constant"
    augmentation: str = "none"

    @property
    def optimizer(self) -> str:
        """The optimiser all members share."""
        return self.hyperparameters[0].optimizer

    @property
    def batch_size(self) -> int:
        """The batch size all members share."""
        return self.hyperparameters[0].batch_size

    def epochs_after(self, start: Snapshot | None) -> range:
        """The epochs to train, from the first or after a snapshot to the last checkpoint."""
        return range(1 if start is None else start.epoch + 1, self.checkpoints[-1] + 1)

    def total_steps(self, images: ImageSet) -> int:
        """Batches of all epochs."""
        return self.epochs * -(-len(images.train) // self.batch_size)

    def evaluated(self, images: ImageSet) -> dict[str, ImageSplit]:
        """The images a block is evaluated on, by split."""
        return {split: getattr(images, split).take(slice(getattr(self.evaluation, split))) for split in SPLITS}


@dataclass(frozen=True)
class Block:
    """The cohort at one checkpoint: weights ``float32 [members, params]``, metric columns (`METRICS`) ``[members]``.

    The arrays are the receiver's: an engine does not write to them again.
    """

    epoch: int
    weights: NDArray[np.float32]
    metrics: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Snapshot:
    """All that training goes on from after an epoch: for each member, arrays by names of the engine's own.

    What has the same names and shapes in another process of the same engine; nothing of it is part of a zoo.
    """

    epoch: int
    members: tuple[dict[str, NDArray[Any]], ...]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of all members by ``<position>.<name>``."""
        return {f"{row}.{name}": array for row, state in enumerate(self.members) for name, array in state.items()}

    @classmethod
    def of(cls, epoch: int, members: int, arrays: dict[str, NDArray[Any]]) -> Self:
        """The snapshot whose `arrays` these are."""
        states: tuple[dict[str, NDArray[Any]], ...] = tuple({} for _ in range(members))
        for place, array in arrays.items():
            row, _, name = place.partition(".")
            states[int(row)][name] = array
        return cls(epoch, states)


@dataclass(frozen=True)
class Progress:
    """What happened since the last one: image presentations trained, over all members, and a block if one is ready.

    The last one of an epoch can take a ``snapshot`` of it, until the next progress is asked for.
    """

    samples: int
    block: Block | None = None
    snapshot: Callable[[], Snapshot] | None = None


def signs_of_life(steps: Iterable[int]) -> Iterator[Progress]:
    """Sum the image presentations of steps, which are done as they are drawn: several times a second, and at the end.

    ``steps`` gives how many each was.
    """
    samples, signed_at = 0, time.monotonic()
    for presented in steps:
        samples += presented
        if time.monotonic() > signed_at + SIGN_SECONDS:
            yield Progress(samples)
            samples, signed_at = 0, time.monotonic()
    yield Progress(samples)


class Engine(Protocol):
    """How a cohort is trained.

    Contract: each member's trajectory depends on its own row of the job alone (up to rounding); random numbers come
    from `geozoo.population.streams`; members are computed in one thread; a member whose weights, as stored in float32,
    are not all finite at the end of an epoch keeps that state from then on, is flagged, and changes nothing for the
    others. Engines agree with ``reference`` as the conformance tests measure it.
    """

    def train(self, job: CohortJob, images: ImageSet, start: Snapshot | None = None) -> Iterator[Progress]:
        """Train the cohort, giving a sign of life several times a second and a block at every checkpoint.

        From ``start`` it goes on after that epoch, bit for bit as the training did that the snapshot was taken of.
        """


@dataclass(frozen=True)
class EngineRecord:
    """One engine by name.

    ``load(threads)`` imports what it needs and makes it, to compute so many members at a time where it can.
    ``fits(module, channels, size, training)`` raises `InputError` for a network or a way of training it cannot do;
    ``warm_up(precision)`` does what is done once a machine, so that no training waits for it. ``uses_gpu`` tells
    whether it computes on a GPU where there is one, and ``apart(module)`` whether members of a network come out bit for
    bit the same whoever is in their cohort.
    """

    name: str
    summary: str
    load: Callable[[int], Engine] = field(repr=False)
    fits: Callable[[Module, int, int, Training], None] = field(repr=False, default=lambda *arguments: None)
    warm_up: Callable[[str], None] = field(repr=False, default=lambda precision: None)
    uses_gpu: bool = False
    apart: Callable[[Module], bool] = field(repr=False, default=lambda module: True)


def _load_reference(threads: int) -> Engine:
    from geozoo.population.reference import ReferenceEngine

    return ReferenceEngine()


def _load_torch(threads: int) -> Engine:
    from geozoo.population.torch_engine import TorchEngine

    return TorchEngine()


def _torch_apart(module: Module) -> bool:
    from geozoo.population.single import trains_alone

    return trains_alone(module)


def _load_lanes(threads: int) -> Engine:
    from geozoo.population.lanes.engine import LanesEngine

    return LanesEngine(threads)


def _lanes_fit(module: Module, channels: int, size: int, training: Training) -> None:
    from geozoo.population.lanes.lowering import lower

    known = {"precision": ("float32", "float64"), "schedule": ("constant",), "augmentation": ("none",)}
    for name, values in known.items():
        if (chosen := getattr(training, name)) not in values:
            raise InputError(f"the lanes engine has no {name} {chosen}: choose --engine torch for this recipe.")
    lower(module, channels, size, 1, training=True)


def _warm_up_lanes(precision: str) -> None:
    from geozoo.population.lanes.compiled import compiled

    compiled(precision)


ENGINES: dict[str, EngineRecord] = {
    record.name: record
    for record in (
        EngineRecord("reference", "a plain loop over members with torch.optim: the ground truth", _load_reference),
        EngineRecord(
            "torch",
            "members stacked with torch.func, large ones one by one, on a CPU or GPU",
            _load_torch,
            uses_gpu=True,
            apart=_torch_apart,
        ),
        EngineRecord(
            "lanes",
            "compiled for this CPU, the images of a batch side by side in vectors",
            _load_lanes,
            fits=_lanes_fit,
            warm_up=_warm_up_lanes,
        ),
    )
}


def find_engine(name: str) -> EngineRecord:
    """The record of an engine; an unknown name raises `InputError` that lists the known."""
    if name not in ENGINES:
        raise InputError(f"there is no engine {name!r}: choose one of auto, {', '.join(ENGINES)}.")
    return ENGINES[name]


def load_engine(name: str, threads: int = 1) -> Engine:
    """Make the engine of a name, to compute ``threads`` members at a time where it can."""
    return find_engine(name).load(threads)
