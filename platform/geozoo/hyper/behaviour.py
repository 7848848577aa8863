"""The behavioural loss: decoded networks shall answer as the original ones do (arXiv 2503.17138)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch.nn.functional as F

from geozoo.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

BehaviourKind = Literal["l2", "ce", "distillation"]
TEMPERATURE = 2.0
"""Of the softened answers in distillation, as published."""


def behaviour(decoded: Tensor, original: Tensor, kind: BehaviourKind = "l2") -> Tensor:
    """How far the answers of decoded networks are from those of the originals, a mean over networks and images.

    ``l2`` is the mean squared difference of logits; ``ce`` the cross-entropy with the class that the original predicts;
    ``distillation`` the Kullback-Leibler divergence of the softened answers from the original's, times the squared
    temperature 2 (Hinton et al., 2015), which keeps its gradient the size of that of ``ce``.

    Args:
        decoded: logits ``[n, images, classes]``.
        original: likewise; it carries no gradient.
        kind: which.

    Raises:
        InputError: an unknown kind.
    """
    original = original.detach()
    if kind == "l2":
        return F.mse_loss(decoded, original)
    if kind == "ce":
        return F.cross_entropy(decoded.flatten(0, -2), original.argmax(-1).flatten())
    if kind == "distillation":
        soft, target = ((logits / TEMPERATURE).log_softmax(-1).flatten(0, -2) for logits in (decoded, original))
        return F.kl_div(soft, target, reduction="batchmean", log_target=True) * TEMPERATURE**2
    raise InputError(f"{kind!r} is no behavioural loss: choose one of {', '.join(get_args(BehaviourKind))}.")
