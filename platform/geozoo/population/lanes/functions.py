"""Exponential, hyperbolic tangent, logistic and error function in a form that vectorises.

In float64 they are those of the C library. In float32 they are short polynomials and rationals without branches, which
the compiler turns into vector code; their absolute error is below 1e-6 (relative, for the exponential), and
not-a-number stays what it is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

F = np.float32
FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}
"""Floating-point freedoms of every kernel: all but "there is no NaN" and "there is no infinity"."""

VECTOR_CODE: dict[str, Any] = {"fastmath": FAST, "error_model": "numpy"}
"""Options of what computes: a division that tests for zero, as Python's does, keeps a loop from becoming vectors."""

arithmetic_kernel = njit(**VECTOR_CODE)

LOG2E, LN2_HIGH, LN2_LOW = F(1.44269504), F(0.693359375), F(-2.12194440e-4)
EXP_LOWEST, EXP_HIGHEST = F(-87.3), F(88.3)
EXP_0, EXP_1, EXP_2 = F(1.9875691500e-4), F(1.3981999507e-3), F(8.3334519073e-3)
EXP_3, EXP_4, EXP_5 = F(4.1665795894e-2), F(1.6666665459e-1), F(5.0000001201e-1)

TANH_LIMIT = F(7.90531110763549805)
TANH_1, TANH_3, TANH_5 = F(4.89352455891786e-03), F(6.37261928875436e-04), F(1.48572235717979e-05)
TANH_7, TANH_9 = F(5.12229709037114e-08), F(-8.60467152213735e-11)
TANH_11, TANH_13 = F(2.00018790482477e-13), F(-2.76076847742355e-16)
TANH_B0, TANH_B2 = F(4.89352518554385e-03), F(2.26843463243900e-03)
TANH_B4, TANH_B6 = F(1.18534705686654e-04), F(1.19825839466702e-06)

ERF_P, ERF_1, ERF_2 = F(0.3275911), F(0.254829592), F(-0.284496736)
ERF_3, ERF_4, ERF_5 = F(1.421413741), F(-1.453152027), F(1.061405429)
ONE, HALF, ZERO = F(1), F(0.5), F(0)


@intrinsic
def power_of_two(typing_context: Any, exponent: Any) -> Any:
    """``2 ** exponent`` in float32 for an int32 between -126 and 127, by writing the exponent's bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = ir.IntType(32)
        biased = builder.add(args[0], ir.Constant(word, 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(word, 23)), ir.FloatType())

    return types.float32(types.int32), generate


def exp32(x: Any) -> Any:
    """The exponential after Cephes' ``expf``: two-part reduction by ln 2 and a polynomial of degree 6."""
    x = EXP_HIGHEST if x > EXP_HIGHEST else x
    x = EXP_LOWEST if x < EXP_LOWEST else x
    scaled = x * LOG2E
    scaled = scaled + (HALF if scaled > ZERO else -HALF)
    whole = np.int32(scaled if scaled == scaled else ZERO)
    n = F(whole)
    r = x - n * LN2_HIGH
    r = r - n * LN2_LOW
    series = ((((EXP_0 * r + EXP_1) * r + EXP_2) * r + EXP_3) * r + EXP_4) * r + EXP_5
    return (series * r * r + r + ONE) * power_of_two(whole)


def tanh32(x: Any) -> Any:
    """The hyperbolic tangent as the rational that Eigen uses (degree 13 over 6, arguments cut at 7.9)."""
    x = TANH_LIMIT if x > TANH_LIMIT else x
    x = -TANH_LIMIT if x < -TANH_LIMIT else x
    s = x * x
    top = (((((TANH_13 * s + TANH_11) * s + TANH_9) * s + TANH_7) * s + TANH_5) * s + TANH_3) * s + TANH_1
    bottom = ((TANH_B6 * s + TANH_B4) * s + TANH_B2) * s + TANH_B0
    return x * top / bottom


def erf32(x: Any, bell: Any) -> Any:
    """The error function after Abramowitz and Stegun 7.1.26, given ``bell = exp(-x * x)``."""
    size = -x if x < ZERO else x
    t = ONE / (ONE + ERF_P * size)
    value = ONE - ((((ERF_5 * t + ERF_4) * t + ERF_3) * t + ERF_2) * t + ERF_1) * t * bell
    return -value if x < ZERO else value


def exp64(x: Any) -> Any:
    """The exponential of the C library."""
    return math.exp(x)


def tanh64(x: Any) -> Any:
    """The hyperbolic tangent of the C library."""
    return math.tanh(x)


def erf64(x: Any, bell: Any) -> Any:
    """The error function of the C library."""
    return math.erf(x)


def exponential(x: Any) -> Any:
    """``exp(x)`` in the dtype of ``x``, in compiled code."""


def tangent(x: Any) -> Any:
    """``tanh(x)`` in the dtype of ``x``, in compiled code."""


def error_function(x: Any, bell: Any) -> Any:
    """``erf(x)`` in the dtype of ``x``, in compiled code, given ``bell = exp(-x * x)``."""


@overload(exponential, jit_options=VECTOR_CODE)
def _exponential(x: Any) -> Any:
    return exp32 if x == types.float32 else exp64


@overload(tangent, jit_options=VECTOR_CODE)
def _tangent(x: Any) -> Any:
    return tanh32 if x == types.float32 else tanh64


@overload(error_function, jit_options=VECTOR_CODE)
def _error_function(x: Any, bell: Any) -> Any:
    return erf32 if x == types.float32 else erf64
