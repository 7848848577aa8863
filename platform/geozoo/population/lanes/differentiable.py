"""A plain stack as a function of many members' weights that torch can differentiate, on a CPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from geozoo.population.lanes.compiled import compiled_functions
from geozoo.population.lanes.lowering import lower
from geozoo.population.lanes.vectors import MAX_LANES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import nn

    from geozoo.population.lanes.program import Program

    Span = tuple[int, int]
    Buffers = tuple[NDArray[Any], NDArray[np.uint32]]

PRECISIONS = {torch.float32: "float32", torch.float64: "float64"}
"""The dtypes there is compiled code for."""


@dataclass(frozen=True)
class PlainStack:
    """One network for weights ``[members, params]`` and shared images: its programs without and with a backward part.

    Its dropout does nothing. Members are computed in as many threads as torch has; the numbers of a member depend
    neither on them nor on its company. No activations are kept: the backward pass computes them again.
    """

    answering: Program
    differentiating: Program

    @classmethod
    def of(cls, module: nn.Module, channels: int, size: int) -> Self:
        """Lower a network; raises `InputError` where `lower` does."""
        answering = lower(module, channels, size, MAX_LANES, training=False)
        return cls(answering, lower(module, channels, size, MAX_LANES, training=True, dropout=False))

    def __call__(self, weights: Tensor, images: Tensor) -> Tensor:
        """Logits ``[members, n, classes]`` of images ``[n, channels, size, size]``, differentiable once in the weights.

        Both are float32 or both float64.
        """
        logits: Tensor = _Logits.apply(weights, images, self)
        return logits


class _Logits(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, images: Tensor, stack: PlainStack) -> Tensor:
        weights, images = weights.contiguous(), images.flatten(1).contiguous()
        ctx.save_for_backward(weights, images)
        ctx.stack = stack
        logits = weights.new_empty(len(weights), len(images), stack.answering.classes)
        member_logits, _ = compiled_functions(PRECISIONS[weights.dtype])
        code, arrays = stack.answering.arguments(), [one.detach().numpy() for one in (images, weights, logits)]
        _over_members(stack.answering, arrays[1], lambda own, members: member_logits(code, own, *arrays, members))
        return logits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, logit_gradients: Tensor) -> tuple[Tensor, None, None]:
        weights, images = ctx.saved_tensors
        gradients = torch.zeros_like(weights)
        _, member_gradients = compiled_functions(PRECISIONS[weights.dtype])
        tensors = (images, weights, logit_gradients.contiguous(), gradients)
        program, arrays = ctx.stack.differentiating, [one.detach().numpy() for one in tensors]
        code = program.arguments()
        _over_members(program, arrays[1], lambda own, members: member_gradients(code, own, *arrays, members))
        return gradients, None, None


def _over_members(program: Program, weights: NDArray[Any], call: Callable[[Buffers, Span], None]) -> None:
    """Call compiled code for all members, in one part for each of torch's threads."""

    def work(members: Span) -> None:
        call((np.zeros(program.workspace, dtype=weights.dtype), np.zeros(MAX_LANES, dtype=np.uint32)), members)

    parts = min(torch.get_num_threads(), len(weights))
    if parts <= 1:
        work((0, len(weights)))
        return
    spans = [(len(weights) * part // parts, len(weights) * (part + 1) // parts) for part in range(parts)]
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(work, spans))
