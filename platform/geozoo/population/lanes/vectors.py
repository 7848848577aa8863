"""Vector micro-kernels written as LLVM instructions: what an automatic vectoriser does not find.

A *lane* is one image of a batch. Buffers keep lanes last, so a row of a feature map is ``width * lanes`` contiguous
numbers, and both micro-kernels run over such rows in vectors of `WIDTH` numbers. They hold a tile of accumulators in
registers, ``outputs x vectors`` or ``outputs x taps``; the tile sizes are unrolled while the code is emitted. Offsets
and strides count numbers, not bytes. Reading may run up to `SLACK` numbers past a row: buffers have that much to spare.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_LANES = 16
"""Lanes of one pass at most: a block of one pixel is one vector of 16 numbers, some of them idle."""

WIDE = "+avx512f" in str(get_host_cpu_features()).split(",")
WIDTH = 16 if WIDE else 8
"""Numbers in a vector of the tiles: what the registers of this processor hold in float32."""

TILE_OUTPUTS = 4
TILE_VECTORS = 5 if WIDE else 2
TILE_TAPS = 5 if WIDE else 2
SLACK = 16
"""Numbers a kernel may read past the end of a row."""

CONTRACT = ("contract",)
INT = ir.IntType(64)


class Emitter:
    """The instructions the micro-kernels are made of, over numbers of one dtype in vectors of one width."""

    def __init__(self, context: Any, builder: Any, number: Any, width: int) -> None:
        self.builder = builder
        self.number = context.get_value_type(number)
        self.bytes = number.bitwidth // 8
        self.width = width
        self.vector = ir.VectorType(self.number, width)
        self.mask_type = ir.VectorType(ir.IntType(1), width)
        self.suffix = f"v{width}f{number.bitwidth}"

    def constant(self, value: int) -> Any:
        """A 64-bit integer."""
        return ir.Constant(INT, value)

    def mask(self, count: Any) -> Any:
        """The mask of the first ``count`` numbers of a vector."""
        wide = ir.VectorType(INT, self.width)
        steps = ir.Constant(wide, [ir.Constant(INT, place) for place in range(self.width)])
        return self.builder.icmp_signed("<", steps, self._spread(count, wide))

    def _spread(self, scalar: Any, vector: Any) -> Any:
        seed = self.builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.width), None)
        return self.builder.shuffle_vector(seed, ir.Constant(vector, ir.Undefined), zeros)

    def broadcast(self, scalar: Any) -> Any:
        """A vector of one number."""
        return self._spread(scalar, self.vector)

    def zero(self) -> Any:
        """A vector of zeros."""
        return ir.Constant(self.vector, None)

    def address(self, pointer: Any, at: Any, plus: int = 0) -> Any:
        """The place ``at + plus`` numbers behind a pointer."""
        place = self.builder.add(at, self.constant(plus)) if plus else at
        return self.builder.gep(pointer, [place])

    def scalar(self, pointer: Any, at: Any) -> Any:
        """The number at a place."""
        return self.builder.load(self.builder.gep(pointer, [at]))

    def load(self, place: Any, mask: Any = None) -> Any:
        """The vector at a place; numbers outside the mask are zero and are not read."""
        pointer = self.builder.bitcast(place, self.vector.as_pointer())
        if mask is None:
            return self.builder.load(pointer, align=self.bytes)
        kind = ir.FunctionType(self.vector, [pointer.type, ir.IntType(32), self.mask_type, self.vector])
        load = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.masked.load.{self.suffix}.p0")
        return self.builder.call(load, [pointer, ir.Constant(ir.IntType(32), self.bytes), mask, self.zero()])

    def store(self, value: Any, place: Any, mask: Any = None) -> None:
        """Write a vector; numbers outside the mask are left alone."""
        pointer = self.builder.bitcast(place, self.vector.as_pointer())
        if mask is None:
            self.builder.store(value, pointer, align=self.bytes)
            return
        kind = ir.FunctionType(ir.VoidType(), [self.vector, pointer.type, ir.IntType(32), self.mask_type])
        store = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.masked.store.{self.suffix}.p0")
        self.builder.call(store, [value, pointer, ir.Constant(ir.IntType(32), self.bytes), mask])

    def multiply_add(self, a: Any, b: Any, total: Any) -> Any:
        """``a * b + total``, fused where the processor can."""
        return self.builder.fadd(self.builder.fmul(a, b, flags=CONTRACT), total, flags=CONTRACT)

    def total(self, vector: Any) -> Any:
        """The sum over a vector, in any order."""
        kind = ir.FunctionType(self.number, [self.number, self.vector])
        reduce = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.vector.reduce.fadd.{self.suffix}")
        return self.builder.call(reduce, [ir.Constant(self.number, 0.0), vector], fastmath=("reassoc",))

    def variable(self, value: Any) -> Any:
        """A variable that starts at a value; it becomes a register."""
        slot = cgutils.alloca_once(self.builder, value.type)
        self.builder.store(value, slot)
        return slot


def make_micro_kernel(emit: Callable[..., None], width: int) -> Any:
    """Make a function for compiled code out of one that emits instructions; arrays reach it as pointers."""

    def typing(_: Any, *kinds: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            pointers = [
                context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
                for kind, value in zip(signature.args, values, strict=True)
            ]
            emit(Emitter(context, builder, signature.args[0].dtype, width), *pointers)
            return context.get_dummy_value()

        return types.void(*kinds), generate

    names = ["typing_context", *list(inspect.signature(emit).parameters)[1:]]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    typing.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])  # type: ignore[attr-defined]
    return intrinsic(typing)


def _by_size(e: Emitter, rows: Any, columns: Any, sizes: tuple[int, int], emit: Callable[[int, int], None]) -> None:
    """Emit one tile for each size up to ``sizes`` and jump to the one that is asked for."""
    builder = e.builder
    end = builder.append_basic_block("tile.end")
    chosen = builder.add(builder.mul(rows, e.constant(sizes[1] + 1)), columns)
    switch = builder.switch(chosen, end)
    for row_count in range(1, sizes[0] + 1):
        for column_count in range(1, sizes[1] + 1):
            block = builder.append_basic_block(f"tile.{row_count}x{column_count}")
            switch.add_case(e.constant(row_count * (sizes[1] + 1) + column_count), block)
            builder.position_at_end(block)
            emit(row_count, column_count)
            builder.branch(end)
    builder.position_at_end(end)


def _emit_tap_tile(
    e: Emitter, out: Any, at: Any, stride: Any, outputs: Any, vectors: Any, tail: Any,
    weights: Any, w_at: Any, bias: Any, b_at: Any, x: Any, x_at: Any, taps: Any, t_at: Any, count: Any,
) -> None:  # fmt: skip
    b = e.builder

    def emit(num_outputs: int, num_vectors: int) -> None:
        rows = [b.add(w_at, b.mul(count, e.constant(o))) for o in range(num_outputs)]
        biases = [e.broadcast(b.load(e.address(bias, b_at, o))) for o in range(num_outputs)]
        sums = [[e.variable(biases[o]) for _ in range(num_vectors)] for o in range(num_outputs)]
        with cgutils.for_range(b, count) as loop:
            place = b.add(x_at, e.scalar(taps, b.add(t_at, loop.index)))
            inputs = [e.load(e.address(x, place, v * e.width)) for v in range(num_vectors)]
            for o in range(num_outputs):
                weight = e.broadcast(e.scalar(weights, b.add(rows[o], loop.index)))
                for v in range(num_vectors):
                    b.store(e.multiply_add(weight, inputs[v], b.load(sums[o][v])), sums[o][v])
        mask = e.mask(tail)
        for o in range(num_outputs):
            row = b.add(at, b.mul(stride, e.constant(o)))
            for v in range(num_vectors):
                e.store(b.load(sums[o][v]), e.address(out, row, v * e.width), mask if v == num_vectors - 1 else None)

    _by_size(e, outputs, vectors, (TILE_OUTPUTS, TILE_VECTORS), emit)


def _emit_dot_tile(
    e: Emitter, out: Any, at: Any, stride: Any, outputs: Any, columns: Any, add: Any,
    g: Any, g_at: Any, g_plane: Any, g_row: Any, x: Any, x_at: Any, x_row: Any, taps: Any, t_at: Any,
    rows: Any, length: Any,
) -> None:  # fmt: skip
    b = e.builder
    whole = b.mul(b.sdiv(length, e.constant(e.width)), e.constant(e.width))
    mask = e.mask(b.sub(length, whole))
    has_tail = b.icmp_signed(">", length, whole)
    keep = b.icmp_signed("!=", add, e.constant(0))

    def emit(num_outputs: int, num_taps: int) -> None:
        sums = [[e.variable(e.zero()) for _ in range(num_taps)] for _ in range(num_outputs)]
        starts = [b.add(x_at, e.scalar(taps, b.add(t_at, e.constant(t)))) for t in range(num_taps)]
        planes = [b.add(g_at, b.mul(g_plane, e.constant(o))) for o in range(num_outputs)]

        def accumulate(y: Any, i: Any, mask: Any) -> None:
            g_shift, x_shift = b.add(b.mul(y, g_row), i), b.add(b.mul(y, x_row), i)
            gradients = [e.load(e.address(g, b.add(plane, g_shift)), mask) for plane in planes]
            for t, start in enumerate(starts):
                inputs = e.load(e.address(x, b.add(start, x_shift)), mask)
                for o, gradient in enumerate(gradients):
                    b.store(e.multiply_add(gradient, inputs, b.load(sums[o][t])), sums[o][t])

        with cgutils.for_range(b, rows) as row:
            with cgutils.for_range_slice(b, e.constant(0), whole, e.constant(e.width), inc=True) as (i, _):
                accumulate(row.index, i, None)
            with b.if_then(has_tail):
                accumulate(row.index, whole, mask)
        for o in range(num_outputs):
            for t in range(num_taps):
                place = e.address(out, b.add(at, b.mul(stride, e.constant(o))), t)
                before = b.select(keep, b.load(place), ir.Constant(e.number, 0.0))
                b.store(b.fadd(before, e.total(b.load(sums[o][t]))), place)

    _by_size(e, outputs, columns, (TILE_OUTPUTS, TILE_TAPS), emit)


tap_tile = make_micro_kernel(_emit_tap_tile, WIDTH)
"""``out[o, i] = bias[o] + sum over t of weights[o, t] * x[taps[t] + i]``, ``i`` over ``vectors`` vectors of one row.

Arguments: ``out, at, stride, outputs, vectors, tail, weights, at, bias, at, x, at, taps, at, count``. ``stride`` leads
from one output to the next; ``tail`` numbers of the last vector are written; weights are ``[outputs, count]``.
"""

dot_tile = make_micro_kernel(_emit_dot_tile, WIDTH)
"""``out[o, t] = (out[o, t] if add) + sum over y, i of g[o, y, i] * x[taps[t] + y * x_row + i]``.

Arguments: ``out, at, stride, outputs, columns, add, g, at, plane, row, x, at, row, taps, at, rows, length``. ``stride``
leads from one output of ``out`` to the next, ``plane`` from one of ``g``; ``i`` runs over ``length`` numbers.
"""
