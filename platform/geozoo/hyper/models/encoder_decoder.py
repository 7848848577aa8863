"""The encoder-decoder of whole networks: one token for each neuron, one latent vector for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from geozoo.errors import InputError
from geozoo.hyper.models.blocks import Blocks, BlockShape
from geozoo.hyper.models.gather import TokenGroups
from geozoo.hyper.models.model import HyperModel, Reconstruction
from geozoo.hyper.models.tokens import TOKEN_SCHEMES
from geozoo.nets.layout import num_parameters
from geozoo.training.batchnorm import SyncedBatchNorm1d

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.hyper.models.options import EncoderDecoderOptions, ProjectionOptions
    from geozoo.nets.layout import Layout

POSITION_STD = 0.02


class EncoderDecoder(HyperModel):
    """E_c D of Schuerholt et al. (2021, 2110.15288), and its generative form of 2022 (2209.14733), for one layout.

    Encoder: the tokens of a scheme, each layer with an embedding of its own; a learned token before them; learned
    positions added; pre-norm blocks; the learned token (or all of them, flattened) through one linear layer, and tanh
    in 2021. Decoder: a linear layer from the latent vector ``[n, latent]`` to all tokens, positions of its own, blocks,
    and for each layer a linear map back to its weights. The contrastive head reads the latent vector.

    Deviations: the published normalisation divides by the unbiased standard deviation plus 1e-6, here it is
    ``torch.nn.LayerNorm`` (biased variance plus 1e-5, then the root), so values differ by a factor close to one;
    learned positions and the learned token start from N(0, 0.02), as the published start is not stated; the last
    encoder block computes the learned token alone where no other is read, which changes no value. With tokens
    ``neuron_in_out`` a weight between two hidden layers is reconstructed twice, and decodes to the mean of both.

    Raises:
        InputError: there is not exactly one layout, or the tokens do not fit it; or a zoo other than 0 is asked for.
    """

    def __init__(self, options: EncoderDecoderOptions, layouts: Sequence[Layout]) -> None:
        super().__init__()
        if len(layouts) != 1:
            raise InputError(
                f"model 'encoder_decoder' cannot have {len(layouts)} layouts: it is for one; choose model 'sane'."
            )
        groups = TOKEN_SCHEMES[options.tokens](layouts[0])
        self.groups = TokenGroups(groups, num_parameters(layouts[0]))
        lengths = [group.shape[1] for group in groups]
        tokens, width = len(self.groups), options.width
        self.embeddings = nn.ModuleList(nn.Linear(length, width) for length in lengths)
        self.summary = _learned(1, width) if options.compression == "token" else None
        self.encoder_positions = _learned(tokens + (self.summary is not None), width)
        self.encoder = Blocks(options.blocks, _block_shape(options))
        self.compress = nn.Linear(width if self.summary is not None else tokens * width, options.latent)
        self.bound = nn.Tanh() if options.bottleneck == "tanh" else nn.Identity()
        self.expand = nn.Linear(options.latent, tokens * width)
        self.decoder_positions = _learned(tokens, width)
        self.decoder = Blocks(options.blocks, _block_shape(options))
        self.readouts = nn.ModuleList(nn.Linear(width, length) for length in lengths)
        self.head = projection_head(options.latent, options.projection)

    def encode(self, weights: Tensor, zoo: int = 0) -> Tensor:
        """Weights ``[n, params]`` to latent vectors ``[n, latent]``."""
        _check_zoo(zoo)
        groups = self.groups.cut(weights)
        x = torch.cat([embed(group) for embed, group in zip(self.embeddings, groups, strict=True)], dim=1)
        if self.summary is None:
            encoded = self.encoder(x + self.encoder_positions)
        else:
            x = torch.cat([self.summary.to(x.dtype).expand(len(x), -1, -1), x], dim=1)
            encoded = self.encoder(x + self.encoder_positions, keep=1)
        return self.bound(self.compress(encoded.flatten(1)))  # type: ignore[no-any-return]

    def decode(self, latent: Tensor, zoo: int = 0) -> Tensor:
        """Latent vectors ``[n, latent]`` to weights ``[n, params]``."""
        _check_zoo(zoo)
        x = self.expand(latent).unflatten(1, self.decoder_positions.shape)
        parts = self.decoder(x + self.decoder_positions).split([tokens for tokens, _ in self.groups.shapes], dim=1)
        return self.groups.join([read(part) for read, part in zip(self.readouts, parts, strict=True)])

    def project(self, latent: Tensor) -> Tensor:
        """Latent vectors ``[n, latent]`` to ``[n, projection.out]``."""
        return self.head(latent)  # type: ignore[no-any-return]

    def embed(self, latent: Tensor) -> Tensor:
        """The latent vectors themselves: ``[n, latent]``."""
        return latent

    def forward(self, weights: Tensor, zoo: int = 0, generator: torch.Generator | None = None) -> Reconstruction:
        """Encode and decode; all weights are reconstructed and nothing is drawn from ``generator``."""
        latent = self.encode(weights, zoo)
        return Reconstruction(latent=latent, predicted=self.decode(latent, zoo), mask=None)


def projection_head(inputs: int, options: ProjectionOptions) -> nn.Sequential:
    """``layers`` times linear, BatchNorm, ReLU; then linear, BatchNorm.

    The weights of the linear layers start from kaiming_normal, as published. BatchNorm takes its statistics over the
    batch of all workers.
    """
    layers: list[nn.Module] = []
    for _ in range(options.layers):
        layers += [nn.Linear(inputs, options.width), SyncedBatchNorm1d(options.width), nn.ReLU()]
        inputs = options.width
    layers += [nn.Linear(inputs, options.out), SyncedBatchNorm1d(options.out)]
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    return nn.Sequential(*layers)


def _block_shape(options: EncoderDecoderOptions) -> BlockShape:
    return BlockShape(
        width=options.width,
        heads=options.heads,
        hidden=options.feed_forward,
        activation=nn.ReLU,
        bias=True,
        dropout=options.dropout,
    )


def _learned(tokens: int, width: int) -> nn.Parameter:
    return nn.Parameter(POSITION_STD * torch.randn(tokens, width))


def _check_zoo(zoo: int) -> None:
    if zoo:
        raise InputError(f"model 'encoder_decoder' has no zoo {zoo}: it is built for one layout, number 0.")
