"""Micro-kernels over one *block*: the lanes of one pixel or unit, one vector of at most 16 numbers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from geozoo.population.lanes.vectors import MAX_LANES, Emitter, make_micro_kernel
from geozoo.population.streams import GOLDEN, MIX_FIRST, MIX_SECOND, MIX_SHIFTS, UNIFORM_BITS

WORD = ir.IntType(32)
WORDS = ir.VectorType(WORD, MAX_LANES)


def _emit_move(e: Emitter, out: Any, at: Any, x: Any, x_at: Any, lanes: Any) -> None:
    mask = e.mask(lanes)
    e.store(e.load(e.address(x, x_at), mask), e.address(out, at), mask)


def _corners(e: Emitter, at: Any, row: Any, lanes: Any) -> list[Any]:
    below = e.builder.add(at, row)
    return [at, e.builder.add(at, lanes), below, e.builder.add(below, lanes)]


def _emit_pool(e: Emitter, out: Any, at: Any, x: Any, x_at: Any, row: Any, lanes: Any) -> None:
    mask = e.mask(lanes)
    first, *rest = [e.load(e.address(x, corner), mask) for corner in _corners(e, x_at, row, lanes)]
    for value in rest:
        larger = e.builder.fcmp_ordered(">", value, first)
        first = e.builder.select(e.builder.or_(larger, e.builder.fcmp_unordered("uno", value, value)), value, first)
    e.store(first, e.address(out, at), mask)


def _emit_unpool(
    e: Emitter, out: Any, out_at: Any, x: Any, x_at: Any, y: Any, y_at: Any, g: Any, g_at: Any, row: Any, lanes: Any
) -> None:
    b = e.builder
    mask = e.mask(lanes)
    top, gradient = e.load(e.address(y, y_at), mask), e.load(e.address(g, g_at), mask)
    for x_corner, out_corner in zip(_corners(e, x_at, row, lanes), _corners(e, out_at, row, lanes), strict=True):
        chosen = b.fcmp_ordered("==", e.load(e.address(x, x_corner), mask), top)
        e.store(b.select(chosen, gradient, e.zero()), e.address(out, out_corner), mask)
        gradient = b.select(chosen, e.zero(), gradient)


def _words(value: int) -> Any:
    return ir.Constant(WORDS, [value] * MAX_LANES)


def _mix(b: Any, word: Any) -> Any:
    for shift, factor in zip(MIX_SHIFTS, (MIX_FIRST, MIX_SECOND, None), strict=True):
        word = b.xor(word, b.lshr(word, _words(shift)))
        word = b.mul(word, _words(factor)) if factor else word
    return word


def _emit_drop(e: Emitter, out: Any, at: Any, samples: Any, unit: Any, threshold: Any, scale: Any, lanes: Any) -> None:
    """See `geozoo.population.dropout.StreamDropout`."""
    b = e.builder
    state = b.load(b.bitcast(samples, WORDS.as_pointer()), align=4)
    zeros = ir.Constant(WORDS, None)

    def spread(number: Any) -> Any:
        seed = b.insert_element(ir.Constant(WORDS, ir.Undefined), b.trunc(number, WORD), ir.Constant(WORD, 0))
        return b.shuffle_vector(seed, ir.Constant(WORDS, ir.Undefined), zeros)

    hashed = _mix(b, b.xor(b.add(state, _words(GOLDEN)), spread(unit)))
    kept = b.icmp_unsigned(">=", b.lshr(hashed, _words(32 - UNIFORM_BITS)), spread(threshold))
    e.store(b.select(kept, e.broadcast(scale), e.zero()), e.address(out, at), e.mask(lanes))


move_block = make_micro_kernel(_emit_move, MAX_LANES)
"""Copy one block. Arguments: ``out, at, x, at, lanes``."""

pool_block = make_micro_kernel(_emit_pool, MAX_LANES)
"""The largest of 2x2 blocks, NaN if there is one. Arguments: ``out, at, x, at, row, lanes``; ``row`` is that of x."""

unpool_block = make_micro_kernel(_emit_unpool, MAX_LANES)
"""Hand the gradient of a 2x2 maximum to the first of its blocks that has it.

Arguments: ``out, at, x, at, y, at, g, at, row, lanes``: ``y`` is the maximum, ``g`` its gradient, ``out`` that
of ``x``.
"""

drop_block = make_micro_kernel(_emit_drop, MAX_LANES)
"""A dropout mask: ``scale`` or 0. Arguments: ``out, at, samples, unit, threshold, scale, lanes``.

``samples`` (uint32) are hash states of 16 lanes that have absorbed the sample; ``scale`` has the dtype of ``out``.
"""
