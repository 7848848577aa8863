"""The arithmetic of losses and metrics: float32 at least, whatever the encoders compute in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor


def wide_enough(values: Tensor) -> Tensor:
    """The tensor in float32, or in float64 where it is that already."""
    return values if values.dtype == torch.float64 else values.float()


def without_autocast(values: Tensor) -> AbstractContextManager[None]:
    """A context in which nothing on the device of these values is narrowed."""
    context: AbstractContextManager[None] = torch.autocast(values.device.type, enabled=False)
    return context
