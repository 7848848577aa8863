"""Image data beside a published zoo: ``dataset.pt`` with its splits as ``TensorDataset``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geozoo.errors import InputError
from geozoo.interchange.restricted import load_tensors

if TYPE_CHECKING:
    from pathlib import Path

    import torch

DATASET_CLASSES = ("torch.utils.data.dataset.TensorDataset", "torch.utils.data.dataset.Subset")


def read_test_images(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """The test images ``[n, channels, size, size]``, normalised as they were trained on, and their labels ``[n]``.

    Raises:
        UnsafeFileError: the file holds more than tensors in such data sets.
        InputError: it has no test images.
    """
    import torch

    loaded = load_tensors(path, DATASET_CLASSES, mapped=True)
    split = loaded.get("testset") if isinstance(loaded, dict) else None
    tensors = getattr(split, "tensors", None)
    if (
        not isinstance(tensors, tuple)
        or len(tensors) != 2
        or not all(isinstance(one, torch.Tensor) for one in tensors)
        or len(tensors[0]) != len(tensors[1])
    ):
        raise InputError(f"{str(path)!r} holds no test images as a TensorDataset: name an image set with --images.")
    return tensors[0], tensors[1]
