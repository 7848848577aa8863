"""What does an audit within tolerance find? Members trained by another engine, as they are and altered.

    python tests/benchmarks/audit_tolerance.py zoos/digits_cnn.yaml

The members of a recipe are trained by ``--engine`` and audited by ``lanes``, which rounds otherwise, as another machine
does. Printed is how many of them the audit says to differ: none should, where nothing was altered; and how many, where
every weight of the last checkpoint was moved by a normal draw of so much of its size and its metrics were made anew to
fit, so that nothing but the distance and the answers can tell.
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from geozoo.audit import prepare_audit
from geozoo.audit.audit import stored_and_retrained
from geozoo.audit.compare import Checkpoint, Comparison
from geozoo.audit.evaluate import Evaluator
from geozoo.datasets import load_image_set
from geozoo.populate import cohort_job, prepare_zoo
from geozoo.population import load_engine
from geozoo.population.how import describe_run
from geozoo.recipe import load_recipe
from geozoo.store import Attempt, open_zoo

if TYPE_CHECKING:
    from geozoo.recipe import Recipe
    from geozoo.store import Zoo

SIZES = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)


def train(recipe: Recipe, engine: str) -> Zoo:
    """A zoo that ``lanes`` would have made, trained by another engine."""
    images = load_image_set(recipe.dataset)
    zoo = prepare_zoo(recipe, "memory://audit-tolerance", images, engine="lanes")
    for cohort in zoo.members["cohort"].unique():
        attempt = Attempt.begin(zoo.location, zoo.header, zoo.plan_of(cohort))
        for progress in load_engine(engine).train(cohort_job(zoo, cohort), images):
            if progress.block is not None:
                attempt.append(progress.block.epoch, progress.block.weights, progress.block.metrics)
        attempt.commit(describe_run(engine, wall_s=0))
        print(f"trained cohort {cohort}", flush=True)
    return open_zoo(zoo.url)


def alter(checkpoint: Checkpoint, size: float, evaluator: Evaluator) -> Checkpoint:
    """The checkpoint with weights moved by ``size`` of their own, and metrics that fit."""
    if not size:
        return checkpoint
    noise = np.random.default_rng(1).standard_normal(checkpoint.stored.shape)
    stored = (checkpoint.stored * (1 + size * noise)).astype(checkpoint.stored.dtype)
    return replace(checkpoint, stored=stored, stored_metrics={**checkpoint.stored_metrics, **evaluator.metrics(stored)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--engine", default="torch")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    options = parser.parse_args()
    zoo = train(load_recipe(options.recipe, options.overrides), options.engine)
    audit = prepare_audit(zoo, list(zoo.members["member"]))
    found, allowed, members = dict.fromkeys(SIZES, 0), [], 0
    for cohort in audit.cohorts:
        evaluator = Evaluator.of(cohort.job, audit.images)
        comparisons = [Comparison(member, cohort.cohort, evaluator, by_bits=False) for member in cohort.members]
        for _, checkpoints in stored_and_retrained(audit, cohort):
            for comparison, checkpoint in zip(comparisons, checkpoints, strict=False):
                if checkpoint.epoch < zoo.checkpoints[-1]:
                    comparison.add(checkpoint)
                    continue
                for size in SIZES:
                    last = copy.copy(comparison)
                    last.add(alter(checkpoint, size, evaluator))
                    found[size] += last.outcome().verdict == "differs"
                allowed.append(last.allowed_distance)
        members += len(comparisons)
        print(f"audited cohort {cohort.cohort}", flush=True)
    for size, count in found.items():
        print(f"last checkpoint moved by {size:.0%}: {count} of {members} found")
    print("allowed distance at the last checkpoint, quartiles:", np.quantile(allowed, [0.25, 0.5, 0.75]).round(3))


if __name__ == "__main__":
    main()
