"""Running ``geozoo populate`` as a process of its own, and disturbing it: every process is ended by its id."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from geozoo.store import open_location, open_zoo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

REPOSITORY = Path(__file__).parents[2]
RECIPE = str(REPOSITORY / "zoos" / "digits_cnn.yaml")
SMALL = (
    "--members", "8", "--epochs", "200", "--set", "dataset.limits.train=1000",
    "--set", "population.grid.activation=tanh", "--set", "evaluation={train: 40, validation: 40, test: 40}",
)  # fmt: skip
"""Arguments of a zoo of eight members in two cohorts that trains in some seconds, long enough to be disturbed."""

TINY = (
    "--members", "4", "--epochs", "1", "--set", "dataset.limits.train=30", "--set", "population.grid.activation=tanh",
    "--set", "evaluation={train: 20, validation: 20, test: 20}",
)  # fmt: skip
"""Arguments of the smallest zoo worth the name."""


def geozoo(*arguments: str) -> list[str]:
    """The command line of this interpreter's geozoo."""
    return [sys.executable, "-m", "geozoo", *arguments]


def environment(**more: str) -> dict[str, str]:
    """The environment of a child that imports the package from this working tree."""
    return os.environ | {"PYTHONPATH": str(REPOSITORY / "platform"), "OMP_NUM_THREADS": "1"} | more


def populate(
    url: str, *arguments: str, settings: Iterable[str] = SMALL, timeout: float = 240, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run to the end; standard output and error are captured."""
    return subprocess.run(
        geozoo("populate", RECIPE, "--to", url, *settings, *arguments),
        env=environment(**more), capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


def start_populate(url: str, *arguments: str, settings: Iterable[str] = SMALL) -> subprocess.Popen[str]:
    """Start in a process group of its own."""
    return subprocess.Popen(
        geozoo("populate", RECIPE, "--to", url, *settings, *arguments),
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def wait_until(what: Callable[[], object], *, seconds: float = 120, every: float = 0.05) -> bool:
    """Whether ``what()`` became true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(every)
    return False


def attempts(url: str) -> set[str]:
    """Folders of attempts there are, committed or not."""
    return {name.split("/")[1] for name in open_location(url).list("cohorts")}


def descendants(pid: int) -> Iterator[psutil.Process]:
    """All processes below ``pid`` that still live."""
    try:
        yield from psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return


def training_workers(pid: int) -> list[psutil.Process]:
    """Ray's worker processes below ``pid`` that train a cohort."""
    found = []
    for process in descendants(pid):
        try:
            if re.search(r"ray::\S+\.train", " ".join(process.cmdline())):
                found.append(process)
        except psutil.Error:
            continue
    return found


def kill_a_worker(pid: int, url: str, *, after: float) -> int | None:
    """Wait for an attempt at ``url``, then ``after`` seconds, then SIGKILL a training worker below ``pid``; its id."""
    if not wait_until(lambda: attempts(url) and training_workers(pid)):
        return None
    time.sleep(after)
    workers = training_workers(pid)
    if not workers:
        return None
    victim = random.choice(workers)
    os.kill(victim.pid, signal.SIGKILL)
    return victim.pid


def kill_driver(process: subprocess.Popen[str]) -> None:
    """SIGKILL the driver and then what it leaves behind, as an operating system would after a crash."""
    below = list(descendants(process.pid))
    process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    for child in below:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue


def digest(url: str) -> str:
    """Digest of the zoo at ``url``."""
    return open_zoo(url).digest()
