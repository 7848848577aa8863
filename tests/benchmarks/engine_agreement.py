"""Do two engines train the same population? Paired test accuracies over a short real run, beside the noise floor.

    python tests/benchmarks/engine_agreement.py zoos/mnist_cnn_seed.yaml --members 32 --epochs 2

Training is chaotic, so float32 runs are compared in distribution: every member is trained by the engine and by
``reference`` from the same weights, and by ``reference`` once more from weights perturbed by a relative 1e-7, which
shows what rounding alone does. Printed are the mean paired differences of final test accuracy in points with their
standard errors. Finished cohorts are kept in ``--cache``, so an interrupted comparison goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from geozoo.datasets import load_image_set
from geozoo.populate import cohort_job, prepare_zoo
from geozoo.population import load_engine
from geozoo.recipe import load_recipe, parse_recipe
from geozoo.store import open_zoo

PERTURBATION = 1e-7


def final_accuracies(url: str, cohort: str, engine: str, perturbed: bool) -> list[float]:
    """Train one cohort without storing it and return its members' final test accuracies."""
    zoo = open_zoo(url)
    job = cohort_job(zoo, cohort)
    if perturbed:
        noise = np.random.default_rng(0).standard_normal(job.initial.shape)
        job = replace(job, initial=(job.initial * (1 + PERTURBATION * noise)).astype(np.float32))
    job = replace(job, checkpoints=job.checkpoints[-1:])
    images = load_image_set(parse_recipe(zoo.header.recipe).dataset)
    blocks = [p.block for p in load_engine(engine).train(job, images) if p.block is not None]
    return [float(value) for value in blocks[-1].metrics["test_accuracy"]]


def compare(name: str, ours: np.ndarray, theirs: np.ndarray) -> dict[str, float | str | int]:
    """Paired differences in points of accuracy."""
    difference = 100 * (ours - theirs)
    return {
        "comparison": name,
        "members": len(difference),
        "mean_difference": round(float(difference.mean()), 4),
        "standard_error": round(float(difference.std(ddof=1) / len(difference) ** 0.5), 4),
        "largest": round(float(np.abs(difference).max()), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--members", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--engine", default="torch")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--cache", type=Path, default=Path("build/engine_agreement"))
    options = parser.parse_args()
    overrides = [f"population.members={options.members}", f"training.epochs={options.epochs}", *options.overrides]
    recipe = load_recipe(options.recipe, overrides)
    key = hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()[:12]
    cache = options.cache / f"{recipe.name}-{key}"
    zoo = prepare_zoo(recipe, str(cache / "zoo"), load_image_set(recipe.dataset))
    runs = {"ours": (options.engine, False), "reference": ("reference", False), "perturbed": ("reference", True)}
    cohorts = list(zoo.members["cohort"].unique())
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        pending = {}
        for cohort in cohorts:
            for run, arguments in runs.items():
                if not (cache / f"{run}-{cohort}.json").exists():
                    pending[pool.submit(final_accuracies, zoo.url, cohort, *arguments)] = f"{run}-{cohort}.json"
        for done in as_completed(pending):
            (cache / pending[done]).write_text(json.dumps(done.result()))
            print(f"finished {pending[done]}", flush=True)
    accuracy = {
        run: np.concatenate([json.loads((cache / f"{run}-{cohort}.json").read_text()) for cohort in cohorts])
        for run in runs
    }
    for name, row in (
        (f"{options.engine} - reference", compare("", accuracy["ours"], accuracy["reference"])),
        ("reference perturbed - reference", compare("", accuracy["perturbed"], accuracy["reference"])),
    ):
        print(json.dumps(row | {"comparison": name}))
    for run, values in accuracy.items():
        print(
            f"{run}: mean test accuracy {100 * values.mean():.2f} %, standard deviation {100 * values.std(ddof=1):.2f}"
        )


if __name__ == "__main__":
    main()
