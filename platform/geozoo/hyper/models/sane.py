"""SANE: networks as sequences of equally long tokens, trained on windows, a latent vector for each token."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geozoo.errors import InputError
from geozoo.hyper.models.blocks import Blocks, BlockShape
from geozoo.hyper.models.gather import SequenceIndex
from geozoo.hyper.models.model import HyperModel, Reconstruction
from geozoo.hyper.models.tokens import longest_row, token_sequence
from geozoo.hyper.models.windows import draw_window, halo_windows
from geozoo.nets.layout import num_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from geozoo.hyper.models.options import SaneOptions
    from geozoo.nets.layout import Layout

INITIAL_STD = 0.02
POSITION_NAMES = ("place in the sequence", "layer", "channel")


class Sane(HyperModel):
    """The sequential autoencoder of Schuerholt et al. (2024, 2406.09997), for any number of layouts.

    The rows of all layers (an output channel's incoming weights and bias; BatchNorm's scale and shift of a channel; its
    running mean and variance) are zero-padded and cut into tokens. A token passes a linear layer, gets its position
    (place and layer in the first half, channel in the second), pre-norm blocks without biases that see all tokens of
    the window, and a linear layer to its latent vector. The decoder does the same, with the same table of positions,
    back to the token. Weights should come standardised. The latent representation is ``[n, tokens, latent]``.

    Ours: all states of a training pass share one window, so that both views of a state show the same tokens and no
    negative is told apart by its place; windows are drawn so that the ends are not rare (`draw_window`); where a
    projected sequence is longer than a window, the projections of its windows are averaged; one token for a channel's
    running mean and variance together.

    Raises:
        InputError: there is no layout, the position tables are too small for one, or there is no zoo of a number.
    """

    def __init__(self, options: SaneOptions, layouts: Sequence[Layout]) -> None:
        super().__init__()
        if not layouts:
            raise InputError("model 'sane' was given no layout: give it the layout of every zoo that it is for.")
        self.window, self.max_window, self.halo = options.window, options.max_window, options.halo
        token_size = options.token_size or max(map(longest_row, layouts))
        sequences = [SequenceIndex(token_sequence(layout, token_size), num_parameters(layout)) for layout in layouts]
        self.sequences = nn.ModuleList(sequences)
        self.positions = Positions(_table_sizes(sequences, options.positions), options.width)
        self.encoder = TokenTransformer(token_size, options.latent, options)
        self.decoder = TokenTransformer(options.latent, token_size, options)
        self.head = window_head(options.window * options.latent, options.projection)

    def sequence(self, zoo: int) -> SequenceIndex:
        """The token sequence of a zoo's layout."""
        if not 0 <= zoo < len(self.sequences):
            raise InputError(f"model 'sane' has no zoo {zoo}: it is built for {len(self.sequences)}, counted from 0.")
        return self.sequences[zoo]  # type: ignore[return-value]

    def encode(self, weights: Tensor, zoo: int = 0) -> Tensor:
        """Weights ``[n, params]`` to the latent vectors of the whole sequence ``[n, tokens, latent]``."""
        sequence = self.sequence(zoo)
        return self._cover(sequence, lambda part: self._encode(sequence.cut(weights, part), sequence, part))

    def decode(self, latent: Tensor, zoo: int = 0) -> Tensor:
        """The latent vectors of the whole sequence ``[n, tokens, latent]`` to weights ``[n, params]``."""
        sequence = self.sequence(zoo)
        return sequence.join(self._cover(sequence, lambda part: self._decode(latent[:, part], sequence, part)))

    def project(self, latent: Tensor) -> Tensor:
        """Latent vectors ``[n, tokens, latent]`` of a window to ``[n, projection]``; missing tokens count as zero.

        Of a longer sequence, the mean over its windows, one after another.
        """
        padded = F.pad(latent, (0, 0, 0, -latent.shape[1] % self.window))
        return self.head(padded.unflatten(1, (-1, self.window)).flatten(2)).mean(1)  # type: ignore[no-any-return]

    def embed(self, latent: Tensor) -> Tensor:
        """The mean over the tokens: ``[n, tokens, latent]`` to ``[n, latent]``."""
        return latent.mean(1)

    def trains_on_windows(self, zoo: int = 0) -> bool:
        """Whether a sequence is longer than a window."""
        return len(self.sequence(zoo)) > self.window

    def forward(self, weights: Tensor, zoo: int = 0, generator: torch.Generator | None = None) -> Reconstruction:
        """Encode and decode one window drawn from ``generator``, or without it the whole sequence."""
        sequence = self.sequence(zoo)
        if generator is None or not self.trains_on_windows(zoo):
            latent = self.encode(weights, zoo)
            return Reconstruction(latent=latent, predicted=self.decode(latent, zoo), mask=None)
        part = draw_window(len(sequence), self.window, generator)
        latent = self._encode(sequence.cut(weights, part), sequence, part)
        predicted, covered = sequence.join_part(self._decode(latent, sequence, part), part)
        return Reconstruction(latent=latent, predicted=predicted, mask=covered.expand(len(weights), -1))

    def _encode(self, tokens: Tensor, sequence: SequenceIndex, part: slice) -> Tensor:
        return self.encoder(tokens, self.positions(sequence.positions[part]))  # type: ignore[no-any-return]

    def _decode(self, latent: Tensor, sequence: SequenceIndex, part: slice) -> Tensor:
        return self.decoder(latent, self.positions(sequence.positions[part]))  # type: ignore[no-any-return]

    def _cover(self, sequence: SequenceIndex, run: Callable[[slice], Tensor]) -> Tensor:
        """What ``run`` makes of a whole sequence ``[n, tokens, ...]``, in overlapping windows where it is long."""
        windows = halo_windows(len(sequence), self.max_window, self.halo)
        return torch.cat([run(window.seen)[:, window.kept] for window in windows], dim=1)


def _table_sizes(sequences: Sequence[SequenceIndex], wanted: Sequence[int] | None) -> Sequence[int]:
    """How many places, layers and channels the tables of positions hold."""
    largest = torch.stack([sequence.positions.amax(0) for sequence in sequences]).amax(0)
    needed = [value + 1 for value in largest.tolist()]
    for name, size, least in zip(POSITION_NAMES, wanted or needed, needed, strict=True):
        if size < least:
            raise InputError(
                f"positions for the {name} are {size}, the layouts need {least}: raise it or leave positions out."
            )
    return wanted or needed


class Positions(nn.Module):
    """Learned positions ``[tokens, width]``: place plus layer in the first half, channel in the second."""

    def __init__(self, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size, width // 2) for size in sizes)
        for table in self.parameters():
            nn.init.normal_(table, std=INITIAL_STD)

    def forward(self, positions: Tensor) -> Tensor:
        """Triples ``[tokens, 3]`` of place, layer and channel to what is added to the tokens."""
        place, layer, channel = (table(column) for table, column in zip(self.tables, positions.T, strict=True))
        return torch.cat([place + layer, channel], dim=-1)


class TokenTransformer(nn.Module):
    """A linear layer, positions, blocks, a linear layer: tokens ``[n, tokens, inputs]`` to ``[n, tokens, outputs]``.

    All matrices start from N(0, 0.02), those that add to the residual stream divided by ``sqrt(2 blocks)``.
    """

    def __init__(self, inputs: int, outputs: int, options: SaneOptions) -> None:
        super().__init__()
        width = options.width
        shape = BlockShape(
            width=width,
            heads=options.heads,
            hidden=4 * width,
            activation=nn.GELU,
            bias=False,
            dropout=options.dropout,
        )
        self.enter = nn.Linear(inputs, width)
        self.blocks = Blocks(options.blocks, shape)
        self.leave = nn.Linear(width, outputs)
        self.apply(_initialise)
        for name, weight in self.blocks.named_parameters():
            if name.endswith(("attention.out.weight", "contract.weight")):
                nn.init.normal_(weight, std=INITIAL_STD / math.sqrt(2 * options.blocks))

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Tokens with positions ``[tokens, width]`` through all layers."""
        return self.leave(self.blocks(self.enter(tokens) + positions))  # type: ignore[no-any-return]


def window_head(inputs: int, outputs: int) -> nn.Sequential:
    """The contrastive head over a flattened window: twice linear (the first without bias), LayerNorm, ReLU."""
    head = nn.Sequential(
        nn.Linear(inputs, outputs, bias=False),
        nn.LayerNorm(outputs),
        nn.ReLU(),
        nn.Linear(outputs, outputs),
        nn.LayerNorm(outputs),
        nn.ReLU(),
    )
    head.apply(_initialise)
    return head


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=INITIAL_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
