"""Between flat weight vectors and tokens: index arrays as buffers that move with the model but are not saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from geozoo.hyper.models.tokens import Index, TokenSequence, places_of

if TYPE_CHECKING:
    from collections.abc import Sequence


class TokenGroups(nn.Module):
    """Cuts flat vectors into groups of tokens, each group with a token length of its own, and joins them again."""

    index: Tensor
    first: Tensor
    last: Tensor

    def __init__(self, groups: Sequence[Index], params: int) -> None:
        super().__init__()
        self.shapes = [group.shape for group in groups]
        index = torch.cat([torch.from_numpy(group).flatten() for group in groups])
        first, last = places_of(index.numpy(), params)
        self.is_single = bool((first == last).all())
        self.register_buffer("index", index, persistent=False)
        self.register_buffer("first", torch.from_numpy(first), persistent=False)
        self.register_buffer("last", torch.from_numpy(last), persistent=False)

    def __len__(self) -> int:
        return sum(tokens for tokens, _ in self.shapes)

    def cut(self, weights: Tensor) -> list[Tensor]:
        """Weights ``[n, params]`` to one tensor ``[n, tokens, token length]`` for each group."""
        parts = weights.index_select(1, self.index).split([tokens * length for tokens, length in self.shapes], dim=1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def join(self, groups: Sequence[Tensor]) -> Tensor:
        """The inverse of `cut`; a weight that is in two tokens becomes the mean of what they say."""
        everything = torch.cat([group.flatten(1) for group in groups], dim=1)
        weights = everything.index_select(1, self.first)
        if self.is_single:
            return weights
        return 0.5 * (weights + everything.index_select(1, self.last))


class SequenceIndex(nn.Module):
    """Cuts flat vectors into one sequence of equally long tokens, or a part of it, and joins them again."""

    index: Tensor
    inverse: Tensor
    positions: Tensor

    def __init__(self, sequence: TokenSequence, params: int) -> None:
        super().__init__()
        self.params = params
        self.register_buffer("index", torch.from_numpy(sequence.index), persistent=False)
        inverse = places_of(sequence.index.ravel(), params)[0]
        self.register_buffer("inverse", torch.from_numpy(inverse), persistent=False)
        self.register_buffer("positions", torch.from_numpy(sequence.positions), persistent=False)

    def __len__(self) -> int:
        return len(self.index)

    def cut(self, weights: Tensor, part: slice = slice(None)) -> Tensor:
        """Weights ``[n, params]`` to tokens ``[n, tokens, token_size]``, zero where they are padded."""
        index = self.index[part]
        padded = index == self.params
        found = weights.index_select(1, index.masked_fill(padded, 0).flatten())
        return found.view(len(weights), *index.shape).masked_fill(padded, 0.0)

    def join(self, tokens: Tensor) -> Tensor:
        """The whole sequence ``[n, tokens, token_size]`` to weights ``[n, params]``; padding is dropped."""
        return tokens.flatten(1).index_select(1, self.inverse)

    def join_part(self, tokens: Tensor, part: slice) -> tuple[Tensor, Tensor]:
        """Tokens of a part of the sequence to weights ``[n, params]``, zero elsewhere, and their mask ``[params]``."""
        index = self.index[part].flatten()
        empty = tokens.new_zeros(len(tokens), self.params + 1)
        weights = empty.index_copy(1, index, tokens.flatten(1))[:, :-1]
        covered = torch.zeros(self.params + 1, dtype=torch.bool, device=index.device)
        covered[index] = True
        return weights, covered[:-1]
