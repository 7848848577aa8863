"""Loss surfaces around a member: on a plane of random directions, and on the plane of its own trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geozoo.hyper.analysis.evaluate import Evaluate
    from geozoo.nets.layout import Layout

STEPS = 21
REACH = 1.0
MARGIN = 0.25


@dataclass(frozen=True)
class Surface:
    """Loss and accuracy ``[y, x]`` of a member moved by ``x`` and ``y`` along two directions.

    ``path`` is the member's trajectory ``[checkpoints, 2]`` in these coordinates and ``explained`` the share of its
    variance that lies along either direction; both empty on a plane of random directions.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    loss: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    path: NDArray[np.float64]
    explained: tuple[float, ...] = ()


def filter_normalised(
    weights: NDArray[np.floating], layout: Layout, generator: np.random.Generator
) -> NDArray[np.float64]:
    """A random direction ``[params]`` whose every filter is as long as that of ``weights`` (Li et al. 2018).

    A filter is one output channel of a convolution or one unit of a dense layer. Biases and the parameters and running
    statistics of BatchNorm are not moved, which is the default of the authors' released code.
    """
    direction = np.zeros(len(weights))
    for slot in layout:
        if slot.role != "weight" or len(slot.shape) < 2:
            continue
        filters = np.asarray(weights[slot.span], dtype=np.float64).reshape(slot.shape[0], -1)
        drawn = generator.standard_normal(filters.shape)
        lengths = np.linalg.norm(filters, axis=1, keepdims=True) / np.linalg.norm(drawn, axis=1, keepdims=True)
        direction[slot.span] = (drawn * lengths).ravel()
    return direction


def trajectory_plane(
    trajectory: NDArray[np.floating], layout: Layout
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[float, ...]]:
    """The plane through the last state in which a trajectory moves most (Li et al. 2018, section 7).

    Principal components of all states' differences from the last one; running statistics of BatchNorm are not moved.

    Args:
        trajectory: ``[checkpoints, params]``, at least three.
        layout: of the flat vector.

    Returns:
        Two orthonormal directions ``[2, params]``, the trajectory's coordinates ``[checkpoints, 2]`` relative to the
        last state, and the share of the variance along either.
    """
    moved = np.asarray(trajectory, dtype=np.float64) - np.asarray(trajectory[-1], dtype=np.float64)
    for slot in layout:
        if slot.role == "buffer":
            moved[:, slot.span] = 0
    _, lengths, directions = np.linalg.svd(moved - moved.mean(axis=0), full_matrices=False)
    total = float(np.sum(lengths**2)) or 1.0
    plane = directions[:2]
    return plane, moved @ plane.T, tuple(float(length**2 / total) for length in lengths[:2])


def random_surface(
    weights: NDArray[np.floating], layout: Layout, evaluate: Evaluate, seed: int = 0, steps: int = STEPS
) -> Surface:
    """The surface from -1 to 1 along two filter-normalised random directions through ``weights`` ``[params]``."""
    generator = np.random.default_rng(seed)
    plane = np.stack([filter_normalised(weights, layout, generator) for _ in range(2)])
    axis = np.linspace(-REACH, REACH, steps)
    loss, accuracy = evaluate_plane(weights, plane, axis, axis, evaluate)
    return Surface(axis, axis, loss, accuracy, np.empty((0, 2)))


def trajectory_surface(
    trajectory: NDArray[np.floating], layout: Layout, evaluate: Evaluate, steps: int = STEPS
) -> Surface:
    """The surface on the plane of a trajectory ``[checkpoints, params]``, a square a quarter larger on every side."""
    plane, path, explained = trajectory_plane(trajectory, layout)
    low, high = path.min(axis=0), path.max(axis=0)
    middle, reach = (low + high) / 2, (0.5 + MARGIN) * max(float((high - low).max()), 1e-12)
    x, y = (np.linspace(middle[axis] - reach, middle[axis] + reach, steps) for axis in range(2))
    loss, accuracy = evaluate_plane(trajectory[-1], plane, x, y, evaluate)
    return Surface(x, y, loss, accuracy, path, explained)


def evaluate_plane(
    centre: NDArray[np.floating],
    plane: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    evaluate: Evaluate,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Loss and accuracy ``[len(y), len(x)]`` at ``centre + x plane[0] + y plane[1]``, one call a row."""
    losses, accuracies = [], []
    for step in y:
        line = centre + x[:, None] * plane[0] + step * plane[1]
        loss, accuracy = evaluate(line.astype(np.float32))
        losses.append(loss)
        accuracies.append(accuracy)
    return np.stack(losses), np.stack(accuracies)
