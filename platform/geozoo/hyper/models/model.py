"""What every hyper-representation model can do, so that training, probes and sampling need not know which one it is."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Reconstruction:
    """What one pass makes of a batch of states.

    ``latent`` ``[n, ...]`` as `HyperModel.encode` gives it; ``predicted`` ``[n, params]``; ``mask`` ``[n, params]``
    bool marks the weights that were reconstructed, ``None`` where all were. Where the mask is false, ``predicted`` is
    zero.
    """

    latent: Tensor
    predicted: Tensor
    mask: Tensor | None


class HyperModel(nn.Module):
    """An autoencoder of flat weight vectors with a contrastive head.

    Weights come standardised or not, as the caller decides; nothing is scaled here. ``zoo`` numbers the layouts that
    the model was built for. All methods take batches of any size, none included, and are deterministic without dropout.

    Attributes:
        head: what `project` has parameters in.
    """

    head: nn.Module

    @abstractmethod
    def encode(self, weights: Tensor, zoo: int = 0) -> Tensor:
        """Weights ``[n, params]`` to their latent representation ``[n, ...]``."""

    @abstractmethod
    def decode(self, latent: Tensor, zoo: int = 0) -> Tensor:
        """A latent representation ``[n, ...]`` back to weights ``[n, params]``."""

    @abstractmethod
    def project(self, latent: Tensor) -> Tensor:
        """The contrastive head: ``[n, ...]`` to ``[n, o]``."""

    @abstractmethod
    def embed(self, latent: Tensor) -> Tensor:
        """What probes and maps use of a latent representation: ``[n, ...]`` to ``[n, k]``."""

    def trains_on_windows(self, zoo: int = 0) -> bool:
        """Whether a training pass reconstructs a part of the weights only, of networks of this zoo."""
        del zoo
        return False

    @abstractmethod
    def forward(self, weights: Tensor, zoo: int = 0, generator: torch.Generator | None = None) -> Reconstruction:
        """Encode and decode weights ``[n, params]``; a model that trains on windows draws one from ``generator``."""
