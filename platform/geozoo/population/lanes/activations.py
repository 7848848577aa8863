"""Activations over contiguous numbers, and their gradients."""

from __future__ import annotations

import math
from typing import Any

from geozoo.population.lanes.functions import arithmetic_kernel, error_function, exponential, tangent
from geozoo.population.lanes.lowering import ACTIVATION_CODES, LEAKY_SLOPE

GELU, LEAKY_RELU, RELU, SIGMOID, SILU, TANH = (
    ACTIVATION_CODES[name] for name in ("GELU", "LeakyReLU", "ReLU", "Sigmoid", "SiLU", "Tanh")
)
SQRT_HALF = math.sqrt(0.5)
BELL_SCALE = 1 / math.sqrt(2 * math.pi)


@arithmetic_kernel
def activate(kind: Any, x: Any, y: Any) -> None:
    """``y = activation(x)``, arrays of one length and dtype."""
    one = x.dtype.type(1)
    zero, half, slope, sqrt_half = one * 0, x.dtype.type(0.5), x.dtype.type(LEAKY_SLOPE), x.dtype.type(SQRT_HALF)
    if kind == TANH:
        for i in range(len(x)):
            y[i] = tangent(x[i])
    elif kind == RELU:
        for i in range(len(x)):
            y[i] = zero if x[i] <= zero else x[i]
    elif kind == LEAKY_RELU:
        for i in range(len(x)):
            y[i] = x[i] * slope if x[i] <= zero else x[i]
    elif kind == SIGMOID:
        for i in range(len(x)):
            y[i] = one / (one + exponential(-x[i]))
    elif kind == SILU:
        for i in range(len(x)):
            y[i] = x[i] / (one + exponential(-x[i]))
    else:
        for i in range(len(x)):
            u = x[i] * sqrt_half
            y[i] = half * x[i] * (one + error_function(u, exponential(-u * u)))


@arithmetic_kernel
def activation_gradient(kind: Any, x: Any, y: Any, g: Any, out: Any) -> None:
    """``out = g * activation'(x)``, given ``y = activation(x)``."""
    one = x.dtype.type(1)
    zero, half, slope = one * 0, x.dtype.type(0.5), x.dtype.type(LEAKY_SLOPE)
    sqrt_half, bell_scale = x.dtype.type(SQRT_HALF), x.dtype.type(BELL_SCALE)
    if kind == TANH:
        for i in range(len(x)):
            out[i] = g[i] * (one - y[i] * y[i])
    elif kind == RELU:
        for i in range(len(x)):
            out[i] = zero if x[i] <= zero else g[i]
    elif kind == LEAKY_RELU:
        for i in range(len(x)):
            out[i] = g[i] * slope if x[i] <= zero else g[i]
    elif kind == SIGMOID:
        for i in range(len(x)):
            out[i] = g[i] * y[i] * (one - y[i])
    elif kind == SILU:
        for i in range(len(x)):
            s = one / (one + exponential(-x[i]))
            out[i] = g[i] * s * (one + x[i] * (one - s))
    else:
        for i in range(len(x)):
            u = x[i] * sqrt_half
            bell = exponential(-u * u)
            out[i] = g[i] * (half * (one + error_function(u, bell)) + x[i] * bell_scale * bell)
