"""A model of weights with the scales of its zoos: from weights to latents and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.hyper.models.model import HyperModel


class WeightSpace(nn.Module):
    """The scale of one zoo's weights: ``mean`` and ``std`` ``[params]``, constant over each layer.

    ``std`` is that of all training weights of the layer, at least 1e-4. With ``standardise`` the model sees
    ``(w - mean) / std``; without, the weights as they are. ``reference`` ``[params]`` is the state that all others were
    aligned to, zero where none was.
    """

    mean: Tensor
    std: Tensor
    reference: Tensor

    def __init__(self, mean: Tensor, std: Tensor, *, standardise: bool) -> None:
        super().__init__()
        self.standardise = standardise
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.register_buffer("reference", torch.zeros_like(mean))

    def to_model(self, weights: Tensor) -> Tensor:
        """What the model sees of weights ``[n, params]``."""
        return (weights - self.mean) / self.std if self.standardise else weights

    def from_model(self, seen: Tensor) -> Tensor:
        """The weights that the model sees as ``seen``."""
        return seen * self.std + self.mean if self.standardise else seen


class Codec(nn.Module):
    """What of a hyper-representation is kept after training: ``model`` and one `WeightSpace` for each of its zoos."""

    def __init__(self, model: HyperModel, spaces: Sequence[WeightSpace]) -> None:
        super().__init__()
        self.model = model
        self.spaces = nn.ModuleList(spaces)

    def space(self, zoo: int) -> WeightSpace:
        """The scale of a zoo's weights."""
        space = self.spaces[zoo]
        assert isinstance(space, WeightSpace)
        return space

    def encode(self, weights: Tensor, zoo: int = 0) -> Tensor:
        """The latents ``[n, ...]`` of weights ``[n, params]``."""
        return self.model.encode(self.space(zoo).to_model(weights), zoo)

    def embed(self, weights: Tensor, zoo: int = 0) -> Tensor:
        """The embeddings ``[n, k]`` of weights ``[n, params]``: what readouts and maps see."""
        return self.model.embed(self.encode(weights, zoo))

    def decode(self, latent: Tensor, zoo: int = 0) -> Tensor:
        """The weights ``[n, params]`` of latents ``[n, ...]``."""
        return self.space(zoo).from_model(self.model.decode(latent, zoo))
