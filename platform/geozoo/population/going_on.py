"""What one member trained by `torch.optim` goes on from: its module, its optimiser and its place in the schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor, nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

SCHEDULED = ("lr", "momentum", "betas")
"""What a schedule sets in an optimiser."""


def member_state(module: nn.Module, optimizer: Optimizer, schedule: LRScheduler | None) -> dict[str, NDArray[Any]]:
    """Copies of all tensors of a member's training, integer buffers included, and of the numbers a schedule has set."""
    state = {f"module.{name}": copied(tensor) for name, tensor in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if value is not None:
                state[f"optimizer.{key}.{name}"] = copied(value)
    (group,) = optimizer.param_groups
    state |= {f"group.{key}": np.array(group[key], dtype=np.float64) for key in SCHEDULED if key in group}
    if schedule is not None:
        state["schedule.steps"] = np.array(schedule.last_epoch)
    return state


def restore_member(
    state: Mapping[str, NDArray[Any]], module: nn.Module, optimizer: Optimizer, schedule: LRScheduler | None
) -> None:
    """Put the state from `member_state` into the same module, optimiser and schedule, freshly made.

    Moments get the memory format of their parameters, as they have it in a training that was never left: with another
    one torch would compute them on another path, which rounds differently.
    """
    module.load_state_dict(
        {name.removeprefix("module."): torch.from_numpy(a) for name, a in state.items() if name.startswith("module.")}
    )
    parameters = dict(module.named_parameters())
    for place, array in state.items():
        if place.startswith("optimizer."):
            _, key, name = place.split(".", 2)
            parameter, value = parameters[name], torch.from_numpy(array)
            like = value.shape == parameter.shape
            optimizer.state[parameter][key] = torch.empty_like(parameter).copy_(value) if like else value.clone()
    (group,) = optimizer.param_groups
    for key in SCHEDULED:
        if key in group:
            numbers = state[f"group.{key}"].tolist()
            group[key] = tuple(numbers) if isinstance(numbers, list) else numbers
    if schedule is not None:
        steps = int(state["schedule.steps"])
        schedule.load_state_dict(schedule.state_dict() | {"last_epoch": steps, "_step_count": steps + 1})


def copied(tensor: Tensor) -> NDArray[Any]:
    """A tensor as an array on the host that shares nothing with it."""
    return np.array(tensor.detach().cpu().numpy(), order="C")
