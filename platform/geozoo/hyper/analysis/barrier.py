"""Interpolation barriers: what lies on the line between two members, before and after alignment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geozoo.hyper.analysis.evaluate import Evaluate
    from geozoo.store import Zoo

Align = Callable[["NDArray[np.float32]", "NDArray[np.float32]"], "NDArray[np.float32]"]
"""Permutes the units of networks ``[n, params]`` to match those of a reference ``[params]``."""

POINTS = 21


@dataclass(frozen=True)
class Path:
    """Loss and accuracy ``[points]`` on the straight line from one member (first) to another (last)."""

    loss: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def loss_barrier(self) -> float:
        """How far the loss rises above the line between the losses of the ends, at most; at least 0."""
        return barrier_height(self.loss)

    @property
    def accuracy_barrier(self) -> float:
        """How far the accuracy falls below the line between those of the ends, at most; at least 0."""
        return barrier_height(-self.accuracy)


@dataclass(frozen=True)
class Barrier:
    """The lines between two members as they are, and with the second one's units aligned to the first's."""

    first: str
    second: str
    before: Path
    after: Path | None


def barrier_height(curve: NDArray[np.floating]) -> float:
    """``max over a of curve(a) - ((1 - a) curve(0) + a curve(1))`` for values at evenly spaced ``a`` from 0 to 1."""
    share = np.linspace(0, 1, len(curve))
    return float(np.max(curve - ((1 - share) * curve[0] + share * curve[-1])))


def interpolate(first: NDArray[np.floating], second: NDArray[np.floating], points: int = POINTS) -> NDArray[np.float32]:
    """States ``[points, params]`` at even distances on the line between two, both ends included."""
    share = np.linspace(0, 1, points)[:, None]
    line: NDArray[np.float32] = ((1 - share) * first + share * second).astype(np.float32)
    return line


def measure_barriers(
    pairs: Sequence[tuple[int, int]],
    names: Sequence[str],
    weights: NDArray[np.float32],
    evaluate: Evaluate,
    align: Align | None,
    points: int = POINTS,
) -> list[Barrier]:
    """The barriers between pairs of members of one activation.

    Args:
        pairs: rows of ``weights``.
        names: ids of the members.
        weights: ``[members, params]``.
        evaluate: their losses and accuracies.
        align: permutes the second member of a pair to match the first; without it there is no line after alignment.
        points: on every line.
    """
    found = []
    for first, second in pairs:
        seconds = [weights[second]]
        if align is not None:
            seconds.append(align(weights[second : second + 1], weights[first])[0])
        loss, accuracy = evaluate(np.concatenate([interpolate(weights[first], end, points) for end in seconds]))
        paths = [
            Path(loss[start : start + points], accuracy[start : start + points])
            for start in range(0, len(loss), points)
        ]
        found.append(Barrier(names[first], names[second], paths[0], paths[1] if align is not None else None))
    return found


def weight_matching(zoo: Zoo) -> Align:
    """Alignment by weight matching over the permutation symmetry of a zoo's network.

    Raises:
        NetworkError: the symmetry of this network is not known.
    """
    import torch

    from geozoo.weights.alignment import align
    from geozoo.weights.symmetry import network_symmetry

    symmetry = network_symmetry(**zoo.header.network)

    def match(weights: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
        return align(torch.from_numpy(weights), torch.from_numpy(reference), symmetry).numpy()

    return match


def draw_pairs(activations: Sequence[str], count: int, generator: np.random.Generator) -> list[tuple[int, int]]:
    """Pairs of members with the same activation: taken in turn from the activations, no pair twice.

    Args:
        activations: one a member.
        count: at most so many pairs.
        generator: of the draw.
    """
    queues = []
    for name in sorted(set(activations)):
        rows = generator.permutation([row for row, own in enumerate(activations) if own == name])
        ahead = [(int(rows[i]), int(rows[(i + step) % len(rows)])) for step in (1, 2) for i in range(len(rows))]
        queues.append(list({frozenset(pair): pair for pair in ahead if pair[0] != pair[1]}.values()))
    turns = [queue[turn] for turn in range(count) for queue in queues if turn < len(queue)]
    return turns[:count]
