"""The compiled interpreter: runs instructions over one workspace."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from geozoo.population.lanes.activations import activate, activation_gradient
from geozoo.population.lanes.blocks import drop_block, move_block, pool_block, unpool_block
from geozoo.population.lanes.draws import absorb32
from geozoo.population.lanes.functions import arithmetic_kernel
from geozoo.population.lanes.program import PARAMETERS, Op
from geozoo.population.lanes.vectors import TILE_OUTPUTS, TILE_TAPS, TILE_VECTORS, WIDTH, dot_tile, tap_tile

TAPS, DOTS, SUMS, PICK = int(Op.TAPS), int(Op.DOTS), int(Op.SUMS), int(Op.PICK)
SPREAD, COLLECT, POOL, UNPOOL = int(Op.SPREAD), int(Op.COLLECT), int(Op.POOL), int(Op.UNPOOL)
MEAN, UNMEAN, ACTIVATE = int(Op.MEAN), int(Op.UNMEAN), int(Op.ACTIVATE)
ACTIVATION_GRADIENT, DROP, DROP_GRADIENT = int(Op.ACTIVATION_GRADIENT), int(Op.DROP), int(Op.DROP_GRADIENT)


@arithmetic_kernel
def sum_taps(a: Any, work: Any, tables: Any, params: Any) -> None:
    """``out[o, y, i] = bias[o] + sum over taps t of weights[o, t] * x[taps[t] + y * x_row + i]``.

    Arguments: ``out, its plane, its row, outputs, rows, length, x, its row, taps, their count, where the weights are
    and at what place, where the biases are and at what place``.
    """
    out, plane, out_row, outputs, rows, length = a[1], a[2], a[3], a[4], a[5], a[6]
    x, x_row, taps, count = a[7], a[8], a[9], a[10]
    weights = params if a[11] == PARAMETERS else work
    bias = params if a[13] == PARAMETERS else work
    vectors = (length + WIDTH - 1) // WIDTH
    columns = (vectors + TILE_VECTORS - 1) // TILE_VECTORS
    blocks = (outputs + TILE_OUTPUTS - 1) // TILE_OUTPUTS
    for y in range(rows):
        for column in range(columns):
            first_vector = vectors * column // columns
            last_vector = vectors * (column + 1) // columns
            tail = length - (vectors - 1) * WIDTH if last_vector == vectors else WIDTH
            start = first_vector * WIDTH
            for block in range(blocks):
                o = outputs * block // blocks
                size = outputs * (block + 1) // blocks - o
                tap_tile(
                    work, out + o * plane + y * out_row + start, plane, size, last_vector - first_vector, tail,
                    weights, a[12] + o * count, bias, a[14] + o, work, x + y * x_row + start, tables, taps, count,
                )  # fmt: skip


@arithmetic_kernel
def sum_dots(a: Any, work: Any, tables: Any, grads: Any, add: Any) -> None:
    """``grads[o, t] = sum over y, i of g[o, y, i] * x[taps[t] + y * x_row + i]``, added to what is there if ``add``.

    Arguments: ``g, its plane, its row, outputs, rows, length, x, its row, taps, their count, place in grads``.
    """
    plane, g_row, outputs, rows, length, x, x_row, taps, count = a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10]
    blocks = (outputs + TILE_OUTPUTS - 1) // TILE_OUTPUTS
    columns = (count + TILE_TAPS - 1) // TILE_TAPS
    for block in range(blocks):
        o = outputs * block // blocks
        size = outputs * (block + 1) // blocks - o
        for column in range(columns):
            t = count * column // columns
            dot_tile(
                grads, a[11] + o * count + t, count, size, count * (column + 1) // columns - t, add,
                work, a[1] + o * plane, plane, g_row, work, x, x_row, tables, taps + t, rows, length,
            )  # fmt: skip


@arithmetic_kernel
def sum_planes(a: Any, work: Any, grads: Any, add: Any) -> None:
    """``grads[o] = sum over i of g[o, i]``. Arguments: ``g, outputs, length, place in grads``."""
    length = a[3]
    for o in range(a[2]):
        g = work[a[1] + o * length : a[1] + (o + 1) * length]
        total = g[0] * 0
        for i in range(length):
            total += g[i]
        grads[a[4] + o] = total + grads[a[4] + o] if add else total


@njit
def pick(a: Any, work: Any, tables: Any, params: Any) -> None:
    """``out[i] = params[place + table[i]]``. Arguments: ``out, table, count, place``."""
    out, table, picked = work[a[1] : a[1] + a[3]], tables[a[2] : a[2] + a[3]], params[a[4] :]
    for i in range(len(out)):
        out[i] = picked[np.uint64(table[i])]


@njit
def spread(a: Any, work: Any, tables: Any, lanes: Any) -> None:
    """Put block i of x at ``out + table[i]``. Arguments: ``out, x, table, count``."""
    for i in range(a[4]):
        move_block(work, a[1] + tables[a[3] + i], work, a[2] + i * lanes, lanes)


@njit
def collect(a: Any, work: Any, tables: Any, lanes: Any) -> None:
    """Put the block at ``x + table[i]`` at block i of out. Arguments: ``out, x, table, count``."""
    for i in range(a[4]):
        move_block(work, a[1] + i * lanes, work, a[2] + tables[a[3] + i], lanes)


@njit
def pool(a: Any, work: Any, lanes: Any) -> None:
    """2x2 maxima. Arguments: ``x, y, channels, height and width of y, row and plane of x``."""
    y = a[2]
    for c in range(a[3]):
        for i in range(a[4]):
            x = a[1] + c * a[7] + 2 * i * a[6]
            for _ in range(a[5]):
                pool_block(work, y, work, x, a[6], lanes)
                x += 2 * lanes
                y += lanes


@njit
def unpool(a: Any, work: Any, lanes: Any) -> None:
    """The gradient of `pool`. Arguments: those of `pool`, then the gradients of x and of y."""
    done = 0
    for c in range(a[3]):
        for i in range(a[4]):
            shift = c * a[7] + 2 * i * a[6]
            for _ in range(a[5]):
                unpool_block(
                    work, a[8] + shift, work, a[1] + shift, work, a[2] + done, work, a[9] + done, a[6], lanes
                )  # fmt: skip
                shift += 2 * lanes
                done += lanes


@arithmetic_kernel
def mean(a: Any, work: Any, lanes: Any) -> None:
    """Means over positions. Arguments: ``x, y, channels, positions``."""
    share = work.dtype.type(1 / a[4])
    for c in range(a[3]):
        y = work[a[2] + c * lanes : a[2] + (c + 1) * lanes]
        y[:] = 0
        for position in range(a[4]):
            start = a[1] + (c * a[4] + position) * lanes
            x = work[start : start + lanes]
            for lane in range(lanes):
                y[lane] += x[lane]
        for lane in range(lanes):
            y[lane] *= share


@arithmetic_kernel
def unmean(a: Any, work: Any, lanes: Any) -> None:
    """The gradient of `mean`. Arguments: ``gradient of x, gradient of y, channels, positions``."""
    share = work.dtype.type(1 / a[4])
    for c in range(a[3]):
        g = work[a[2] + c * lanes : a[2] + (c + 1) * lanes]
        for position in range(a[4]):
            start = a[1] + (c * a[4] + position) * lanes
            x = work[start : start + lanes]
            for lane in range(lanes):
                x[lane] = g[lane] * share


@arithmetic_kernel
def multiply(out: Any, x: Any, y: Any) -> None:
    """``out = x * y``."""
    for i in range(len(out)):
        out[i] = x[i] * y[i]


@njit
def drop(a: Any, work: Any, lanes: Any, draw: Any, samples: Any) -> None:
    """``y = x * mask``. Arguments: ``layer, x, y, mask, units``.

    ``draw`` holds the hash state before the layer, the number of the first lane in its batch, threshold and scale.
    """
    state, first_sample, threshold, scale = draw
    key = absorb32(state, a[1])
    for lane in range(lanes):
        samples[lane] = absorb32(key, first_sample + lane)
    factor = work.dtype.type(scale)
    for unit in range(a[5]):
        drop_block(work, a[4] + unit * lanes, samples, unit, threshold, factor, lanes)
    numbers = a[5] * lanes
    multiply(work[a[3] : a[3] + numbers], work[a[2] : a[2] + numbers], work[a[4] : a[4] + numbers])


@njit
def run_forward(code: Any, tables: Any, work: Any, params: Any, lanes: Any, draw: Any, samples: Any) -> None:
    """Run the instructions of a forward pass, in order."""
    for step in range(len(code)):
        a = code[step]
        op = a[0]
        if op == TAPS:
            sum_taps(a, work, tables, params)
        elif op == SPREAD:
            spread(a, work, tables, lanes)
        elif op == POOL:
            pool(a, work, lanes)
        elif op == MEAN:
            mean(a, work, lanes)
        elif op == ACTIVATE:
            activate(a[1], work[a[2] : a[2] + a[4]], work[a[3] : a[3] + a[4]])
        elif op == DROP:
            drop(a, work, lanes, draw, samples)


@njit
def run_backward(code: Any, tables: Any, work: Any, params: Any, grads: Any, lanes: Any, add: Any) -> None:
    """Run the instructions of a backward pass; parameter gradients replace ``grads`` or, with ``add``, add to them."""
    for step in range(len(code)):
        a = code[step]
        op = a[0]
        if op == TAPS:
            sum_taps(a, work, tables, params)
        elif op == DOTS:
            sum_dots(a, work, tables, grads, add)
        elif op == SUMS:
            sum_planes(a, work, grads, add)
        elif op == PICK:
            pick(a, work, tables, params)
        elif op == SPREAD:
            spread(a, work, tables, lanes)
        elif op == COLLECT:
            collect(a, work, tables, lanes)
        elif op == UNPOOL:
            unpool(a, work, lanes)
        elif op == UNMEAN:
            unmean(a, work, lanes)
        elif op == ACTIVATION_GRADIENT:
            n = a[6]
            x, y, out, g = work[a[2] : a[2] + n], work[a[3] : a[3] + n], work[a[4] : a[4] + n], work[a[5] : a[5] + n]
            activation_gradient(a[1], x, y, g, out)
        elif op == DROP_GRADIENT:
            n = a[4]
            multiply(work[a[2] : a[2] + n], work[a[3] : a[3] + n], work[a[1] : a[1] + n])
