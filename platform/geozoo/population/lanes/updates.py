"""Optimisers over one member's flat weights: the update rules of `geozoo.population.optimizers`."""

from __future__ import annotations

import math
from typing import Any

from geozoo.population.lanes.functions import arithmetic_kernel
from geozoo.population.optimizers import ADAM_EPS, ALPHA, BETA1, BETA2, RMSPROP_EPS

SGD, ADAM, ADAMW, RMSPROP = range(4)
OPTIMIZER_CODES = {"sgd": SGD, "adam": ADAM, "adamw": ADAMW, "rmsprop": RMSPROP}


@arithmetic_kernel
def update(kind: Any, w: Any, g: Any, first: Any, second: Any, lr: Any, decay: Any, momentum: Any, step: Any) -> None:
    """Make one step.

    Args:
        kind: one of the codes.
        w: weights ``[params]``, updated.
        g: their gradient.
        first: momentum or mean of gradients, updated.
        second: mean of squares, updated; not used by SGD.
        lr: learning rate, like all settings a float64.
        decay: weight decay.
        momentum: read by SGD and RMSprop.
        step: 1 at the first step.
    """
    number = w.dtype.type
    rate, shrink, carry = number(lr), number(decay), number(momentum)
    if kind == SGD:
        for i in range(len(w)):
            first[i] = first[i] * carry + (g[i] + shrink * w[i])
            w[i] -= rate * first[i]
    elif kind == RMSPROP:
        alpha, rest, eps = number(ALPHA), number(1 - ALPHA), number(RMSPROP_EPS)
        for i in range(len(w)):
            gradient = g[i] + shrink * w[i]
            second[i] = second[i] * alpha + gradient * gradient * rest
            first[i] = first[i] * carry + gradient / (math.sqrt(second[i]) + eps)
            w[i] -= rate * first[i]
    else:
        beta1, beta2, eps = number(1 - BETA1), number(BETA2), number(ADAM_EPS)
        rest2, pace = number(1 - BETA2), number(lr / (1 - BETA1**step))
        spread = number(math.sqrt(1 - BETA2**step))
        keep = number(1 - lr * decay) if kind == ADAMW else number(1)
        shrink = number(0) if kind == ADAMW else shrink
        for i in range(len(w)):
            weight = w[i] * keep
            gradient = g[i] + shrink * weight
            first[i] += (gradient - first[i]) * beta1
            second[i] = second[i] * beta2 + gradient * gradient * rest2
            w[i] = weight - pace * first[i] / (math.sqrt(second[i]) / spread + eps)
