"""The training loop on one number: which epoch is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from geozoo.store import open_location
from geozoo.training.checkpoint import load_checkpoint
from geozoo.training.distributed import World
from geozoo.training.loop import Job, fit
from geozoo.training.settings import OptimizerSettings, ScheduleSettings, TrainingSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geozoo.weights.draws import RowDraws


@dataclass(frozen=True)
class Goal:
    """One batch of one row: where the number should be."""

    value: float
    total: int = 1


@dataclass(frozen=True)
class Goals:
    goal: Goal

    def __len__(self) -> int:
        return 1

    def epoch(self, number: int, first: int = 0) -> Iterator[Goal]:
        del number
        yield from [self.goal][first:]


class Number(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(()))

    def forward(self, batch: Goal, draws: RowDraws) -> dict[str, Tensor]:
        del draws
        return {"loss": (self.value - batch.value).square()}


def test_the_weights_of_the_best_epoch_are_kept() -> None:
    """Training pulls the number towards 10 past 3, where the validation loss is least."""
    number, location = Number(), open_location("memory://best-epoch")
    job = Job(
        system=number,
        train=Goals(Goal(10.0)),
        validation=Goals(Goal(3.0)),
        settings=TrainingSettings(epochs=8, batch_size=1),
        optimizer=OptimizerSettings(name="sgd", lr=0.05, momentum=0.0),
        schedule=ScheduleSettings(),
        monitor=lambda world: {"value": number.value.item()},
    )
    state = fit(job, World(), location)
    values = [record["value"] for record in state.history]
    assert values == sorted(values)
    best = min(values, key=lambda value: abs(value - 3.0))
    assert best not in (values[0], values[-1])
    assert state.best is not None
    assert float(state.best["value"]) == number.value.item() == pytest.approx(best)
    assert float(state.module["value"]) == pytest.approx(values[-1])
    stored = load_checkpoint(location, "")
    assert stored is not None
    assert stored.best is not None
    assert torch.equal(stored.best["value"], state.best["value"])
