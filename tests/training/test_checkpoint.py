"""Checkpoints that are not what was written."""

from __future__ import annotations

import pickle

import pytest
import torch

from geozoo.errors import DamagedZooError
from geozoo.store import Location, open_location
from geozoo.training.checkpoint import CHECKPOINT_NAME, Checkpoint, load_checkpoint, save_checkpoint


@pytest.fixture
def location() -> Location:
    location = open_location("memory://checkpoint")
    save_checkpoint(location, Checkpoint("a run", epoch=1, module={"weight": torch.arange(1000.0)}))
    return location


def test_what_is_read_is_what_was_written(location: Location) -> None:
    found = load_checkpoint(location, "a run")
    assert found is not None
    assert found.epoch == 1
    assert torch.equal(found.module["weight"], torch.arange(1000.0))


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_a_truncated_checkpoint_is_reported(location: Location, kept: float) -> None:
    data = location.read(CHECKPOINT_NAME)
    location.write(CHECKPOINT_NAME, data[: int(kept if kept >= 1 else kept * len(data))])
    with pytest.raises(DamagedZooError, match=r"^checkpoint.pt at memory://checkpoint is damaged.* remove it to train"):
        load_checkpoint(location, "a run")


class Call:
    """Unpickled without restriction, this would raise an error of its own."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('called')",)


@pytest.mark.parametrize(
    "data",
    [b"not a checkpoint", bytes(range(256)) * 40, b"PK\x03\x04" + bytes(2000), pickle.dumps(7), pickle.dumps(Call())],
    ids=["text", "bytes", "zip", "pickle", "call"],
)
def test_anything_else_is_reported_and_never_run(location: Location, data: bytes) -> None:
    location.write(CHECKPOINT_NAME, data)
    with pytest.raises(DamagedZooError, match="is damaged, no checkpoint can be read from it"):
        load_checkpoint(location, "a run")
