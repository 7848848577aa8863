"""What compiling the lanes engine costs: once a machine, and from the cache in every process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from tests.benchmarks.results import Result, spread

PROGRAM = """
import time
started = time.perf_counter()
from geozoo.population.lanes.compiled import compiled
compiled("float32")
print(time.perf_counter() - started)
"""
REPEATS = 3


def measure() -> None:
    """Time fresh processes, with an empty cache and with a full one."""
    cold, warm = [], []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            cold.append(_seconds(folder))
            warm.append(_seconds(folder))
    rows = [["cold", spread(cold, " s")], ["warm", spread(warm, " s")]]
    note = "Importing numba is in both; `geozoo populate` pays the cold time once on every node, before trials start."
    Result("compiling", "Compiling the lanes engine", ("cache", "a new process takes"), rows, (note,)).save()


def _seconds(cache: str) -> float:
    environment = {**os.environ, "GEOZOO_CACHE": cache}
    ended = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    return float(ended.stdout)
