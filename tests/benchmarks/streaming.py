"""What storing costs: populating in one process against the engine alone on the same jobs."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from geozoo.datasets import load_image_set
from geozoo.populate import cohort_job, pending_cohorts, populate_here, prepare_zoo
from geozoo.population import load_engine
from geozoo.recipe import parse_recipe
from geozoo.store import open_zoo
from tests.benchmarks.results import Result, spread
from tests.benchmarks.side_by_side import seconds

if TYPE_CHECKING:
    from geozoo.datasets import ImageSet
    from geozoo.store import Zoo

REPEATS = 3
TREE = {
    "name": "streaming",
    "population": {
        "grid": {"activation": "tanh", "init": "kaiming_uniform", "optimizer": "adam", "lr": 1e-3},
    },
}
CASES = {
    "cnn_s, mnist": {
        "dataset": {"name": "mnist", "limits": {"train": 5000}},
        "network": {"name": "cnn_s"},
        "training": {"epochs": 5},
        "evaluation": {"train": 1000, "validation": 1000, "test": 1000},
        "members": 64,
    },
    "tetris_mlp, tetris": {
        "dataset": {"name": "tetris"},
        "network": {"name": "tetris_mlp"},
        "training": {"epochs": 25},
        "members": 4096,
    },
}


def measure() -> None:
    """Alternate the two sides, which of them goes first too; both use one thread for training."""
    rows = [[name, *_costs(dict(case))] for name, case in CASES.items()]
    note = (
        f"{REPEATS} repeats in turn, one thread for training; the other side runs the same jobs and drops their "
        "blocks. The cost holds the plan, digests, checksums, fsync and the commit; the writer's thread has a core of "
        "its own here."
    )
    columns = ("network, images", "members", "engine alone", "populate", "storing costs")
    Result("streaming", "Streaming to the store", columns, rows, (note,)).save()


def _train(zoo: Zoo, cohorts: list[str], images: ImageSet) -> None:
    for cohort in cohorts:
        for _ in load_engine(zoo.header.engine).train(cohort_job(zoo, cohort), images):
            pass


def _populate(zoo: Zoo, images: ImageSet) -> None:
    populate_here(zoo, images, lambda work: None, threads=1)


def _costs(case: dict[str, object]) -> list[str]:
    members = case.pop("members")
    population = {**TREE["population"], "seeds": {"count": members}}  # type: ignore[dict-item]
    recipe = parse_recipe({**TREE, **case, "population": population})
    images = load_image_set(recipe.dataset)
    alone: list[float] = []
    stored: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(REPEATS + 1):
            zoo = prepare_zoo(recipe, str(Path(folder, str(repeat))), images)
            cohorts = pending_cohorts(zoo)
            sides = [(alone, partial(_train, zoo, cohorts, images)), (stored, partial(_populate, zoo, images))]
            for times, side in sides if repeat % 2 else reversed(sides):
                took = seconds(side)
                if repeat:
                    times.append(took)
            assert open_zoo(zoo.url).members["committed"].all()
    costs = [100 * (theirs / ours - 1) for ours, theirs in zip(alone, stored, strict=True)]
    return [
        f"{members} in {len(cohorts)} cohorts",
        spread(alone, " s", 2),
        spread(stored, " s", 2),
        spread(costs, " %"),
    ]
