"""Wall time of ``geozoo populate`` against one Tune trial per model, from the command to its end."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from geozoo.store import open_zoo
from tests.benchmarks.results import Result, count, ratios, spread

RECIPE = """
name: populating
dataset: {name: mnist, limits: {train: 5000, validation: 1000, test: 1000}}
network: {name: cnn_s}
population:
  grid: {activation: tanh, init: kaiming_uniform, optimizer: adam, lr: 1.0e-3, batch_size: 10}
  seeds: {kind: fixed, count: 64}
training: {epochs: 5}
evaluation: {train: 1000, validation: 1000, test: 1000}
"""
MEMBERS, EPOCHS, IMAGES = 64, 5, 5000
REPEATS = 2
COLUMNS = ("way", "wall time", "samples/s", "stored", "objects", "faster")


def measure() -> None:
    """Run both ways in turn on the same cores, Ray's start and the decoding of images included."""
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder, "recipe.yaml")
        recipe.write_text(RECIPE)
        _populate(recipe, Path(folder, "warm-up"))
        for repeat in range(REPEATS):
            ours.append(_populate(recipe, zoo := Path(folder, f"zoo-{repeat}")))
            theirs.append(_published(recipe, trials := Path(folder, f"trials-{repeat}")))
        accuracy = open_zoo(zoo).read_metrics(["test_accuracy"], EPOCHS)["test_accuracy"].median()
        published = _published_accuracy(trials)
        rows = [
            ["one Tune trial per model", spread(theirs, " s"), count(_samples() / min(theirs)), *size_of(trials), "1x"],
            [
                "`geozoo populate`",
                spread(ours, " s"),
                count(_samples() / min(ours)),
                *size_of(zoo),
                spread(ratios(ours, theirs)),
            ],
        ]
    notes = (
        f"{MEMBERS} members of cnn_s, {EPOCHS} epochs of {IMAGES} MNIST images at batch 10, evaluated on the first "
        f"1,000 images of each split at every epoch; wall time of the whole command, {REPEATS} times in turn, on two "
        "cores, the compile cache warm. The trials are those of `tests/benchmarks/published_way.py`, a process each as "
        "published (`reuse_actors=False`): every model pays for a start of Python and torch, which is a good part of "
        "the time of runs as short as these. Here two processes train all cohorts.",
        f"Median final test accuracy: {100 * accuracy:.1f} % here, {100 * published:.1f} % there.",
    )
    Result("populating", "Populating against one trial per model", COLUMNS, rows, notes).save()


def _samples() -> int:
    return MEMBERS * EPOCHS * IMAGES


def _populate(recipe: Path, zoo: Path) -> float:
    return _time_command([sys.executable, "-m", "geozoo", "populate", str(recipe), "--to", str(zoo)])


def _published(recipe: Path, folder: Path) -> float:
    return _time_command([sys.executable, "-m", "tests.benchmarks.published_way", str(recipe), str(folder)])


def _time_command(command: list[str]) -> float:
    started = time.perf_counter()
    run_command(command)
    return time.perf_counter() - started


def run_command(command: list[str]) -> None:
    """Run a command to its end; a failure ends the benchmark."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{ended.stderr[-2000:]}")


def _published_accuracy(trials: Path) -> float:
    finals = [
        json.loads(path.read_text().splitlines()[-1])["test_acc"] for path in trials.glob("published/*/result.json")
    ]
    assert len(finals) == MEMBERS, f"{len(finals)} of {MEMBERS} trials have results"
    return sorted(finals)[MEMBERS // 2]


def size_of(folder: Path) -> tuple[str, str]:
    """Bytes and number of the files below a folder, as two cells."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return f"{sum(path.stat().st_size for path in files) / 1e6:.1f} MB", f"{len(files):,}"
