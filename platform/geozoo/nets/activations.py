"""Activations by the names the published zoos use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geozoo.errors import NetworkError

if TYPE_CHECKING:
    from torch import nn

ACTIVATIONS: dict[str, str] = {
    "gelu": "GELU",
    "leakyrelu": "LeakyReLU",
    "relu": "ReLU",
    "sigmoid": "Sigmoid",
    "silu": "SiLU",
    "tanh": "Tanh",
}
"""Name in a recipe -> class in ``torch.nn``, with that class's defaults."""


def make_activation(name: str) -> nn.Module:
    """Make the activation module of a name, or raise `NetworkError` naming those there are."""
    from torch import nn

    if name not in ACTIVATIONS:
        raise NetworkError(f"there is no activation {name!r}: choose one of {', '.join(sorted(ACTIVATIONS))}.")
    module: nn.Module = getattr(nn, ACTIVATIONS[name])()
    return module
