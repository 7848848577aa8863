"""Initial weights: made once per member, outside the engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geozoo.nets import build_network, derive_layout, find_initialiser, find_network, flatten
from geozoo.population.streams import Stream, counter_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from geozoo.recipe import HyperParameters


def initial_weights(
    network: dict[str, Any], seeds: Iterable[int], hyperparameters: Sequence[HyperParameters]
) -> NDArray[np.float32]:
    """Draw the initial weights of members, ``float32 [members, params]``.

    Every weight matrix or kernel is filled by the member's initialiser (`torch.nn.init`) from one generator seeded by
    the member's seed; every bias starts at the network's constant, 0.01 in the published zoos; BatchNorm starts as the
    identity. Members with one seed and one initialiser start from the same weights, whatever else differs.

    Args:
        network: arguments of `geozoo.nets.build_network`.
        seeds: one a member.
        hyperparameters: one a member.
    """
    import numpy as np
    import torch

    module = build_network(**network)
    layout = derive_layout(module)
    bias = find_network(network["name"]).bias
    state = module.state_dict()
    rows = []
    for seed, chosen in zip(seeds, hyperparameters, strict=True):
        generator = torch.Generator().manual_seed(counter_hash(int(seed), Stream.INITIALISATION))
        initialise = find_initialiser(chosen.init)
        for slot in layout:
            if "norm" in slot.kind:
                continue
            if slot.role == "bias":
                state[slot.name].fill_(bias)
            elif slot.role == "weight":
                initialise(state[slot.name], chosen.init_std, generator)
        rows.append(flatten(state, layout).numpy())
    return np.stack(rows).astype(np.float32, copy=False)
