"""The permutation symmetry of a network, derived from the network itself.

Exchanging hidden units, with all that leads into and out of them, leaves the function of a network as it is, and the
gradient moves along, so that training commutes with it (Schürholt et al. 2021, arXiv 2110.15288).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from geozoo.nets import build_network, derive_layout
from geozoo.weights.groups import Axis, Group, Rows, Symmetry
from geozoo.weights.permutation import (
    compose_permutations,
    draw_permutations,
    identity_permutations,
    invert_permutations,
    permute,
)

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "Axis",
    "Group",
    "Rows",
    "Symmetry",
    "compose_permutations",
    "draw_permutations",
    "identity_permutations",
    "invert_permutations",
    "network_symmetry",
    "permute",
    "symmetry_of",
]


def symmetry_of(module: nn.Module, image_shape: tuple[int, int, int]) -> Symmetry:
    """Derive the symmetry of a network by tracing it.

    A convolution or dense layer starts a group with its outputs, BatchNorm (running statistics included) moves with the
    channels it normalises, a dense layer after flattening moves whole blocks of ``height * width`` columns, and tensors
    on one residual stream share one group. Image channels and logits never move.

    Args:
        module: maps images ``[n, *image_shape]`` to logits ``[n, classes]``; it is left as it is.
        image_shape: channels, height, width.

    Raises:
        NetworkError: the network has an operation without a rule in `geozoo.weights.channels`, branches on its input,
            or does not fit the images.
    """
    from geozoo.weights.tracing import trace_groups

    return Symmetry(derive_layout(module), trace_groups(module, image_shape))


@lru_cache(maxsize=64)
def network_symmetry(name: str, *, channels: int, size: int, classes: int) -> Symmetry:
    """The symmetry of a network of the catalogue, whatever its activation; derived once for each set of arguments.

    Raises:
        NetworkError: the network does not exist or does not fit the images.
    """
    import torch

    with torch.device("meta"):
        module = build_network(name, channels=channels, size=size, classes=classes, activation="relu")
    return symmetry_of(module, (channels, size, size))
