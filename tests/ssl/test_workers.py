"""Training on several workers is training on one: losses, every gradient, and the weights after three steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from geozoo.ssl.losses.make import make_asymmetric_loss, make_loss
from geozoo.ssl.losses.options import (
    BarlowTwinsOptions,
    ByolOptions,
    ContrastiveOptions,
    DinoOptions,
    InfoNceOptions,
    MmaOptions,
    NtXentOptions,
    TripletOptions,
    VicRegOptions,
)
from geozoo.ssl.losses.spatial import map_contrast, map_similarity
from geozoo.ssl.memory_bank import MemoryBank
from geozoo.ssl.momentum import make_teacher, update_teacher
from geozoo.training.batchnorm import sync_batchnorm
from geozoo.training.distributed import World, gather_rows, share
from tests.support.workers import on_workers

if TYPE_CHECKING:
    from pathlib import Path

BATCHES = (7, 7, 3)
"""Places in a batch; of the last, one of four workers has none."""

WIDTH = 4


class System(nn.Module, ABC):
    """Two encoders with BatchNorm of maps and of vectors, and a loss: returns this worker's share of every term."""

    def __init__(self, maps: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoders = nn.ModuleList(_encoder(bands, maps) for bands in (2, 3))

    def embed(self, sensors: list[Tensor], world: World) -> list[Tensor]:
        total = len(sensors[0])
        parts = [rows[share(total, world)] for rows in sensors]
        return [encoder(part) for encoder, part in zip(self.encoders, parts, strict=True)]

    @abstractmethod
    def forward(self, sensors: list[Tensor], world: World) -> dict[str, Tensor]: ...


def _encoder(bands: int, maps: bool) -> nn.Module:
    convolved = [nn.Conv2d(bands, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, WIDTH, 2)]
    return nn.Sequential(
        *convolved, *([] if maps else [nn.Flatten(), nn.Linear(9 * WIDTH, WIDTH), nn.BatchNorm1d(WIDTH)])
    )


class Pairs(System):
    """A symmetric loss of gathered views, with or without memory banks."""

    def __init__(self, options: Any, bank: bool = False) -> None:
        super().__init__(maps=isinstance(options, MmaOptions))
        self.loss = make_loss(options)
        self.banks = nn.ModuleList(MemoryBank(5, WIDTH) for _ in range(2 * bank))

    def forward(self, sensors: list[Tensor], world: World) -> dict[str, Tensor]:
        first, second = (gather_rows(local, len(sensors[0]), world) for local in self.embed(sensors, world))
        queues = (self.banks[0].stored(), self.banks[1].stored()) if len(self.banks) else None  # type: ignore[operator]
        terms = self.loss(first, second, queues=queues)
        for bank, view in zip(self.banks, (first, second), strict=False):
            bank.push(view.detach())  # type: ignore[operator]
        return {name: term / world.size for name, term in terms.items()}


class SharedMaps(System):
    """MMA of which every worker correlates the first maps that it holds."""

    def __init__(self) -> None:
        super().__init__(maps=True)

    def forward(self, sensors: list[Tensor], world: World) -> dict[str, Tensor]:
        first, second = self.embed(sensors, world)
        total = len(sensors[0])
        similarities = map_similarity(first, gather_rows(second, total, world))
        return {"loss": map_contrast(gather_rows(similarities, total, world), 0.1) / world.size}


class Taught(System):
    """A loss with a momentum teacher."""

    def __init__(self, options: Any) -> None:
        super().__init__()
        self.teacher = make_teacher(self.encoders)
        self.predictor = nn.Linear(WIDTH, WIDTH)
        self.loss = make_asymmetric_loss(options)

    def forward(self, sensors: list[Tensor], world: World) -> dict[str, Tensor]:
        total = len(sensors[0])
        student = [gather_rows(self.predictor(local), total, world) for local in self.embed(sensors, world)]
        parts = zip(self.teacher.children(), sensors, strict=True)
        teacher = [gather_rows(encoder(rows[share(total, world)]), total, world) for encoder, rows in parts]
        terms = self.loss(student, teacher)
        update_teacher(self.encoders, self.teacher, 0.9)
        return {name: term / world.size for name, term in terms.items()}


SYSTEMS = {
    "nt_xent": lambda: Pairs(NtXentOptions(temperature=0.2)),
    "info_nce": lambda: Pairs(InfoNceOptions(temperature=0.2)),
    "info_nce with a memory bank": lambda: Pairs(InfoNceOptions(temperature=0.2), bank=True),
    "barlow_twins": lambda: Pairs(BarlowTwinsOptions()),
    "vicreg": lambda: Pairs(VicRegOptions()),
    "triplet with a miner": lambda: Pairs(TripletOptions(miner="hard")),
    "contrastive with a miner": lambda: Pairs(ContrastiveOptions(miner="semi_hard")),
    "mma": lambda: Pairs(MmaOptions()),
    "mma of shared maps": SharedMaps,
    "byol": lambda: Taught(ByolOptions()),
    "dino": lambda: Taught(DinoOptions(prototypes=WIDTH)),
}


def train(world: World, synced: bool = True) -> dict[str, dict[str, Tensor]]:
    """Three steps of every system: terms of the loss, gradients summed over the workers, and the state at the end."""
    results = {}
    for name, make in SYSTEMS.items():
        system = make().double()
        system = sync_batchnorm(system) if synced else system  # type: ignore[assignment]
        trained = [parameter for parameter in system.parameters() if parameter.requires_grad]
        optimizer = torch.optim.SGD(trained, lr=0.05, momentum=0.9)
        result = {}
        for step, total in enumerate(BATCHES):
            generator = torch.Generator().manual_seed(step)
            sensors = [torch.randn(total, bands, 6, 6, generator=generator, dtype=torch.float64) for bands in (2, 3)]
            terms = system(sensors, world)
            optimizer.zero_grad()
            terms["loss"].backward()
            result[f"gradient of step {step}"] = _reduce(trained, world)
            result |= {f"{term} of step {step}": value.detach().clone() for term, value in terms.items()}
            optimizer.step()
        results[name] = result | system.state_dict()
    return results


def _reduce(trained: list[nn.Parameter], world: World) -> Tensor:
    """Sum the gradients over the workers, in place; all of them as one vector."""
    gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
    assert len(gradients) == len(trained)
    vector = nn.utils.parameters_to_vector(gradients)
    if world.size > 1:
        dist.all_reduce(vector)
    for gradient, summed in zip(gradients, vector.split([each.numel() for each in gradients]), strict=True):
        gradient.copy_(summed.view_as(gradient))
    return vector


@pytest.fixture(scope="module", params=[1, 2, 4])
def workers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, dict[str, Tensor]]]:
    folder: Path = tmp_path_factory.mktemp("workers")
    return on_workers(request.param, folder, train)


@pytest.fixture(scope="module")
def alone() -> dict[str, dict[str, Tensor]]:
    """One process with torch's own BatchNorm."""
    return train(World(), synced=False)


@pytest.mark.parametrize("name", SYSTEMS)
def test_workers_train_as_one(
    name: str, workers: list[dict[str, dict[str, Tensor]]], alone: dict[str, dict[str, Tensor]]
) -> None:
    for key, value in alone[name].items():
        parts = [worker[name][key] for worker in workers]
        if not key.startswith("gradient") and " of step " in key:
            parts = [torch.stack(parts).sum(0)]
        for part in parts:
            torch.testing.assert_close(part, value, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_is_moved_by_its_loss(name: str, alone: dict[str, dict[str, Tensor]]) -> None:
    gradients = [value for key, value in alone[name].items() if key.startswith("gradient")]
    assert max(float(gradient.abs().max()) for gradient in gradients) > 1e-3
    assert alone[name]["loss of step 0"] > 0
