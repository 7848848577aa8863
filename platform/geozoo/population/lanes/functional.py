"""What is compiled for calling networks as functions: logits of members on shared images, and their derivative.

Unlike in `geozoo.population.lanes.training` there are no labels and no optimiser: gradients come from outside.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from geozoo.population.lanes.draws import ZERO
from geozoo.population.lanes.interpreter import run_backward, run_forward


@njit
def load_values(work: Any, images: Any, first: Any, count: Any, lanes: Any) -> None:
    """Put ``count`` images of ``[n, channels * pixels]`` into lanes; lanes beyond them get the first of them again."""
    for lane in range(lanes):
        row = images[first + (lane if lane < count else 0)]
        for unit in range(len(row)):
            work[unit * lanes + lane] = row[unit]


@njit(nogil=True)
def member_logits(program: Any, buffers: Any, images: Any, weights: Any, logits: Any, members: Any) -> None:
    """Write the logits of some members on all images.

    Args:
        program: ``forward, backward, tables`` of a `Program`, and its lanes, classes and the places of logits, their
            gradient and scratch.
        buffers: what one thread overwrites: workspace, and samples uint32 ``[MAX_LANES]``.
        images: ``[n, channels * pixels]``, normalised.
        weights: ``[members, params]``.
        logits: ``[members, n, classes]``, overwritten.
        members: first, and one past the last.
    """
    forward, _, tables, places = program
    work, samples = buffers
    lanes, classes, at = places[0], places[1], places[2]
    for first in range(0, len(images), lanes):
        count = min(lanes, len(images) - first)
        load_values(work, images, first, count, lanes)
        for m in range(members[0], members[1]):
            run_forward(forward, tables, work, weights[m], lanes, (ZERO, 0, 0, 1.0), samples)
            for lane in range(count):
                for k in range(classes):
                    logits[m, first + lane, k] = work[at + k * lanes + lane]


@njit(nogil=True)
def member_gradients(
    program: Any, buffers: Any, images: Any, weights: Any, logit_gradients: Any, gradients: Any, members: Any
) -> None:
    """Write the gradients of some members' weights, given those of their logits; the forward pass is done again.

    Arguments are those of `member_logits`, of a program with training; ``logit_gradients`` is
    ``[members, n, classes]``, ``gradients`` is ``[members, params]`` and overwritten.
    """
    forward, backward, tables, places = program
    work, samples = buffers
    lanes, classes, at = places[0], places[1], places[3]
    for first in range(0, len(images), lanes):
        count = min(lanes, len(images) - first)
        load_values(work, images, first, count, lanes)
        for m in range(members[0], members[1]):
            run_forward(forward, tables, work, weights[m], lanes, (ZERO, 0, 0, 1.0), samples)
            for lane in range(lanes):
                for k in range(classes):
                    work[at + k * lanes + lane] = logit_gradients[m, first + lane, k] if lane < count else 0
            run_backward(backward, tables, work, weights[m], gradients[m], lanes, first > 0)
