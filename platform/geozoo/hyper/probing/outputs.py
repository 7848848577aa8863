"""Several targets as the outputs of one network: coding, loss with missing values, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from geozoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geozoo.hyper.probing.targets import Target

MISSING = -1
"""Code of an unknown class; an unknown number is NaN."""


@dataclass(frozen=True)
class Output:
    """How one target is coded, read off the training states.

    A number is standardised by ``mean`` and ``scale``; predictions are held within its training range ``low`` to
    ``high``. A class is its place in ``classes``, of which a number has none.
    """

    name: str
    mean: float = 0.0
    scale: float = 1.0
    low: float = 0.0
    high: float = 0.0
    classes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Number of a network's outputs that it takes."""
        return len(self.classes) or 1


def code_outputs(targets: Sequence[Target]) -> tuple[Output, ...]:
    """Read the coding of every target off training states.

    Raises:
        InputError: there is no target, or one has no value.
    """
    if not targets:
        raise InputError("there is nothing to predict: give at least one target.")
    return tuple(_code(target) for target in targets)


def _code(target: Target) -> Output:
    known = target.values[target.present]
    if not len(known):
        raise InputError(f"target {target.name!r} has no value among the training states: leave it out.")
    if target.kind == "classification":
        return Output(target.name, classes=tuple(np.unique(known).tolist()))
    scale = float(known.std()) or 1.0
    return Output(target.name, float(known.mean()), scale, float(known.min()), float(known.max()))


def encode_targets(targets: Sequence[Target], outputs: Sequence[Output]) -> Tensor:
    """Code targets as float64 ``[n, targets]``: standardised numbers and class numbers; a class not coded is missing.

    Raises:
        InputError: the targets are others than those of ``outputs``.
    """
    names, wanted = [target.name for target in targets], [output.name for output in outputs]
    if names != wanted:
        raise InputError(f"targets {', '.join(names)} are not the trained {', '.join(wanted)}: give these, in order.")
    columns = [_encode(target, output) for target, output in zip(targets, outputs, strict=True)]
    return torch.from_numpy(np.column_stack(columns))


def _encode(target: Target, output: Output) -> np.ndarray:
    if not output.classes:
        return (target.values.astype(np.float64) - output.mean) / output.scale
    place = {name: float(number) for number, name in enumerate(output.classes)}
    return np.array([place.get(value, MISSING) for value in target.values.tolist()])


def known_targets(coded: Tensor, outputs: Sequence[Output]) -> Tensor:
    """Mask ``[n, targets]`` of the coded targets that have a value."""
    return torch.stack([_known(column, output) for column, output in zip(coded.unbind(1), outputs, strict=True)], 1)


def _known(column: Tensor, output: Output) -> Tensor:
    return column != MISSING if output.classes else column.isfinite()


def outputs_loss(raw: Tensor, coded: Tensor, outputs: Sequence[Output]) -> Tensor:
    """Mean over targets of their loss on known values: squared error of numbers, cross-entropy of classes.

    Args:
        raw: a network's outputs ``[n, sum of widths]``.
        coded: ``[n, targets]``.
        outputs: of the targets.

    Returns:
        A scalar; a target without a known value counts 0.
    """
    losses = []
    for part, column, output in zip(_split(raw, outputs), coded.unbind(1), outputs, strict=True):
        known = _known(column, output)
        if output.classes:
            total = F.cross_entropy(part[known], column[known].long(), reduction="sum")
        else:
            total = (part[known, 0] - column[known].to(part.dtype)).square().sum()
        losses.append(total / known.sum().clamp_min(1))
    return torch.stack(losses).mean()


def decode_outputs(raw: Tensor, outputs: Sequence[Output]) -> dict[str, np.ndarray]:
    """Predictions by target: float64 ``[n]`` on the target's own scale, or class names ``[n]``."""
    decoded = {}
    for part, output in zip(_split(raw.double(), outputs), outputs, strict=True):
        if output.classes:
            decoded[output.name] = np.array(output.classes)[part.argmax(dim=1).numpy()]
        else:
            decoded[output.name] = np.clip(part[:, 0].numpy() * output.scale + output.mean, output.low, output.high)
    return decoded


def _split(raw: Tensor, outputs: Sequence[Output]) -> tuple[Tensor, ...]:
    return torch.split(raw, [output.width for output in outputs], dim=1)
