"""Does the same recipe give the same zoo, whatever happens to the run?

    python tests/benchmarks/equal_digests.py --times 3

Populates one small zoo of digits in every way that promises the same digest, each some times, and prints one line for
each run: the same command, with Ray Tune and without, a worker killed at a random moment, a driver killed and the
command repeated, two drivers at once, an S3 server (SeaweedFS, started here on loopback). Exits with 1 if a digest
differs.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support import runs
from tests.support.s3 import serve_s3

if TYPE_CHECKING:
    from collections.abc import Callable


def with_tune(url: str) -> str:
    _succeed(runs.populate(url))
    return ""


def in_one_process(url: str) -> str:
    _succeed(runs.populate(url, "--local"))
    return ""


def worker_killed(url: str) -> str:
    driver = runs.start_populate(url)
    after = random.uniform(0, 2)
    killed = runs.kill_a_worker(driver.pid, url, after=after)
    _, complaints = driver.communicate(timeout=300)
    if driver.returncode or killed is None:
        raise RuntimeError(complaints)
    return f"SIGKILL to a worker {after:.2f} s after the first attempt began"


def driver_killed(url: str) -> str:
    driver = runs.start_populate(url)
    runs.wait_until(lambda: runs.attempts(url))
    after = random.uniform(0, 2)
    time.sleep(after)
    runs.kill_driver(driver)
    _succeed(runs.populate(url))
    return f"SIGKILL to the driver {after:.2f} s after the first attempt began, then the same command"


def two_drivers(url: str) -> str:
    drivers = [runs.start_populate(url, "--local") for _ in range(2)]
    for driver in drivers:
        _, complaints = driver.communicate(timeout=300)
        if driver.returncode:
            raise RuntimeError(complaints)
    return ""


def _succeed(done: object) -> None:
    if getattr(done, "returncode", 1):
        raise RuntimeError(getattr(done, "stderr", ""))


WAYS: dict[str, Callable[[str], str]] = {
    "Ray Tune": with_tune,
    "one process": in_one_process,
    "worker killed": worker_killed,
    "driver killed": driver_killed,
    "two drivers": two_drivers,
    "S3, one process": in_one_process,
    "S3, Ray Tune": with_tune,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    digests = set()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "s3").mkdir()
        server = stack.enter_context(serve_s3(folder / "s3"))
        os.environ.update(server.environment)
        for number in range(options.times):
            for name, way in WAYS.items():
                slug = f"{name.replace(' ', '-').replace(',', '').lower()}-{number}"
                url = f"s3://{server.bucket}/{slug}" if name.startswith("S3") else str(folder / slug)
                note = way(url)
                digests.add(digest := runs.digest(url))
                print(f"{name:16} {number + 1}  {digest[:16]}  {note}", flush=True)
    print("all equal" if len(digests) == 1 else f"{len(digests)} digests differ")
    sys.exit(len(digests) != 1)


if __name__ == "__main__":
    main()
