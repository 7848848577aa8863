"""How long the trainer of self-supervised encoders waits for chips."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from geozoo.eo.readers import find_collection
from geozoo.recipe.load import parse_document
from geozoo.ssl.experiment import SslExperiment
from geozoo.ssl.fit import prepare
from geozoo.ssl.stream import RESIDENT_BYTES, ChipStream
from geozoo.training.distributed import World
from geozoo.training.loop import Watch, fit
from tests.benchmarks.chip_reads import SMALL, write_small
from tests.benchmarks.results import Result, count, spread
from tests.support.chip_stores import ingest

EPOCHS, REPEATS, BATCH = 2, 3, 64
SIDES = {"streamed from disk": 0, "kept in memory": RESIDENT_BYTES}


def measure() -> None:
    """Train SimCLR on simulated EuroSAT chips for some epochs with either way of reading."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_small(folder / "eurosat")
        url = ingest(find_collection(folder / "eurosat"), str(folder / "chips"), size=64).url
        epochs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        for _ in range(REPEATS):
            for side, resident in SIDES.items():
                chips, records = _train(url, resident)
                epochs[side] += records
    rows = [
        [
            side,
            count(chips / min(epoch["seconds"] for epoch in records)),
            spread([100 * epoch["data_wait"] for epoch in records], " %", 2),
        ]
        for side, records in epochs.items()
    ]
    note = (
        f"SimCLR with a ResNet-18 on 13x64x64 chips, batch {BATCH}, {REPEATS} times in turn {EPOCHS} epochs of the "
        f"training part of {SMALL:,} chips (EuroSAT's real files, written again with noise), one process with "
        f"{torch.get_num_threads()} threads, page cache warm. The share is the time that the loop waits for its next "
        "batch, of the time that training takes; `chips/s` is of the fastest epoch, with its validation. With shorter "
        "steps, as on a graphics card, the share is larger."
    )
    columns = ("chips", "chips/s", "waits for data")
    Result("chip_wait", "What the self-supervised trainer waits for", columns, rows, (note,)).save()


def _train(url: str, resident_bytes: int) -> tuple[int, list[dict[str, float]]]:
    """Training chips, and the record of every epoch."""
    tree = {
        "name": "wait",
        "kind": "ssl",
        "chips": url,
        "views": {"s2": {"bands": {"s2": "all"}}},
        "augmentation": {"zoom": [0.2, 1.0], "flip": True, "rotate": True},
        "loss": {"name": "nt_xent"},
        "training": {"epochs": EPOCHS, "batch_size": BATCH},
    }
    prepared = prepare(parse_document(tree, SslExperiment, "the experiment"), World())
    stream = prepared.job.train
    assert isinstance(stream, ChipStream)
    stream.resident_bytes = resident_bytes
    epochs: list[dict[str, float]] = []
    fit(prepared.job, World(), watch=Watch(epochs.append))
    return len(prepared.parts.train), epochs
