"""A network over the weights of networks that does not see the order of their hidden units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from geozoo.errors import InputError
from geozoo.nets import num_parameters
from geozoo.weights.layers import LayerBatch, to_layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geozoo.weights.wiring import Wiring

_ENCODINGS = 3
_LEAST_SIZE = 1e-3
_LEAST_SPREAD = 1e-6
_STATISTIC_LIMIT = 5.0


class InvariantNetwork(nn.Module):
    """Maps states ``[n, params]`` and invariant statistics of theirs ``[n, statistics]`` to ``[n, outputs]``.

    Weights are standardised tensor by tensor and enter as themselves, their squares and the logarithms of their sizes.
    Equivariant layers (``HNPLinear`` of the package ``nfn``: the network's inputs and outputs keep their order) with
    ReLU follow, then the mean and the deviation of every channel over the hidden units (``HNPPool`` of the values and
    of their squares); a dense head reads these together with the standardised statistics.

    From the HNP networks of Zhou et al. (2023, arXiv 2302.14040), with these deviations: they standardise, if at all,
    each single weight, which is not invariant; squares, logarithms, deviations and statistics are ours.

    Raises:
        InputError: the package ``nfn`` is missing.
        NetworkError: the network is more than a row of layers.
    """

    def __init__(self, wiring: Wiring, channels: Sequence[int], hidden: int, statistics: int, outputs: int) -> None:
        super().__init__()
        common, layers = _nfn()
        self._wiring = wiring
        self._features: Any = common.WeightSpaceFeatures
        blank = to_layers(torch.zeros(1, num_parameters(wiring.layout)), wiring)
        spec = common.network_spec_from_wsfeat(self._features(*blank))
        equivariant: list[nn.Module] = []
        for come, go in zip((_ENCODINGS, *channels[:-1]), channels, strict=True):
            equivariant += [layers.HNPLinear(spec, come, go), layers.TupleOp(nn.ReLU())]
        self.equivariant = nn.Sequential(*equivariant)
        self.pool = layers.HNPPool(spec)
        pooled = 2 * channels[-1] * layers.HNPPool.get_num_outs(spec)
        self.head = nn.Sequential(
            nn.LayerNorm(pooled + statistics),
            nn.Linear(pooled + statistics, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, outputs),
        )
        self.centre: Tensor
        self.scale: Tensor
        self.statistics_centre: Tensor
        self.statistics_scale: Tensor
        for name, size in (("", 2 * len(wiring.layers)), ("statistics_", statistics)):
            self.register_buffer(f"{name}centre", torch.zeros(size))
            self.register_buffer(f"{name}scale", torch.ones(size))

    @torch.no_grad()
    def standardise(self, weights: Tensor, statistics: Tensor) -> None:
        """Set means and deviations from training states: one for every tensor, one for every statistic."""
        layers = to_layers(weights, self._wiring)
        tensors = (*layers.weights, *layers.biases)
        self.centre.copy_(torch.stack([tensor.mean() for tensor in tensors]))
        self.scale.copy_(_safe(torch.stack([tensor.std(correction=0) for tensor in tensors])))
        self.statistics_centre.copy_(statistics.mean(dim=0))
        self.statistics_scale.copy_(_safe(statistics.std(dim=0, correction=0)))

    def forward(self, weights: Tensor, statistics: Tensor) -> Tensor:
        """Raw outputs ``[n, outputs]``."""
        features = self.equivariant(self._features(*self._encode(to_layers(weights, self._wiring))))
        means, squares = self.pool(features), self.pool(features.map(torch.square))
        deviations = (squares - means.square()).clamp_min(_LEAST_SPREAD).sqrt()
        standard = (statistics - self.statistics_centre) / self.statistics_scale
        invariant = [means.flatten(1), deviations.flatten(1), standard.clamp(-_STATISTIC_LIMIT, _STATISTIC_LIMIT)]
        output: Tensor = self.head(torch.cat(invariant, dim=1))
        return output

    def _encode(self, layers: LayerBatch) -> LayerBatch:
        """Three channels for every weight and bias."""
        tensors = (*layers.weights, *layers.biases)
        encoded = []
        for tensor, centre, scale in zip(tensors, self.centre, self.scale, strict=True):
            value = (tensor - centre) / scale
            encoded.append(torch.cat([value, value.square() - 1, (value.abs() + _LEAST_SIZE).log()], dim=1))
        half = len(layers.weights)
        return LayerBatch(tuple(encoded[:half]), tuple(encoded[half:]))


def _safe(scale: Tensor) -> Tensor:
    """Deviations to divide by: 1 where nothing varies."""
    return torch.where(scale > 0, scale, torch.ones_like(scale))


def _nfn() -> tuple[Any, Any]:
    try:
        from nfn import common, layers
    except ImportError as error:
        raise InputError(
            "the equivariant predictor needs the package nfn, which is not installed: pip install 'geozoo[analysis]'."
        ) from error
    return common, layers
