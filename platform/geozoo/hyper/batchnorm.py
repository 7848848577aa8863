"""Running statistics for decoded networks with BatchNorm, taken from images instead of from the decoder."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def bn_conditioning(
    module: nn.Module, images: Tensor, steps: int, batch_size: int, generator: torch.Generator | None = None
) -> None:
    """Reset the running statistics of a network by forward passes over images, in place; nothing else changes.

    Follows the conditioning of SANE (2406.09997), which passes 200 batches of 32 images in train mode without
    gradients. Deviation: running statistics are the plain mean over all batches (``torch.optim.swa_utils.update_bn``),
    where the published ones are dominated by the last ten. A network without BatchNorm is left as it is.

    Args:
        module: a network of the flat weights; its mode is kept.
        images: ``[n, channels, size, size]`` on the device of the network.
        steps: number of batches, drawn in passes over the shuffled images.
        batch_size: images in a batch.
        generator: shuffles the images; without it torch's default one.
    """
    import torch
    from torch.optim.swa_utils import update_bn

    wanted = steps * batch_size
    passes = [torch.randperm(len(images), generator=generator) for _ in range(math.ceil(wanted / len(images)))]
    order = torch.cat(passes)[:wanted].to(images.device)
    update_bn((images[batch] for batch in order.split(batch_size)), module)
