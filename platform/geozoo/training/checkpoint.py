"""Checkpoints of a training run, on any URL that a zoo store can live at."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from geozoo.errors import DamagedZooError, InputError

if TYPE_CHECKING:
    from torch import Tensor

    from geozoo.store import Location

CHECKPOINT_NAME = "checkpoint.pt"


@dataclass
class Checkpoint:
    """All that a run needs to go on as if it had never stopped, after an epoch or in the middle of one.

    Attributes:
        identity: what the run was started with, as JSON text; another one is not continued.
        epoch: finished epochs.
        module: ``state_dict`` of what is trained.
        optimizer: its ``state_dict``.
        schedule: plain values.
        history: one record of plain values for each finished epoch.
        best: ``state_dict`` of the epoch with the least validation loss so far, ``None`` before the first.
        finished: whether training has ended.
        step: finished steps of the epoch under way.
        rows: how many rows these steps have seen, over all workers.
        sums: of every term of the loss over these steps, weighted by their rows, over all workers.
    """

    identity: str
    epoch: int = 0
    module: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] | None = None
    finished: bool = False
    step: int = 0
    rows: int = 0
    sums: dict[str, float] = field(default_factory=dict)


def save_checkpoint(location: Location, checkpoint: Checkpoint) -> None:
    """Write whole and durably, replacing the one before: a run that dies meanwhile leaves the older one."""
    buffer = io.BytesIO()
    torch.save(vars(checkpoint), buffer)
    location.write(CHECKPOINT_NAME, buffer.getbuffer())


def load_checkpoint(location: Location, identity: str, device: str = "cpu") -> Checkpoint | None:
    """The checkpoint at a location, or None.

    It is read by `torch.load` with ``weights_only=True``: an unpickler restricted to tensors and plain values, which
    calls nothing that the file names.

    Raises:
        InputError: the run there was started with something else.
        DamagedZooError: the file is truncated or no checkpoint.
    """
    try:
        data = location.read(CHECKPOINT_NAME)
    except FileNotFoundError:
        return None
    try:
        checkpoint = Checkpoint(**torch.load(io.BytesIO(data), map_location=device, weights_only=True))
    except Exception as error:  # what unpickling other bytes may raise is not bounded
        raise DamagedZooError(
            f"{CHECKPOINT_NAME} at {location.url} is damaged, no checkpoint can be read from it "
            f"({type(error).__name__}): restore it, or remove it to train from the start."
        ) from error
    if checkpoint.identity != identity:
        raise InputError(
            f"{location.url} holds a run of other settings or another zoo: "
            "give the settings it was started with, or another URL."
        )
    return checkpoint
