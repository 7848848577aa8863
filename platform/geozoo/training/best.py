"""The weights of the best epochs of a run, beside its checkpoint.

``best/epoch-0012.safetensors`` has the ``state_dict`` of all that was trained (an encoder with its heads, its teacher
and its memory, where there are any) after epoch 12, counted from 1, as CPU tensors without pickles. What is in the
folder follows from the history in the checkpoint: the weights of an epoch are written before the checkpoint that counts
it, and those of epochs that fell out are removed after it. A run that dies in between leaves a file too many, never one
too few, and removes it when it goes on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from safetensors.torch import save

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch import Tensor

    from geozoo.store import Location

FOLDER = "best"
_NAME = re.compile(rf"{FOLDER}/epoch-(\d{{4,}})\.safetensors")


def kept_epochs(location: Location) -> dict[int, str]:
    """The names of all weights that lie beside a checkpoint, by epoch; ``safetensors.torch.load`` reads their bytes."""
    found = (_NAME.fullmatch(name) for name in location.list(FOLDER))
    return dict(sorted((int(match[1]), match[0]) for match in found if match))


def save_weights(location: Location, epoch: int, module: Mapping[str, Tensor]) -> None:
    """Write the weights of an epoch, which share no memory with each other."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.items()}
    location.write(f"{FOLDER}/epoch-{epoch:04d}.safetensors", save(tensors))


def drop_others(location: Location, epochs: Collection[int]) -> None:
    """Remove the weights of all epochs but these."""
    location.delete([name for epoch, name in kept_epochs(location).items() if epoch not in epochs])
