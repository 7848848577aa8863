"""The torch engine on a GPU against loops over members on the same GPU; without a GPU the same, smaller, on a CPU."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from geozoo.datasets import DatasetOptions, ImageSet, load_image_set
from geozoo.errors import DataNotFoundError
from geozoo.population.tensors import arithmetic
from geozoo.population.torch_engine import TorchEngine
from geozoo.recipe.model import Evaluation
from tests.benchmarks.engines import time_engine
from tests.benchmarks.loop import Timed, train_one, train_one_resnet
from tests.benchmarks.results import Result, baseline_cell, count, describe_machine, ratios, spread
from tests.support.population import cohort_job, hyperparameters, simulated_images

if TYPE_CHECKING:
    from geozoo.population import CohortJob

COLUMNS = (
    *("network, images", "batch", "arithmetic", "members", "loop, samples/s", "engine, samples/s", "engine over loop"),
    "engine over loop with evaluation",
)
EVALUATED = 500


@dataclass(frozen=True)
class Sizes:
    """How much is measured: ``small`` for cnn_s, ``large`` for ResNet-18."""

    device: str
    members: tuple[int, ...]
    small_images: int
    large_images: int
    large_batch: int
    repeats: int


ON_GPU = Sizes("cuda", (1024, 4096), 5000, 20_000, 128, 3)
ON_CPU = Sizes("cpu", (32,), 500, 64, 16, 2)


def measure() -> None:
    """Alternate loop and engine."""
    sizes = ON_GPU if torch.cuda.is_available() else ON_CPU
    digits, colours = _digits(sizes.small_images), simulated_images(train=sizes.large_images, channels=3, size=32)
    rows = [_small(sizes, digits, members, "float32") for members in sizes.members]
    if sizes is ON_GPU:
        rows += [_small(sizes, digits, sizes.members[0], "tf32")]
    rows += [_resnet(sizes, colours, precision) for precision in ("float32", "bfloat16")]
    where = torch.cuda.get_device_name() if sizes.device == "cuda" else "no GPU: sizes cut down, one core of the CPU"
    note = (
        f"Device: {where}. {sizes.repeats} repeats in turn. cnn_s: Adam, constant rate; the loop trains one network. "
        "ResNet-18: SGD, OneCycle, crops and mirrors on the device, channels_last, on simulated 32-pixel images, "
        "against a loop of the same settings written by hand; one network at a time on both sides. TF32 is off on both "
        f"sides but where it is said. Both evaluate {EVALUATED} images of each split before and after one epoch."
    )
    machine = {"device": where} | describe_machine()
    Result("gpu", "The torch engine against loops on one device", COLUMNS, rows, (note,), machine=machine).save()


def _digits(train: int) -> ImageSet:
    try:
        return load_image_set(DatasetOptions(name="mnist", limits={"train": train}))
    except DataNotFoundError:
        return simulated_images(train=train, test=EVALUATED)


def _small(sizes: Sizes, images: ImageSet, members: int, precision: str) -> list[str]:
    job = _limited(cohort_job(images, [hyperparameters(batch_size=10)] * members, precision=precision))
    loops, engines = [], []
    for _ in range(sizes.repeats):
        with arithmetic(precision):
            loops.append(train_one(job.network, images, batch_size=10, evaluated=EVALUATED, device=sizes.device))
        engines.append(time_engine(TorchEngine(sizes.device), job, images))
    return _row("cnn_s", images, 10, precision, members, loops, engines)


def _resnet(sizes: Sizes, images: ImageSet, precision: str) -> list[str]:
    batch = sizes.large_batch
    one = hyperparameters(activation="relu", optimizer="sgd", lr=0.05, weight_decay=5e-4, batch_size=batch)
    job = _limited(cohort_job(images, [one], network="resnet18", precision=precision))
    job = replace(job, schedule="onecycle", augmentation="crop_flip")
    loops, engines = [], []
    for _ in range(sizes.repeats + 1):
        with arithmetic(precision):
            loops.append(train_one_resnet(images, batch, precision == "bfloat16", EVALUATED, sizes.device))
        engines.append(time_engine(TorchEngine(sizes.device), job, images))
    return _row("resnet18", images, batch, precision, 1, loops[1:], engines[1:])


def _limited(job: CohortJob) -> CohortJob:
    return replace(job, evaluation=Evaluation(train=EVALUATED, validation=EVALUATED, test=EVALUATED))


def _row(
    network: str, images: ImageSet, batch: int, precision: str, members: int, loops: list[Timed], engines: list[Timed]
) -> list[str]:
    per_sample = [[run.training / run.samples for run in runs] for runs in (engines, loops)]
    totals = [[run.total for run in runs] for runs in (engines, loops)]
    faster, with_evaluation = ratios(*per_sample), ratios(*totals)
    return [
        *(f"{network}, {images.name}", str(batch), precision, f"{members:,}"),
        *(baseline_cell(count(1 / min(per_sample[1])), faster), count(1 / min(per_sample[0]))),
        *(spread(faster), baseline_cell(spread(with_evaluation), with_evaluation)),
    ]
