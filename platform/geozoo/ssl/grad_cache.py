"""Batches whose activations do not fit into memory: gradient caching (Gao et al., 2021)."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from geozoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def encode_in_chunks(
    encoder: nn.Module, rows: Tensor, chunk: int, generators: Sequence[torch.Generator] = ()
) -> Tensor:
    """The outputs of an encoder for all rows, of which no more than ``chunk`` are in memory with their activations.

    Rows are encoded in chunks without keeping activations; ``backward`` from any loss of all outputs, gathered from
    several workers or not, reaches the outputs first, then encodes one chunk after the other again and adds its
    gradients. That is gradient caching, and also `torch.utils.checkpoint` at the borders of chunks, which does it
    here. Loss and gradients are those of encoding chunk by chunk with all activations kept.

    Random numbers are the same both times: those of torch's default generators (dropout), and of ``generators``, if the
    encoder draws from others (augmentation).

    Args:
        encoder: must treat every row by itself.
        rows: ``[n, ...]``, of this worker; there may be none.
        chunk: rows at a time, 1 at least.
        generators: generators that the encoder draws from.

    Raises:
        InputError: the encoder has a BatchNorm that normalises by the batch.
    """
    _check(encoder)
    parts = [
        checkpoint(
            encoder,
            part,
            use_reentrant=False,
            context_fn=lambda: (nullcontext(), _replaying(generators, [each.get_state() for each in generators])),
        )
        for part in rows.split(chunk)
    ]
    return torch.cat(parts)


@contextmanager
def _replaying(generators: Sequence[torch.Generator], states: Sequence[Tensor]) -> Iterator[None]:
    """Generators as they were, and afterwards as they are."""
    now = [generator.get_state() for generator in generators]
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state)
    try:
        yield
    finally:
        for generator, state in zip(generators, now, strict=True):
            generator.set_state(state)


def _check(encoder: nn.Module) -> None:
    for name, part in encoder.named_modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and (part.training or part.running_mean is None):
            raise InputError(
                f"gradient caching cannot encode with {name or 'a'} ({type(part).__name__}): it normalises by the rows "
                "that it sees together, which would be those of a chunk, not of the batch; use GroupNorm or LayerNorm, "
                "or keep BatchNorm in evaluation mode."
            )
