"""The working zoos through ``geozoo populate``: wall time, and what the members came to."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from geozoo.store import open_zoo
from tests.benchmarks.populating import run_command, size_of
from tests.benchmarks.results import FOLDER, Result, count

RECIPES = Path(__file__).parents[2] / "zoos"
COLUMNS = (
    *("recipe", "members", "states", "wall time", "states/s", "samples/s", "final test accuracy, median (5 % to 95 %)"),
    *("finite", "stored", "objects"),
)


def measure(name: str) -> None:
    """Populate one recipe with the command, on all cores; keeps the rows of the other recipes."""
    with tempfile.TemporaryDirectory() as folder:
        url = str(Path(folder, "zoo"))
        started = time.perf_counter()
        run_command([sys.executable, "-m", "geozoo", "populate", str(RECIPES / f"{name}.yaml"), "--to", url])
        seconds = time.perf_counter() - started
        zoo = open_zoo(url)
        epochs = zoo.checkpoints[-1]
        final = zoo.read_metrics(["test_accuracy", "finite"], epochs)
        low, median, high = (100 * final["test_accuracy"].quantile(q) for q in (0.05, 0.5, 0.95))
        states = len(zoo.members) * len(zoo.checkpoints)
        samples = len(zoo.members) * zoo.header.dataset["splits"]["train"] * epochs
        row = [
            *(f"`{name}`", f"{len(zoo.members):,}", f"{states:,}", f"{seconds:,.0f} s", count(states / seconds)),
            *(count(samples / seconds), f"{median:.1f} % ({low:.1f} to {high:.1f})"),
            *(f"{100 * final['finite'].mean():.1f} %", *size_of(Path(url))),
        ]
    kept = FOLDER / "working_zoos.json"
    rows = {one[0]: one for one in json.loads(kept.read_text(encoding="utf-8"))["rows"]} if kept.exists() else {}
    rows[row[0]] = row
    note = (
        "One command each, on all cores, Ray's start and the decoding of images included; every checkpoint is "
        "evaluated on 5,000 images of each split, or all there are. The baselines of the speed are in the tables of "
        "engines and of populating."
    )
    Result(
        "working_zoos",
        "The working zoos",
        COLUMNS,
        list(rows.values()),
        (note,),
        command=" ".join(row[0].strip("`") for row in rows.values()),
    ).save()
