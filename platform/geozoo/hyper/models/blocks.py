"""Transformer blocks: attention and a feed-forward part, each behind its normalisation and added to what came in."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class BlockShape:
    """``width`` numbers a token, shared among ``heads``; ``hidden`` units behind an ``activation`` module."""

    width: int
    heads: int
    hidden: int
    activation: type[nn.Module]
    bias: bool
    dropout: float


class Attention(nn.Module):
    """Multi-head self-attention without a mask: queries, keys and values from one matrix product."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.dropout = shape.dropout
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=shape.bias)
        self.out = nn.Linear(shape.width, shape.width, bias=shape.bias)

    def forward(self, x: Tensor, keep: int | None = None) -> Tensor:
        """Tokens ``[n, tokens, width]`` to the new ones ``[n, keep, width]`` of the first ``keep`` (all without it)."""
        query, key, value = self._split(x, keep)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _split(self, x: Tensor, keep: int | None) -> tuple[Tensor, ...]:
        """Queries, keys and values ``[n, heads, tokens, width / heads]``."""
        if keep is None:
            parts = self.qkv(x).chunk(3, dim=-1)
        else:
            width, weight, bias = x.shape[-1], self.qkv.weight, self.qkv.bias
            query = F.linear(x[:, :keep], weight[:width], None if bias is None else bias[:width])
            rest = F.linear(x, weight[width:], None if bias is None else bias[width:])
            parts = (query, *rest.chunk(2, dim=-1))
        return tuple(part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)


class Block(nn.Module):
    """One pre-norm block: ``x += attention(norm(x))``, then ``x += feed_forward(norm(x))``."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(shape.width, bias=shape.bias)
        self.attention = Attention(shape)
        self.feed_forward_norm = nn.LayerNorm(shape.width, bias=shape.bias)
        self.expand = nn.Linear(shape.width, shape.hidden, bias=shape.bias)
        self.activation = shape.activation()
        self.contract = nn.Linear(shape.hidden, shape.width, bias=shape.bias)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor, keep: int | None = None) -> Tensor:
        """Tokens ``[n, tokens, width]`` to ``[n, keep, width]``: those of the first ``keep`` tokens (all without it).

        What is not kept is not computed, so a model that reads one token pays for little more than keys and values.
        """
        x = x[:, :keep] + self.dropout(self.attention(self.attention_norm(x), keep))
        hidden = self.dropout(self.activation(self.expand(self.feed_forward_norm(x))))
        return x + self.dropout(self.contract(hidden))  # type: ignore[no-any-return]


class Blocks(nn.Module):
    """Some blocks in a row."""

    def __init__(self, count: int, shape: BlockShape) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(shape) for _ in range(count))

    def forward(self, x: Tensor, keep: int | None = None) -> Tensor:
        """Tokens ``[n, tokens, width]`` to those of the first ``keep`` ones; the last block computes no others."""
        last = len(self.blocks) - 1
        for number, block in enumerate(self.blocks):
            x = block(x, keep if number == last else None)
        return x
