"""Reading a zoo of 1,000 members and 26 checkpoints back, against one directory per checkpoint."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from geozoo.store import Zoo, open_zoo
from tests.benchmarks.published_layout import PublishedLayout
from tests.benchmarks.results import Result, spread
from tests.benchmarks.side_by_side import rate_row, seconds, time_row
from tests.support.s3 import serve_s3
from tests.support.zoos import make_zoo

MEMBERS, COHORTS, CHECKPOINTS = 1000, 40, 26
PUBLISHED_MEMBERS, PUBLISHED_MEMBERS_S3 = 100, 8
REPEATS, REPEATS_S3, STATES, STATES_S3 = 7, 5, 100, 30
COLUMNS = ("read", "zoo store", "one directory per checkpoint", "faster")


def measure() -> None:
    """Write simulated weights both ways, then read them back in turn: from the page cache, from a disk, from S3."""
    with tempfile.TemporaryDirectory() as folder:
        zoo, truth = make_zoo(Path(folder, "zoo"), members=MEMBERS, cohorts=COHORTS, checkpoints=range(CHECKPOINTS))
        published = PublishedLayout(str(Path(folder, "trials")), zoo)
        published.write(truth.weights[:PUBLISHED_MEMBERS])
        rows = [*_rows(zoo.url, truth.weights, published, PUBLISHED_MEMBERS, REPEATS, STATES), _cold_row(zoo)]
        rows += [["S3: " + what, *cells] for what, *cells in _rows_of_s3(Path(folder), truth.weights)]
    notes = (
        f"A simulated cnn_s zoo: {MEMBERS:,} members in {COHORTS} cohorts, {CHECKPOINTS} checkpoints, "
        f"{truth.weights.nbytes / 1e6:.0f} MB of float32; every checksum is verified. The other layout is that of the "
        "published zoos, `torch.save`d state dicts and optimisers in one directory per checkpoint, loaded with "
        "`weights_only=True` (unpickling that runs what a file says is up to twice as fast); several states are read "
        "one by one from the disk (threads made that slower) and eight at a time from S3. Of it "
        f"{PUBLISHED_MEMBERS} members were written ({PUBLISHED_MEMBERS_S3} on S3): its rate over them is taken for "
        f"all, and its time for all members at an epoch is scaled by {MEMBERS // PUBLISHED_MEMBERS} "
        f"({MEMBERS // PUBLISHED_MEMBERS_S3}). {REPEATS} repeats ({REPEATS_S3} on S3) in turn, {STATES} ({STATES_S3}) "
        "of one state; the commits had been read.",
        "Page cache warm but where `cold` is said (pages dropped by `posix_fadvise`). S3 is SeaweedFS on the same "
        "machine, through the loopback interface: it shares the cores, and there is no network to wait for.",
    )
    Result("reading", "Reading states back", COLUMNS, rows, notes).save()


def _rows_of_s3(folder: Path, truth: np.ndarray[Any, Any]) -> list[list[str]]:
    (folder / "s3").mkdir()
    with serve_s3(folder / "s3") as server:
        os.environ.update(server.environment)
        url = f"s3://{server.bucket}"
        zoo, _ = make_zoo(f"{url}/zoo", members=MEMBERS, cohorts=COHORTS, checkpoints=range(CHECKPOINTS))
        published = PublishedLayout(f"{url}/trials", zoo, server.endpoint)
        published.write(truth[:PUBLISHED_MEMBERS_S3])
        return _rows(zoo.url, truth, published, PUBLISHED_MEMBERS_S3, REPEATS_S3, STATES_S3)


def _rows(
    url: str, truth: np.ndarray[Any, Any], published: PublishedLayout, their_members: int, repeats: int, states: int
) -> list[list[str]]:
    zoo = open_zoo(url)
    zoo.commits()
    draw = np.random.default_rng(0)
    epochs = list(range(CHECKPOINTS))
    theirs = truth[:their_members]
    every = [(member, step) for member in range(their_members) for step in epochs]

    def some(most: int) -> int:
        return int(draw.integers(most))

    assert np.array_equal(zoo.weights[:], truth)
    assert np.array_equal(published.together(every), theirs.reshape(len(every), -1))
    return [
        rate_row(
            "all states as one matrix",
            lambda: zoo.weights[:],
            truth.nbytes,
            lambda: published.together(every),
            theirs.nbytes,
            repeats,
        ),
        time_row(
            "one random state",
            lambda: zoo.states(some(MEMBERS), some(CHECKPOINTS)),
            lambda: published.state(some(their_members), some(CHECKPOINTS)),
            states,
        ),
        time_row(
            "all states of a member",
            lambda: zoo.states(some(MEMBERS), epochs),
            lambda: published.together([(their_members // 2, epoch) for epoch in epochs]),
            repeats,
        ),
        time_row(
            "all members at an epoch",
            lambda: zoo.states(list(range(MEMBERS)), some(CHECKPOINTS)),
            lambda: published.together([(member, 9) for member in range(their_members)]),
            repeats,
            scale=MEMBERS / their_members,
        ),
    ]


def _cold_row(zoo: Zoo) -> list[str]:
    draw = np.random.default_rng(1)
    times = []
    for _ in range(REPEATS):
        _drop_pages(Path(zoo.url))
        times.append(1e3 * seconds(lambda: zoo.states(int(draw.integers(MEMBERS)), int(draw.integers(CHECKPOINTS)))))
    return ["one random state, cold", spread(times, " ms", 2), "", ""]


def _drop_pages(folder: Path) -> None:
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
