"""Which states of which zoos an experiment learns from, and whether they fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geozoo.errors import InputError
from geozoo.hyper.aligned import Alignment, last_finite
from geozoo.hyper.splits import split_members
from geozoo.hyper.stream import ZooStates
from geozoo.store import open_location, open_zoo
from geozoo.store.selection import Selection, select_states

if TYPE_CHECKING:
    from geozoo.hyper.experiment import HyperExperiment, StatesSettings
    from geozoo.store import Split, Zoo
    from geozoo.weights.symmetry import Symmetry


def open_zoos(experiment: HyperExperiment) -> list[Zoo]:
    """The zoos that an experiment names.

    Raises:
        InputError: it names none.
        ZooNotFoundError: there is no zoo at a URL.
    """
    if not experiment.zoo:
        raise InputError(
            f"experiment {experiment.name!r} names no zoo: add --set zoo=URL with the URL of a populated one."
        )
    return [open_zoo(url) for url in experiment.zoo]


def located(experiment: HyperExperiment) -> HyperExperiment:
    """The experiment with zoos whose URLs mean the same in every working directory."""
    return experiment.model_copy(update={"zoo": tuple(open_location(url).url for url in experiment.zoo)})


def select_part(zoo: Zoo, part: Split, settings: StatesSettings) -> ZooStates:
    """The states of one part of the split, at the chosen checkpoints.

    Raises:
        InputError: the part is empty, or a checkpoint is not stored.
    """
    committed = zoo.members["committed"].to_numpy()
    parts = np.full(len(zoo.members), "", dtype=object)
    parts[committed] = split_members(zoo.members[committed], settings.split)
    if part not in parts:
        raise InputError(
            f"the {part} part of zoo {zoo.header.name!r}, split by {settings.split}, is empty: populate more members."
        )
    epochs = None if settings.checkpoints == "every" else list(settings.checkpoints)
    return with_activations(zoo, select_states(zoo, part, epochs, "finite", parts))


def with_activations(zoo: Zoo, selection: Selection) -> ZooStates:
    """Add the activations of the members' networks."""
    activations = zoo.members.set_index("member")["activation"]
    return ZooStates(zoo, selection, activations.loc[selection.members].to_numpy(dtype=np.str_))


def keep_states(states: ZooStates, kept: np.ndarray) -> ZooStates:
    """Those states that a mask marks."""
    whole = states.selection
    selection = Selection(
        whole.members[kept],
        whole.epochs[kept],
        whole.targets[kept],
        whole.shards[kept],
        whole.left_out + int((~kept).sum()),
    )
    return ZooStates(states.zoo, selection, states.activations[kept], states.alignment)


def align_states(states: ZooStates, reference: np.ndarray) -> ZooStates:
    """The same states with their units in the order of a reference ``[params]``."""
    members = sorted(set(states.selection.members.tolist()))
    alignment = Alignment.of(states.zoo, members, zoo_symmetry(states.zoo), reference)
    return ZooStates(states.zoo, states.selection, states.activations, alignment)


def reference_state(states: ZooStates) -> np.ndarray:
    """The last state ``[params]`` of the first of these members that did not diverge, or that went on longest."""
    members = list(dict.fromkeys(states.selection.members.tolist()))
    epochs = last_finite(states.zoo, members)
    first = max(members, key=lambda member: epochs[member])
    reference: np.ndarray = states.zoo.states(first, epochs[first])[0]
    return reference


def zoo_symmetry(zoo: Zoo) -> Symmetry:
    """The permutation symmetry of a zoo's network."""
    from geozoo.weights.symmetry import network_symmetry

    return network_symmetry(**zoo.header.network)
