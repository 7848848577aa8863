"""Learning rates and momenta over the steps of a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from geozoo.population.engine import CohortJob
    from geozoo.population.optimizers import CohortSettings

RISE = 0.3
FIRST_DIVISOR, LAST_DIVISOR = 25.0, 1e4
HIGH_MOMENTUM, LOW_MOMENTUM = 0.95, 0.85


@dataclass(frozen=True)
class OneCycle:
    """The closed form of `torch.optim.lr_scheduler.OneCycleLR` at its defaults, for steps 0 to ``total_steps - 1``.

    The learning rate rises from 1/25 of its maximum over 30 % of the steps and falls to 1/250,000 of it, each along
    half a cosine; the momentum (beta1 of the Adams) falls from 0.95 to 0.85 and rises again meanwhile.
    """

    total_steps: int

    def rate(self, step: int) -> float:
        """The learning rate over its maximum."""
        return self._at(step, 1 / FIRST_DIVISOR, 1.0, 1 / (FIRST_DIVISOR * LAST_DIVISOR))

    def momentum(self, step: int) -> float:
        """The momentum."""
        return self._at(step, HIGH_MOMENTUM, LOW_MOMENTUM, HIGH_MOMENTUM)

    def _at(self, step: int, start: float, top: float, end: float) -> float:
        turn = RISE * self.total_steps - 1
        if step <= turn:
            return _half_cosine(start, top, step / turn)
        return _half_cosine(top, end, (step - turn) / (self.total_steps - 1 - turn))


def _half_cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) / 2 * (1 + math.cos(math.pi * share))


def torch_schedule(job: CohortJob, optimizer: Optimizer, total_steps: int) -> OneCycleLR | None:
    """The schedule of a job for an optimiser of torch, to be stepped after every batch; None if it is constant."""
    if job.schedule == "constant":
        return None
    return OneCycleLR(optimizer, [group["lr"] for group in optimizer.param_groups], total_steps)


class CohortSchedule:
    """Sets learning rates and momenta of a cohort before every step, on its device: part of a CUDA graph.

    ``steps`` ``int64 []`` counts those that were set.
    """

    def __init__(self, job: CohortJob, settings: CohortSettings, total_steps: int) -> None:
        self._settings = settings
        self._cycles = job.schedule == "onecycle"
        device = settings.lr.device
        self.steps = torch.zeros((), dtype=torch.int64, device=device)
        if self._cycles:
            cycle = OneCycle(total_steps)
            self._highest = settings.lr.clone()
            self._rates, self._momenta = (
                torch.tensor([value(step) for step in range(total_steps)], dtype=torch.float64, device=device)
                for value in (cycle.rate, cycle.momentum)
            )

    def __call__(self) -> None:
        """Go to the next step."""
        if self._cycles:
            step = self.steps[None]
            momentum: Tensor = self._momenta[step]
            self._settings.lr.copy_(self._highest * self._rates[step])
            self._settings.momentum.copy_(momentum.expand_as(self._settings.momentum))
            self._settings.beta1.copy_(momentum.expand_as(self._settings.beta1))
            self.steps += 1
