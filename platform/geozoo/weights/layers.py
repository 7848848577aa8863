"""States layer by layer, in the shapes that libraries of neural functionals take."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from geozoo.errors import NetworkError

if TYPE_CHECKING:
    from torch import Tensor

    from geozoo.weights.wiring import Wiring


class LayerBatch(NamedTuple):
    """A batch of ``n`` states by layer, in the order of computation.

    ``weights[i]`` is ``[n, 1, out, in]`` for a dense layer and ``[n, 1, out, in, height, width]`` for a convolution; a
    dense layer after a flatten has the flattened map as ``height, width``, so that ``in`` are the channels that the
    layer before gives. ``biases[i]`` is ``[n, 1, out]``. The axis of one is for the channels of a neural functional.
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]


def to_layers(weights: Tensor, wiring: Wiring) -> LayerBatch:
    """Cut states ``[n, params]`` into layers, as views where there is a tensor to look at.

    The shapes are those of the package ``nfn`` (Zhou et al. 2023, arXiv 2302.14040), whose input is
    ``nfn.common.WeightSpaceFeatures(*to_layers(weights, wiring))``. A layer without a bias has zeros for one.

    Raises:
        NetworkError: the network is more than a row of layers (BatchNorm, residual connections).
    """
    _require_plain(wiring)
    cut_weights, cut_biases = [], []
    for layer in wiring.layers:
        shape = (-1, 1, layer.outputs, layer.inputs, *layer.kernel)
        cut_weights.append(weights[:, layer.weight.span].reshape(shape))
        if layer.bias is None:
            cut_biases.append(weights.new_zeros(len(weights), 1, layer.outputs))
        else:
            cut_biases.append(weights[:, layer.bias.span].unsqueeze(1))
    return LayerBatch(tuple(cut_weights), tuple(cut_biases))


def from_layers(layers: LayerBatch, wiring: Wiring) -> Tensor:
    """The inverse of :func:`to_layers`: states ``[n, params]``; the zeros of missing biases are dropped.

    Raises:
        NetworkError: the network is more than a row of layers.
    """
    _require_plain(wiring)
    parts: dict[int, Tensor] = {}
    for layer, weight, bias in zip(wiring.layers, layers.weights, layers.biases, strict=True):
        parts[layer.weight.offset] = weight.flatten(1)
        if layer.bias is not None:
            parts[layer.bias.offset] = bias.flatten(1)
    return torch.cat([parts[offset] for offset in sorted(parts)], dim=1)


def _require_plain(wiring: Wiring) -> None:
    if not wiring.is_plain:
        raise NetworkError(
            f"a network with {len(wiring.skips)} residual connections and "
            f"{sum(bool(layer.norm) for layer in wiring.layers)} BatchNorm layers is not a row of layers: "
            "take its graph, or its flat weights."
        )
