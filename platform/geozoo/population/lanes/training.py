"""What is compiled: epochs of training and passes of evaluation over some members, from images to weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from geozoo.population.lanes.draws import DROPOUT, ZERO, absorb32, draw_order
from geozoo.population.lanes.functions import arithmetic_kernel, exponential
from geozoo.population.lanes.interpreter import run_backward, run_forward
from geozoo.population.lanes.updates import update

SETTINGS = ("lr", "weight_decay", "momentum", "threshold", "scale")
"""The columns of a member's settings; the last two are those of dropout."""
LR, DECAY, MOMENTUM, THRESHOLD, SCALE = range(len(SETTINGS))

LARGEST = float(np.finfo(np.float32).max)


@njit
def load_images(work: Any, images: Any, rows: Any, table: Any, lanes: Any) -> None:
    """Put images ``uint8 [n, channels, pixels]`` into lanes through ``table [channels, 256]``.

    ``rows`` are the images of the first lanes; lanes beyond them get the first image again.
    """
    channels, pixels = images.shape[1], images.shape[2]
    for lane in range(lanes):
        row = np.uint64(rows[lane if lane < len(rows) else 0])
        for channel in range(channels):
            values, lookup = images[row, channel], table[channel]
            out = work[channel * pixels * lanes + lane :]
            for pixel in range(pixels):
                out[np.uint64(pixel * lanes)] = lookup[values[pixel]]


@arithmetic_kernel
def softmax_loss(
    logits: Any, gradient: Any, top: Any, labels: Any, rows: Any, lanes: Any, share: Any
) -> tuple[Any, Any]:
    """Cross-entropy of some images: its sum, and how many have their largest logit at their label.

    Args:
        logits: ``[classes * lanes]``.
        gradient: likewise, of the loss times ``share``, overwritten; zero in the lanes beyond ``rows``. May be
            ``logits`` where it is not wanted.
        top: ``[lanes]``, overwritten.
        labels: of all images.
        rows: the images in the first lanes.
        lanes: how many.
        share: of the dtype of the logits.
    """
    classes = len(logits) // lanes
    loss, right = 0.0, 0
    for lane in range(lanes):
        top[lane] = logits[lane]
    for k in range(1, classes):
        for lane in range(lanes):
            value = logits[k * lanes + lane]
            top[lane] = value if value > top[lane] else top[lane]
    for lane in range(len(rows)):
        label = labels[np.uint64(rows[lane])]
        highest, at_label = top[lane], logits[label * lanes + lane]
        total = highest * 0
        best, finite = classes, True
        for k in range(classes):
            value = logits[k * lanes + lane]
            finite = finite and abs(value) <= LARGEST
            best = k if best == classes and value == highest else best
            chance = exponential(value - highest)
            gradient[k * lanes + lane] = chance
            total += chance
        loss += math.log(total) - (at_label - highest)
        right += finite and best == label
        scale = share / total
        for k in range(classes):
            gradient[k * lanes + lane] *= scale
        gradient[label * lanes + lane] -= share
    for lane in range(len(rows), lanes):
        for k in range(classes):
            gradient[k * lanes + lane] = 0
    return loss, right


@njit
def is_finite(weights: Any) -> Any:
    """Whether all weights are finite numbers once stored in float32."""
    too_large = 0
    for weight in weights:
        too_large += not abs(np.float32(weight)) <= LARGEST
    return too_large == 0


@njit
def train_batch(program: Any, buffers: Any, images: Any, params: Any, rows: Any, state: Any, settings: Any) -> Any:
    """Leave the gradient of the mean loss of one batch in the buffers; return the sum of losses and of right answers.

    Args:
        program: as `train_members` takes it.
        buffers: likewise.
        images: likewise.
        params: the member's weights.
        rows: the images of the batch.
        state: the hash state of dropout before the layer.
        settings: the member's row.
    """
    forward, backward, tables, places = program
    work, grads, samples = buffers[0], buffers[1], buffers[2]
    lanes, classes, logits, gradient, scratch = places[0], places[1], places[2], places[3], places[4]
    share = work.dtype.type(1 / len(rows))
    loss, right = 0.0, 0
    for start in range(0, len(rows), lanes):
        part = rows[start : start + lanes]
        load_images(work, images[0], part, images[2], lanes)
        draw = (state, start, np.int64(settings[THRESHOLD]), settings[SCALE])
        run_forward(forward, tables, work, params, lanes, draw, samples)
        end = classes * lanes
        part_loss, part_right = softmax_loss(
            work[logits : logits + end], work[gradient : gradient + end], work[scratch:], images[1], part, lanes, share
        )
        loss += part_loss
        right += part_right
        run_backward(backward, tables, work, params, grads, lanes, start > 0)
    return loss, right


@njit(nogil=True)
def train_members(
    program: Any,
    buffers: Any,
    images: Any,
    cohort: Any,
    optimizer: Any,
    batch: Any,
    epoch: Any,
    members: Any,
    steps: Any,
) -> None:
    """Train some members over some steps of one epoch.

    Args:
        program: ``forward, backward, tables`` of a `Program`, and its lanes, classes and the places of logits, their
            gradient and scratch.
        buffers: what one thread overwrites: workspace, gradients ``[params]``, samples uint32 ``[MAX_LANES]``, and for
            `draw_order` keys, order and bins.
        images: uint8 ``[n, channels, pixels]``, labels int64 ``[n]``, normalised values ``[channels, 256]``.
        cohort: weights and the two states of the optimiser ``[members, params]``, settings float64
            ``[members, len(SETTINGS)]``, seeds int64, finite uint8, sums of losses float64 and of right answers int64.
        optimizer: its code.
        batch: images a step.
        epoch: from 1 on.
        members: first, and one past the last.
        steps: likewise; the last step of an epoch judges whether weights are finite.
    """
    weights, first, second, settings, seeds, finite, losses, rights = cohort
    num_images = len(images[1])
    keys, order, bins = buffers[3], buffers[4], buffers[5]
    steps_per_epoch = (num_images + batch - 1) // batch
    for m in range(members[0], members[1]):
        if not finite[m]:
            continue
        draw_order(seeds[m], epoch, keys, order, bins)
        own = settings[m]
        dropout = absorb32(absorb32(absorb32(ZERO, seeds[m]), DROPOUT), epoch)
        for step in range(steps[0], steps[1]):
            rows = order[0, step * batch : min((step + 1) * batch, num_images)]
            loss, right = train_batch(program, buffers, images, weights[m], rows, absorb32(dropout, step), own)
            losses[m] += loss
            rights[m] += right
            done = (epoch - 1) * steps_per_epoch + step + 1
            update(optimizer, weights[m], buffers[1], first[m], second[m], own[LR], own[DECAY], own[MOMENTUM], done)
        if steps[1] == steps_per_epoch:
            finite[m] = is_finite(weights[m])


@njit(nogil=True)
def evaluate_members(program: Any, buffers: Any, images: Any, cohort: Any, members: Any, rows: Any) -> None:
    """Evaluate some members on some images; sums go to the cohort's losses and right answers.

    Arguments are those of `train_members`, of a program without training; ``rows`` are the first image and one past the
    last.
    """
    forward, _, tables, places = program
    work, samples = buffers[0], buffers[2]
    lanes, logits, scratch = places[0], places[2], places[4]
    end = places[1] * lanes
    weights, finite, losses, rights = cohort[0], cohort[5], cohort[6], cohort[7]
    draw = (ZERO, 0, 0, 1.0)
    chosen = buffers[4][0, :lanes]
    for start in range(rows[0], rows[1], lanes):
        count = min(lanes, rows[1] - start)
        for lane in range(count):
            chosen[lane] = start + lane
        load_images(work, images[0], chosen[:count], images[2], lanes)
        for m in range(members[0], members[1]):
            if finite[m]:
                run_forward(forward, tables, work, weights[m], lanes, draw, samples)
                out = work[logits : logits + end]
                loss, right = softmax_loss(
                    out, out, work[scratch:], images[1], chosen[:count], lanes, work.dtype.type(0)
                )
                losses[m] += loss
                rights[m] += right
