"""Embeddings of the last batches, as additional negatives (MoCo, He et al., 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geozoo.errors import InputError


class MemoryBank(nn.Module):
    """The last ``size`` embeddings of one sensor, first in, first out; part of the state dict.

    It starts empty. Feed it the embeddings of the whole batch, gathered from all workers, after the loss has been
    computed: then it is the same on all workers, and none of its rows is an anchor's positive. lightly's bank starts
    with random vectors, drops the end of a batch that does not fit, and is not part of the state dict.
    """

    embeddings: Tensor
    seen: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.register_buffer("embeddings", torch.zeros(size, width))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def push(self, batch: Tensor) -> None:
        """Store embeddings ``[n, width]`` in place of the oldest; of more than ``size`` the last.

        Raises:
            InputError: they have another width.
        """
        size, width = self.embeddings.shape
        if batch.dim() != 2 or batch.shape[1] != width:
            raise InputError(f"a memory bank for embeddings [n, {width}] got {tuple(batch.shape)}: make one that fits.")
        numbers = torch.arange(len(batch), device=batch.device)[-size:]
        self.embeddings[(self.seen + numbers) % size] = batch[numbers].to(self.embeddings.dtype)
        self.seen += len(batch)

    def stored(self) -> Tensor:
        """The embeddings that are there ``[m, width]``, m from 0 to ``size``: a copy, in no particular order."""
        return self.embeddings[: int(self.seen)].clone()
