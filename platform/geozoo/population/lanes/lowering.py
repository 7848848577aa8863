"""From a network to a program.

A convolution is a sum over *taps*: each weight of an output channel meets the input at a fixed offset. One instruction
so serves every kernel size, a dense layer (its taps are the units before it) and the gradient of a convolution towards
its input (its taps run backwards over the zero-padded gradient). For stride s the input is first laid out in s x s
*phases*, each with every s-th row and column, so that rows of the output meet contiguous rows of the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from geozoo.errors import InputError
from geozoo.population.lanes.program import NO_BIAS, PARAMETERS, WORKSPACE, FeatureMap, Op, ProgramBuilder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn

    from geozoo.population.lanes.program import Instruction, Program

ACTIVATION_CODES = {"GELU": 0, "LeakyReLU": 1, "ReLU": 2, "Sigmoid": 3, "SiLU": 4, "Tanh": 5}
"""Class in ``torch.nn``, with its defaults -> the first argument of an activation instruction."""

LEAKY_SLOPE = 0.01


def lower(module: nn.Module, channels: int, size: int, lanes: int, *, training: bool, dropout: bool = True) -> Program:
    """The program of a plain stack for images ``[channels, size, size]``.

    The stack may hold convolutions without padding, dilation or groups, 2x2 max pooling, global average pooling, dense
    layers, flattening, the catalogue's activations and its dropout. Without ``training`` the program has no backward
    part and no dropout; without ``dropout`` its dropout layers do nothing.

    Raises:
        InputError: a layer is none of these, or does not fit the map before it.
    """
    builder = ProgramBuilder(lanes, training)
    current = builder.feature_map(channels, size, size)
    for layer in _leaves(module):
        kind = type(layer).__name__
        if kind == "StreamDropout" and not (training and dropout):
            continue
        if kind not in LOWERINGS:
            raise _unknown(layer)
        current = LOWERINGS[kind](builder, layer, current)
    return builder.finish(current)


def _unknown(layer: nn.Module) -> InputError:
    name = type(layer).__name__ if list(layer.children()) else str(layer)
    return InputError(f"the lanes engine has no layer {name}: choose --engine torch for this network.")


def _misfit(layer: nn.Module, x: FeatureMap) -> InputError:
    shape = f"{x.channels} x {x.height} x {x.width}"
    return InputError(
        f"the lanes engine cannot apply {layer} to a map of {shape} (channels, height, width):"
        " change the network or choose --engine torch."
    )


def _leaves(module: nn.Module) -> Iterator[nn.Module]:
    if type(module).__name__ == "Sequential":
        for child in module.children():
            yield from _leaves(child)
    else:
        yield module


@dataclass(frozen=True)
class Phases:
    """The shape ``[channels, stride, stride, height, width, lanes]`` of a map laid out in phases."""

    stride: int
    height: int
    width: int
    lanes: int

    def place(self, channel: int, y: int, x: int) -> int:
        """The offset of a pixel of the map."""
        s = self.stride
        plane = (channel * s + y % s) * s + x % s
        return ((plane * self.height + y // s) * self.width + x // s) * self.lanes


@dataclass(frozen=True)
class Convolution:
    """The sizes of one convolution, its input in phases, and where its parameters are."""

    source: FeatureMap
    output: FeatureMap
    kernel: int
    phases: Phases
    x_at: int
    weights: int
    bias: int
    taps: int

    @property
    def count(self) -> int:
        """Taps of one output."""
        return self.source.channels * self.kernel**2


def _convolve(b: ProgramBuilder, x: FeatureMap, outputs: int, kernel: int, stride: int, *, bias: bool) -> FeatureMap:
    height, width = ((side - kernel) // stride + 1 for side in (x.height, x.width))
    needs_gradient = b.needs_gradient
    phases = Phases(stride, -(-x.height // stride), -(-x.width // stride), b.lanes)
    taps = b.table(phases.place(*tap) for tap in product(range(x.channels), range(kernel), range(kernel)))
    y = b.feature_map(outputs, height, width)
    x_at = x.at if stride == 1 else b.buffer(x.channels * stride**2 * phases.height * phases.width * b.lanes)
    weights = b.take_parameters(outputs * x.channels * kernel**2)
    bias_at = b.take_parameters(outputs) if bias else NO_BIAS
    c = Convolution(x, y, kernel, phases, x_at, weights, bias_at, taps)
    b.macs += c.count * y.units * (1 + b.training + needs_gradient)
    backward = [*_weight_gradient(c, b.lanes), *(_input_gradient(b, c) if needs_gradient else ())] if b.training else []
    b.add([*_to_phases(b, c), _taps(b, c)], backward)
    return y


def _pixels(x: FeatureMap) -> Iterator[tuple[int, int, int]]:
    return product(range(x.channels), range(x.height), range(x.width))


def _to_phases(b: ProgramBuilder, c: Convolution) -> list[Instruction]:
    if c.phases.stride == 1:
        return []
    table = b.table(c.phases.place(*pixel) for pixel in _pixels(c.source))
    return [(Op.SPREAD, c.x_at, c.source.at, table, c.source.units)]


def _taps(b: ProgramBuilder, c: Convolution) -> Instruction:
    row = c.output.width * b.lanes
    no_bias = b.buffer(c.output.channels) if c.bias == NO_BIAS else 0
    where, bias = (WORKSPACE, no_bias) if c.bias == NO_BIAS else (PARAMETERS, c.bias)
    return (
        *(Op.TAPS, c.output.at, c.output.height * row, row, c.output.channels, c.output.height, row),
        *(c.x_at, c.phases.width * b.lanes, c.taps, c.count, PARAMETERS, c.weights, where, bias),
    )


def _weight_gradient(c: Convolution, lanes: int) -> Iterator[Instruction]:
    y, row = c.output, c.output.width * lanes
    g_shape = (y.gradient, y.height * row, row, y.channels, y.height, row)
    yield (Op.DOTS, *g_shape, c.x_at, c.phases.width * lanes, c.taps, c.count, c.weights)
    if c.bias != NO_BIAS:
        yield (Op.SUMS, y.gradient, y.channels, y.height * row, c.bias)


def _input_gradient(b: ProgramBuilder, c: Convolution) -> Iterator[Instruction]:
    """``gx[c, s i + p, s j + q] = sum over o, m, n of g[o, i - m, j - n] * w[o, c, s m + p, s n + q]``, phase p, q."""
    x, y, s, k, lanes = c.source, c.output, c.phases.stride, c.kernel, b.lanes
    pad = -(-k // s) - 1
    height, width = y.height + 2 * pad, y.width + 2 * pad
    padded = y.gradient
    if pad:
        padded = b.buffer(y.channels * height * width * lanes)
        places = (((o * height + i + pad) * width + j + pad) * lanes for o, i, j in _pixels(y))
        yield (Op.SPREAD, padded, y.gradient, b.table(places), y.units)
    target = x.gradient if s == 1 else b.buffer(x.channels * s * s * c.phases.height * c.phases.width * lanes)
    plane, row = c.phases.height * c.phases.width * lanes, c.phases.width * lanes
    rows, columns = min(c.phases.height, y.height + pad), min(c.phases.width, y.width + pad)
    for p, q in product(range(min(s, k)), range(min(s, k))):
        taps = list(product(range(y.channels), range(len(range(p, k, s))), range(len(range(q, k, s)))))
        offsets = b.table(((o * height + pad - m) * width + pad - n) * lanes for o, m, n in taps)
        picked = b.table(
            ((o * x.channels + channel) * k + s * m + p) * k + s * n + q
            for channel in range(x.channels)
            for o, m, n in taps
        )
        weights, zeros = b.buffer(x.channels * len(taps)), b.buffer(x.channels)
        yield (Op.PICK, weights, picked, x.channels * len(taps), c.weights)
        out = target + c.phases.place(0, p, q)
        yield (
            *(Op.TAPS, out, s * s * plane, row, x.channels, rows, columns * lanes),
            *(padded, width * lanes, offsets, len(taps), WORKSPACE, weights, WORKSPACE, zeros),
        )
    if s > 1:
        yield (Op.COLLECT, x.gradient, target, b.table(c.phases.place(*pixel) for pixel in _pixels(x)), x.units)


def _lower_conv2d(b: ProgramBuilder, layer: Any, x: FeatureMap) -> FeatureMap:
    kernel, stride = layer.kernel_size, layer.stride
    plain = layer.padding == (0, 0) and layer.dilation == (1, 1) and layer.groups == 1
    if not plain or kernel[0] != kernel[1] or stride[0] != stride[1]:
        raise _unknown(layer)
    if layer.in_channels != x.channels or kernel[0] > min(x.height, x.width):
        raise _misfit(layer, x)
    return _convolve(b, x, layer.out_channels, kernel[0], stride[0], bias=layer.bias is not None)


def _lower_linear(b: ProgramBuilder, layer: Any, x: FeatureMap) -> FeatureMap:
    if layer.in_features != x.units:
        raise _misfit(layer, x)
    return _convolve(b, x.flat(), layer.out_features, 1, 1, bias=layer.bias is not None)


def _lower_max_pool(b: ProgramBuilder, layer: Any, x: FeatureMap) -> FeatureMap:
    if (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode) != (2, 2, 0, 1, False):
        raise _unknown(layer)
    if min(x.height, x.width) < 2:
        raise _misfit(layer, x)
    y = b.feature_map(x.channels, x.height // 2, x.width // 2)
    shape = (y.channels, y.height, y.width, x.width * b.lanes, x.height * x.width * b.lanes)
    b.add([(Op.POOL, x.at, y.at, *shape)], [(Op.UNPOOL, x.at, y.at, *shape, x.gradient, y.gradient)])
    return y


def _lower_average_pool(b: ProgramBuilder, layer: Any, x: FeatureMap) -> FeatureMap:
    if layer.output_size not in (1, (1, 1)):
        raise _unknown(layer)
    y = b.feature_map(x.channels, 1, 1)
    shape = (x.channels, x.height * x.width)
    b.add([(Op.MEAN, x.at, y.at, *shape)], [(Op.UNMEAN, x.gradient, y.gradient, *shape)])
    return y


def _lower_activation(b: ProgramBuilder, layer: Any, x: FeatureMap) -> FeatureMap:
    if getattr(layer, "negative_slope", LEAKY_SLOPE) != LEAKY_SLOPE or getattr(layer, "approximate", "none") != "none":
        raise _unknown(layer)
    y = b.feature_map(x.channels, x.height, x.width)
    kind, numbers = ACTIVATION_CODES[type(layer).__name__], x.units * b.lanes
    b.add(
        [(Op.ACTIVATE, kind, x.at, y.at, numbers)],
        [(Op.ACTIVATION_GRADIENT, kind, x.at, y.at, x.gradient, y.gradient, numbers)],
    )
    return y


def _lower_dropout(b: ProgramBuilder, layer: Any, x: FeatureMap) -> FeatureMap:
    y = b.feature_map(x.channels, x.height, x.width)
    mask = b.buffer(x.units * b.lanes)
    b.add(
        [(Op.DROP, layer.layer, x.at, y.at, mask, x.units)],
        [(Op.DROP_GRADIENT, mask, x.gradient, y.gradient, x.units * b.lanes)],
    )
    return y


def _lower_flatten(_: ProgramBuilder, layer: Any, x: FeatureMap) -> FeatureMap:
    if (layer.start_dim, layer.end_dim) != (1, -1):
        raise _unknown(layer)
    return x.flat()


LOWERINGS: dict[str, Callable[[ProgramBuilder, Any, FeatureMap], FeatureMap]] = {
    "Conv2d": _lower_conv2d,
    "Linear": _lower_linear,
    "MaxPool2d": _lower_max_pool,
    "AdaptiveAvgPool2d": _lower_average_pool,
    "Flatten": _lower_flatten,
    "StreamDropout": _lower_dropout,
    **dict.fromkeys(ACTIVATION_CODES, _lower_activation),
}
"""What each class of layer is lowered by."""
