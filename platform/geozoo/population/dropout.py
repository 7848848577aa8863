"""Dropout whose masks come from the counter hash instead of a library generator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geozoo.population.streams import MASK, UNIFORM_BITS, Stream, Word, absorb, keep_threshold, stream_key


class StreamDropout(nn.Module):
    """Drop unit ``u`` of sample ``s`` of a batch where its uniform number is below the rate; scale the rest.

    Rate and randomness are buffers, so that `torch.func.functional_call` under `torch.vmap` gives each member of a
    cohort its own: ``key`` (int64, from `streams.stream_key` at this layer), ``threshold`` (int64) and ``scale`` =
    1 / (1 - rate). They are not part of the ``state_dict``. In evaluation mode the layer is the identity.
    """

    key: Tensor
    threshold: Tensor
    scale: Tensor

    def __init__(self, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.register_buffer("key", torch.zeros((), dtype=torch.int64), persistent=False)
        self.register_buffer("threshold", torch.zeros((), dtype=torch.int64), persistent=False)
        self.register_buffer("scale", torch.ones(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[batch, ...]`` to the same shape."""
        if not self.training:
            return x
        samples = torch.arange(x.shape[0], device=x.device)
        units = torch.arange(x[0].numel(), device=x.device)
        hashes = absorb(absorb(self.key, samples)[:, None], units)
        kept = (hashes & MASK) >> (32 - UNIFORM_BITS) >= self.threshold
        mask: Tensor = kept.view(x.shape) * self.scale.to(x.dtype)
        return x * mask


def dropout_layers(module: nn.Module) -> dict[str, StreamDropout]:
    """The dropout layers of a network by module name."""
    return {name: layer for name, layer in module.named_modules() if isinstance(layer, StreamDropout)}


def dropout_rates(rates: Tensor) -> tuple[Tensor, Tensor]:
    """Thresholds (int64) and scales (float64) of dropout rates in [0, 1)."""
    thresholds = torch.tensor([keep_threshold(rate) for rate in rates.tolist()], dtype=torch.int64)
    return thresholds, 1 / (1 - rates.double())


def dropout_keys(layers: dict[str, StreamDropout], seeds: Tensor, epoch: Word, step: Word) -> dict[str, Tensor]:
    """The keys ``[members]`` of every dropout layer at one training step; epoch and step are numbers or tensors."""
    return {name: stream_key(seeds, Stream.DROPOUT, epoch, step, layer.layer) for name, layer in layers.items()}
