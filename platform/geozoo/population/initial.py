"""Initial weights: made once per member, outside the engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geozoo.nets import build_network, derive_layout, find_initialiser, find_network, flatten
from geozoo.population.streams import Stream, counter_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from geozoo.recipe import HyperParameters


def initial_weights(
    network: dict[str, Any], seeds: Iterable[int], hyperparameters: Sequence[HyperParameters]
) -> NDArray[np.float32]:
    """Draw the initial weights of members, ``float32 [members, params]``.

    Every weight matrix or kernel is filled by the member's initialiser (`torch.nn.init`) from one generator seeded by
    the member's seed; every bias starts at the network's constant, 0.01 in the published zoos; BatchNorm starts as the
    identity. Members with one seed and one initialiser start from the same weights, whatever else differs. A network
    that is taken as it is starts as its own code makes it, torch's generator seeded by the member's seed.

    Args:
        network: arguments of `geozoo.nets.build_network`.
        seeds: one a member.
        hyperparameters: one a member.
    """
    import numpy as np

    make = _own_weights if find_network(network["name"]).as_it_is else _filled_weights
    return np.stack([row.numpy() for row in make(network, seeds, hyperparameters)]).astype(np.float32, copy=False)


def _generator_seed(seed: int) -> int:
    return int(counter_hash(int(seed), Stream.INITIALISATION))


def _own_weights(
    network: dict[str, Any], seeds: Iterable[int], hyperparameters: Sequence[HyperParameters]
) -> Iterator[Tensor]:
    import torch

    for seed in seeds:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_generator_seed(seed))
            module = build_network(**network)
        yield flatten(module.state_dict(), derive_layout(module))


def _filled_weights(
    network: dict[str, Any], seeds: Iterable[int], hyperparameters: Sequence[HyperParameters]
) -> Iterator[Tensor]:
    import torch

    module = build_network(**network)
    layout = derive_layout(module)
    bias = find_network(network["name"]).bias
    state = module.state_dict()
    for seed, chosen in zip(seeds, hyperparameters, strict=True):
        generator = torch.Generator().manual_seed(_generator_seed(seed))
        initialise = find_initialiser(chosen.init)
        for slot in layout:
            if "norm" in slot.kind:
                continue
            if slot.role == "bias":
                state[slot.name].fill_(bias)
            elif slot.role == "weight":
                initialise(state[slot.name], chosen.init_std, generator)
        yield flatten(state, layout)
