"""A member's tensors by name, from the flat vector of its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch

    from geozoo.nets.layout import Layout
    from geozoo.store.header import ZooHeader

RUNNING_VARIANCE, BATCH_COUNTER = "running_var", "num_batches_tracked"
"""The last running statistic of a BatchNorm in a ``state_dict``, and the integer that follows it."""


def named_tensors(vector: np.ndarray[Any, Any], layout: Layout, batches: int) -> dict[str, torch.Tensor]:
    """Tensors by name in the order of the ``state_dict``; each owns its storage.

    BatchNorm counts the batches it was trained on. That number is no more than ``batches``, the same in every layer, so
    it is not stored, and put in here.
    """
    import torch

    state = {}
    for slot in layout:
        state[slot.name] = torch.from_numpy(vector[slot.span].reshape(slot.shape).copy())
        owner, _, leaf = slot.name.rpartition(".")
        if leaf == RUNNING_VARIANCE and slot.role == "buffer":
            state[f"{owner}.{BATCH_COUNTER}"] = torch.tensor(batches)
    return state


def batches_trained(header: ZooHeader, batch_size: int, epochs: int) -> int:
    """Batches that a member is trained on in some epochs; 0 where that is not known, as of an imported zoo.

    Those of a member that diverged are counted as though it had gone on.
    """
    images = int(header.dataset.get("splits", {}).get("train", 0))
    return 0 if header.origin is not None else epochs * -(-images // int(batch_size))
