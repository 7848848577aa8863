"""From settings to `torch.optim` and its schedules."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.optim import lr_scheduler

if TYPE_CHECKING:
    from torch import nn

    from geozoo.training.settings import OptimizerSettings, ScheduleSettings

PLATEAU_FACTOR, PLATEAU_PATIENCE = 0.3, 10
MILESTONE_FACTOR = 0.1


def make_optimizer(module: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """The optimiser of all parameters of a module that need a gradient."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if settings.name == "sgd":
        return torch.optim.SGD(
            parameters, lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
    if settings.name == "adam":
        return torch.optim.Adam(parameters, lr=settings.lr, weight_decay=settings.weight_decay)
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=settings.lr)


class Schedule(Protocol):
    """Moves the learning rate of an optimiser; its state goes into checkpoints."""

    def after_step(self) -> None:
        """Called after every step of the optimiser."""

    def after_epoch(self, training_loss: float) -> None:
        """Called after every epoch with its mean training loss."""

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from such values."""


def _plain(scheduler: lr_scheduler.LRScheduler) -> dict[str, Any]:
    return {name: value for name, value in scheduler.state_dict().items() if not name.startswith("_")}


class _EveryStep:
    """One of torch's schedules that moves with every step."""

    def __init__(self, scheduler: lr_scheduler.LRScheduler) -> None:
        self._scheduler = scheduler

    def after_step(self) -> None:
        self._scheduler.step()

    def after_epoch(self, training_loss: float) -> None:
        return

    def state_dict(self) -> dict[str, Any]:
        return _plain(self._scheduler)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._scheduler.load_state_dict(state)


class _EveryEpoch:
    """One of torch's schedules that moves with every epoch after the first ``begin``."""

    def __init__(self, scheduler: lr_scheduler.LRScheduler, begin: int = 0) -> None:
        self._scheduler = scheduler
        self._begin = begin
        self._epochs = 0

    def after_step(self) -> None:
        return

    def after_epoch(self, training_loss: float) -> None:
        self._epochs += 1
        if self._epochs > self._begin:
            self._scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self._epochs, "scheduler": _plain(self._scheduler)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._epochs = state["epochs"]
        self._scheduler.load_state_dict(state["scheduler"])


class _Plateau:
    """Torch's ReduceLROnPlateau on the training loss."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=PLATEAU_FACTOR, patience=PLATEAU_PATIENCE)

    def after_step(self) -> None:
        return

    def after_epoch(self, training_loss: float) -> None:
        self._scheduler.step(training_loss)

    def state_dict(self) -> dict[str, Any]:
        return self._scheduler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._scheduler.load_state_dict(state)


def _cosine(warmup: float, floor: float, total: int, step: int) -> float:
    """The factor of the rate before step ``step`` (from 0): the first of ``rising`` warm-up steps has 1 / rising."""
    rising = round(warmup * total)
    if step < rising:
        return (step + 1) / rising
    done = min(1.0, (step - rising) / max(1, total - rising))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))


def make_schedule(optimizer: torch.optim.Optimizer, settings: ScheduleSettings, total_steps: int) -> Schedule:
    """The schedule of an optimiser over ``total_steps`` steps."""
    if settings.name == "plateau":
        return _Plateau(optimizer)
    if settings.name == "onecycle":
        rates = [group["lr"] for group in optimizer.param_groups]
        return _EveryStep(lr_scheduler.OneCycleLR(optimizer, rates, total_steps=total_steps))
    if settings.name == "cosine":
        return _EveryStep(
            lr_scheduler.LambdaLR(optimizer, partial(_cosine, settings.warmup, settings.floor, total_steps))
        )
    if settings.name == "milestones":
        return _EveryEpoch(lr_scheduler.MultiStepLR(optimizer, settings.milestones, gamma=MILESTONE_FACTOR))
    if settings.name == "epoch_cosine":
        assert settings.t_max is not None
        return _EveryEpoch(lr_scheduler.CosineAnnealingLR(optimizer, settings.t_max), settings.begin)
    return _EveryStep(lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0))
