"""A training run on three weights and a bias, in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from geozoo.training.distributed import World, share
from geozoo.training.loop import Job
from geozoo.training.settings import OptimizerSettings, ScheduleSettings, TrainingSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geozoo.training.checkpoint import Checkpoint
    from geozoo.weights.draws import RowDraws

SIZES = (5, 5, 5, 5, 5, 2)
EPOCHS = 4
TIMING = ("seconds", "data_wait")


@dataclass(frozen=True)
class Rows:
    """This worker's rows ``[rows, 3]`` of a batch."""

    inputs: Tensor
    total: int


@dataclass
class Draws:
    """Batches of uneven size, other ones in every epoch; ``asked`` has the epochs and batches that were begun at."""

    world: World = field(default_factory=World)
    asked: list[tuple[int, int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(SIZES)

    def epoch(self, number: int, first: int = 0) -> Iterator[Rows]:
        self.asked.append((number, first))
        for place, total in list(enumerate(SIZES))[first:]:
            generator = torch.Generator().manual_seed(100 * number + place)
            rows = torch.randn(total, 3, generator=generator, dtype=torch.float64)
            yield Rows(rows[share(total, self.world)], total)


class Regression(nn.Module):
    """Learns a sum from noisy inputs; a buffer moves with every training step and enters the loss."""

    moved: Tensor

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 1, dtype=torch.float64)
        self.register_buffer("moved", torch.zeros((), dtype=torch.float64))

    def forward(self, batch: Rows, draws: RowDraws) -> dict[str, Tensor]:
        if self.training:
            self.moved.mul_(0.9).add_(0.1)
        noisy = batch.inputs + 0.1 * draws.normal(3, dtype=torch.float64)
        error = self.layer(noisy)[:, 0] - batch.inputs.sum(1) * (2 - self.moved)
        square, absolute = error.square().sum() / batch.total, error.abs().sum() / batch.total
        return {"loss": square, "absolute": absolute}


def job(world: World | None = None, schedule: str = "onecycle", **training: Any) -> Job:
    """Four epochs of six steps in float64; ``training`` joins its settings."""
    world = world or World()
    return Job(
        system=Regression(),
        train=Draws(world),
        validation=Draws(world),
        settings=TrainingSettings(**{"epochs": EPOCHS, "precision": "float64", **training}),
        optimizer=OptimizerSettings(name="adam", lr=0.05),
        schedule=ScheduleSettings(name=schedule),  # type: ignore[arg-type]
    )


def curve(state: Checkpoint) -> list[dict[str, float]]:
    """The history but for the time it took."""
    return [{name: value for name, value in record.items() if name not in TIMING} for record in state.history]
