"""Engines against the loop over members, on one core: samples a second at batch 10, 32, 128 and 512, Adam."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from geozoo.datasets import DatasetOptions, ImageSet, SplitLimits, load_image_set
from geozoo.population import choose_engine, load_engine
from geozoo.recipe.model import Evaluation, Training
from tests.benchmarks.loop import Timed, train_one
from tests.benchmarks.results import Result, count, ratios, spread
from tests.support.population import cohort_job, hyperparameters

if TYPE_CHECKING:
    from geozoo.population import CohortJob, Engine

REPEATS = 3
BATCHES = (10, 32, 128, 512)
CASES: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("cnn_s", {"name": "mnist", "limits": SplitLimits(train=3000)}, 12),
    ("tetris_mlp", {"name": "tetris"}, 128),
    ("unterthiner", {"name": "mnist", "limits": SplitLimits(train=3000)}, 12),
    ("cnn_l", {"name": "eurosat", "size": 32, "limits": SplitLimits(train=1500)}, 6),
)
"""Network, image set, and members an engine trains at once."""
EVALUATED = 500
COLUMNS = (
    *("network, images", "batch", "loop, samples/s", "lanes, samples/s", "lanes over loop", "with evaluation"),
    *("evaluating: loop, lanes", "lanes over torch", "auto takes"),
)


def measure() -> None:
    """Measure all cases, repeats of the three sides in turn."""
    torch.set_num_threads(1)
    rows = []
    for network, options, members in CASES:
        images = load_image_set(DatasetOptions(**options))
        for batch_size in BATCHES:
            rows.append(_row(network, images, members, batch_size))
            print(" | ".join(rows[-1]), flush=True)
    notes = (
        f"One core, {REPEATS} repeats in turn. The loop trains one network with `torch.optim.Adam` on normalised "
        "tensors in memory; an engine (`lanes`, `torch`) trains several members at once. Both train one epoch in "
        f"float32 and evaluate the same {EVALUATED} images of each split before and after it; `evaluating` is the "
        "share of time that takes. Rates are those of the fastest repeat, ratios medians over pairs. Compilation is "
        "not in it, see `compiling`.",
    )
    Result("engines", "Engines against the per-model loop, one core", COLUMNS, rows, notes).save()


def _row(network: str, images: ImageSet, members: int, batch_size: int) -> list[str]:
    chosen = [hyperparameters(batch_size=batch_size)] * members
    job = cohort_job(images, chosen, network=network, precision="float32")
    job = replace(job, evaluation=Evaluation(train=EVALUATED, validation=EVALUATED, test=EVALUATED))
    time_engine(load_engine("lanes"), replace(job, checkpoints=(0,)), images)
    sides: dict[str, list[Timed]] = {"loop": [], "lanes": [], "torch": []}
    for _ in range(REPEATS):
        sides["loop"].append(train_one(job.network, images, batch_size=batch_size, evaluated=EVALUATED))
        sides["lanes"].append(time_engine(load_engine("lanes"), job, images))
        sides["torch"].append(time_engine(load_engine("torch"), job, images))
    seconds = {side: [run.training / run.samples for run in runs] for side, runs in sides.items()}
    totals = {side: [run.total for run in runs] for side, runs in sides.items()}
    shares = {
        side: [100 * run.evaluating / (run.evaluating + run.training) for run in runs] for side, runs in sides.items()
    }
    return [
        f"{network}, {images.name}",
        str(batch_size),
        count(1 / min(seconds["loop"])),
        count(1 / min(seconds["lanes"])),
        spread(ratios(seconds["lanes"], seconds["loop"])),
        spread(ratios(totals["lanes"], totals["loop"])),
        f"{min(shares['loop']):.0f} %, {min(shares['lanes']):.0f} %",
        spread(ratios(seconds["lanes"], seconds["torch"])),
        choose_engine("auto", job.network, batch_size, Training(epochs=1)).engine,
    ]


def time_engine(engine: Engine, job: CohortJob, images: ImageSet) -> Timed:
    """Run a job; time before a progress without samples is evaluation."""
    training = evaluating = 0.0
    samples = 0
    before = time.perf_counter()
    for progress in engine.train(job, images):
        now = time.perf_counter()
        if progress.samples:
            training += now - before
        else:
            evaluating += now - before
        samples += progress.samples
        before = now
    return Timed(training, evaluating, samples)
