"""One zoo of many tetris members through ``geozoo populate``: time, memory, objects, and reading it again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.benchmarks.populating import size_of
from tests.benchmarks.results import FOLDER, Result, count

RECIPE = Path(__file__).parents[2] / "zoos" / "tetris_seed.yaml"
CHECKPOINTS, IMAGES = 76, 1040
COLUMNS = (
    *("members", "states", "wall time", "states/s", "samples/s", "driver peak memory", "stored", "objects"),
    *("open", "one random state"),
)


def measure(members: int) -> None:
    """Populate on all cores, watch the driver, then open the zoo and read from it; keeps the rows of other sizes."""
    with tempfile.TemporaryDirectory() as folder:
        url = str(Path(folder, "zoo"))
        seconds, peak = _populate(url, members)
        row = [
            f"{members:,}",
            f"{members * CHECKPOINTS:,}",
            f"{seconds:,.0f} s",
            count(members * CHECKPOINTS / seconds),
        ]
        row += [count(members * IMAGES * (CHECKPOINTS - 1) / seconds), f"{peak:,.0f} MB", *size_of(Path(url))]
        row += _read(url)
    rows = {**_rows_kept(), row[0]: row}
    notes = (
        "`zoos/tetris_seed.yaml`: members of tetris_mlp, 75 epochs on 1,040 simulated images at batch 10, all splits "
        "evaluated at every epoch, one command. Driver peak memory is VmHWM of the command's own process. `open` is "
        "`open_zoo`, the first one of a fresh process; one random state is the median of 200 in that process, each "
        "from a cohort whose commit may not have been read.",
    )
    ordered = sorted(rows.values(), key=lambda cells: int(cells[0].replace(",", "")))
    Result(
        "scale",
        "From 1,000 members to 50,000",
        COLUMNS,
        ordered,
        notes,
        command=" ".join(f"scale_{row[0].replace(',', '')}" for row in ordered),
    ).save()


def _rows_kept() -> dict[str, list[str]]:
    path = FOLDER / "scale.json"
    return {row[0]: row for row in json.loads(path.read_text(encoding="utf-8"))["rows"]} if path.exists() else {}


def _populate(url: str, members: int) -> tuple[float, float]:
    """Wall time in seconds and the driver's peak memory in MB."""
    more = ["--members", str(members), "--set", f"population.seeds.count={members}"]
    started = time.perf_counter()
    driver = subprocess.Popen([sys.executable, "-m", "geozoo", "populate", str(RECIPE), "--to", url, *more])
    peak = 0.0
    while driver.poll() is None:
        peak = max(peak, _peak_memory(driver.pid))
        time.sleep(0.5)
    if driver.returncode:
        raise SystemExit(f"geozoo populate ended with {driver.returncode}")
    return time.perf_counter() - started, peak


def _peak_memory(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    return sum(float(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


READ = """
import sys, time, json
import numpy as np
from geozoo.store import open_zoo
started = time.perf_counter()
zoo = open_zoo(sys.argv[1])
opened = time.perf_counter() - started
draw, states = np.random.default_rng(0), []
for _ in range(200):
    member, epoch = int(draw.integers(len(zoo.members))), int(draw.integers(len(zoo.checkpoints)))
    started = time.perf_counter()
    zoo.states(member, epoch)
    states.append(time.perf_counter() - started)
print(json.dumps([opened, states]))
"""


def _read(url: str) -> list[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", READ, url], env=environment, capture_output=True, text=True, check=True
    )
    opened, states = json.loads(ended.stdout)
    return [f"{opened:.2f} s", f"{1e3 * median(states):.1f} ms"]
