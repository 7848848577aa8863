"""What the compiled interpreter runs: instructions, tables of offsets, and the workspace they refer to.

Feature maps are buffers ``[channels, height, width, lanes]`` in one workspace. `geozoo.population.lanes.lowering` turns
a network into instructions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from geozoo.population.lanes.vectors import SLACK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


class Op(IntEnum):
    """What an instruction does; `geozoo.population.lanes.interpreter` lists the arguments where it runs it."""

    TAPS = 0
    DOTS = 1
    SUMS = 2
    PICK = 3
    SPREAD = 4
    COLLECT = 5
    POOL = 6
    UNPOOL = 7
    MEAN = 8
    UNMEAN = 9
    ACTIVATE = 10
    ACTIVATION_GRADIENT = 11
    DROP = 12
    DROP_GRADIENT = 13


PARAMETERS, WORKSPACE = 0, 1
"""Where an instruction finds its weights."""

NO_BIAS = -1
MAX_ARGUMENTS = 15
Instruction = tuple[int, ...]


@dataclass(frozen=True)
class FeatureMap:
    """``channels, height, width``, and where in the workspace its numbers and their gradient are."""

    at: int
    gradient: int
    channels: int
    height: int
    width: int

    @property
    def units(self) -> int:
        """Numbers per lane."""
        return self.channels * self.height * self.width

    def flat(self) -> FeatureMap:
        """The same numbers as ``units`` channels of one pixel."""
        return FeatureMap(self.at, self.gradient, self.units, 1, 1)


@dataclass(frozen=True)
class Program:
    """A network for one number of lanes, ready to run.

    ``forward`` and ``backward`` are instructions ``int64 [n, MAX_ARGUMENTS + 1]``, ``tables`` the offsets they refer
    to. ``workspace`` is how many numbers a thread needs; the input comes first in it, ``logits`` and
    ``logit_gradients`` are where the loss reads and writes, ``scratch`` where it keeps one number a lane. ``macs`` are
    the multiply-adds of one image.
    """

    lanes: int
    classes: int
    forward: NDArray[np.int64]
    backward: NDArray[np.int64]
    tables: NDArray[np.int64]
    logits: int
    logit_gradients: int
    scratch: int
    workspace: int
    macs: int

    def arguments(self) -> tuple[NDArray[np.int64], ...]:
        """What compiled code is handed."""
        places = (self.lanes, self.classes, self.logits, self.logit_gradients, self.scratch)
        return (self.forward, self.backward, self.tables, np.array(places, dtype=np.int64))


@dataclass
class ProgramBuilder:
    """Collects instructions, tables and buffers while the layers of a network are walked."""

    lanes: int
    training: bool
    tables: list[int] = field(default_factory=list)
    numbers: int = 0
    parameters: int = 0
    macs: int = 0
    _forward: list[Instruction] = field(default_factory=list)
    _backward: list[list[Instruction]] = field(default_factory=list)

    @property
    def needs_gradient(self) -> bool:
        """Whether an earlier layer has parameters, so that what comes now must hand a gradient back to it."""
        return self.training and self.parameters > 0

    def table(self, entries: Iterable[int]) -> int:
        """Keep a table; return where it starts."""
        start = len(self.tables)
        self.tables.extend(entries)
        return start

    def buffer(self, numbers: int) -> int:
        """Reserve numbers of the workspace, zeros until written; return where they start."""
        start = self.numbers
        self.numbers += -(-(numbers + SLACK) // SLACK) * SLACK
        return start

    def feature_map(self, channels: int, height: int, width: int) -> FeatureMap:
        """Reserve a feature map and, in training, its gradient."""
        numbers = channels * height * width * self.lanes
        at = self.buffer(numbers)
        return FeatureMap(at, self.buffer(numbers) if self.training else at, channels, height, width)

    def take_parameters(self, count: int) -> int:
        """The place of the next parameters in the flat vector."""
        self.parameters += count
        return self.parameters - count

    def add(self, forward: Iterable[Instruction], backward: Iterable[Instruction]) -> None:
        """Add a layer; backward, layers run in reverse, and those before the first parameters not at all."""
        self._forward += forward
        if self.needs_gradient:
            self._backward.append(list(backward))

    def finish(self, logits: FeatureMap) -> Program:
        """The program whose result is ``logits``."""
        scratch = self.buffer(SLACK)
        return Program(
            lanes=self.lanes,
            classes=logits.units,
            forward=_packed(self._forward),
            backward=_packed([step for layer in reversed(self._backward) for step in layer]),
            tables=np.array([*self.tables, 0], dtype=np.int64),
            logits=logits.at,
            logit_gradients=logits.gradient,
            scratch=scratch,
            workspace=self.numbers + SLACK,
            macs=self.macs,
        )


def _packed(instructions: list[Instruction]) -> NDArray[np.int64]:
    packed = np.zeros((len(instructions), MAX_ARGUMENTS + 1), dtype=np.int64)
    for row, instruction in enumerate(instructions):
        packed[row, : len(instruction)] = instruction
    return packed
