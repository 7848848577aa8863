"""Where the curves of a run go: TensorBoard files below ``GEOZOO_RUNS`` or the user's cache."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from geozoo.training.loop import VALIDATION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def run_folder(name: str) -> Path:
    """A new folder for the curves of one run."""
    base = Path(os.environ.get("GEOZOO_RUNS", Path.home() / ".cache" / "geozoo" / "runs")).expanduser().absolute()
    return base / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


@contextmanager
def curves(folder: Path) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """Give a function that writes the record of an epoch as TensorBoard scalars, training and validation side by side.

    ``loss`` becomes ``loss/training``, ``validation_loss`` ``loss/validation``; what has no such pair keeps its name.
    """
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder), flush_secs=10)

    def write(record: Mapping[str, float]) -> None:
        for name, value in record.items():
            if name.startswith(VALIDATION):
                writer.add_scalar(f"{name.removeprefix(VALIDATION)}/validation", value, int(record["epoch"]))
            elif f"{VALIDATION}{name}" in record:
                writer.add_scalar(f"{name}/training", value, int(record["epoch"]))
            elif name != "epoch":
                writer.add_scalar(name, value, int(record["epoch"]))

    try:
        yield write
    finally:
        writer.close()
