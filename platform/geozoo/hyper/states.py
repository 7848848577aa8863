"""The states a probe works on: drawn from a zoo, split by member or seed, with features and targets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from geozoo.errors import InputError
from geozoo.hyper.features import find_feature_sets
from geozoo.hyper.table import SELECTIONS
from geozoo.hyper.targets import RESULTS, Target, collect_targets
from geozoo.store import split_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from geozoo.hyper.features import FeatureSet
    from geozoo.hyper.table import Selection
    from geozoo.nets.layout import Layout
    from geozoo.store import Zoo

SplitBy = Literal["member", "seed"]
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

FINITE = "finite"
PARTS = ("train", "validation", "test")
MAX_STATES = {"train": 20_000, "validation": 5_000, "test": 5_000}
MAX_SCALARS = 75_000_000
CHANCE_MARGIN = 0.05

_CHUNK_SCALARS = 16_000_000


@dataclass(frozen=True)
class ProbeStates:
    """States with all that a probe needs, as plain arrays; every array has one entry per state.

    ``features`` maps a feature set's name to ``[n, columns]``; ``member`` numbers the members; ``part`` is ``train``,
    ``validation`` or ``test`` and the same for all states of a member; ``selections`` maps each selection to a mask.
    """

    features: Mapping[str, np.ndarray]
    member: np.ndarray
    part: np.ndarray
    targets: Sequence[Target]
    selections: Mapping[Selection, np.ndarray]


@dataclass(frozen=True)
class Population:
    """The members of a zoo that a probe can use, and why others are not used.

    ``members`` is one row per committed member without a diverged state; ``metrics`` is indexed by member id and epoch;
    ``part`` and ``above_chance`` have one entry per row of ``members``.
    """

    members: pd.DataFrame
    metrics: pd.DataFrame
    part: np.ndarray
    above_chance: np.ndarray
    chance_threshold: float
    diverged: int


def read_population(zoo: Zoo, split: SplitBy) -> Population:
    """Read the tables of a zoo: committed members that did not diverge, split 70/15/15 by member or seed.

    A member is above chance if its final test accuracy is at least 5 points over chance, which is the larger of one
    over the number of classes and, where the zoo knows it, the share of the most frequent class.

    Raises:
        InputError: no member can be used, or a part of the split is empty.
    """
    metrics = zoo.read_metrics([FINITE, *(name for name in RESULTS if name != "epoch")]).set_index(["member", "epoch"])
    finite = metrics[FINITE].astype(bool).groupby(level="member").all()
    members = zoo.members[zoo.members["member"].isin(finite.index[finite])].reset_index(drop=True)
    if members.empty:
        raise InputError(
            f"zoo {zoo.header.name!r} has no committed member with finite weights to probe: populate it further."
        )
    final = metrics["test_accuracy"].xs(max(zoo.checkpoints), level="epoch")
    threshold = chance_level(zoo.header.dataset, zoo.layout) + CHANCE_MARGIN
    return Population(
        members=members,
        metrics=metrics,
        part=split_members(members, split),
        above_chance=final.reindex(members["member"]).to_numpy(dtype=np.float64) >= threshold,
        chance_threshold=threshold,
        diverged=int((~finite).sum()),
    )


def split_members(members: pd.DataFrame, by: SplitBy) -> np.ndarray:
    """The part of every member ``[members]``: 70 % train, 15 % validation, 15 % test.

    By member as ``geozoo.store.split_of`` says; by seed, the seeds in the order of a hash are cut into shares as near
    to these as whole seeds allow, with a seed in every part from three seeds on.
    """
    if by == "member":
        return np.array([split_of(member) for member in members["member"]])
    seeds = sorted(
        members["seed"].unique(), key=lambda seed: hashlib.sha256(f"geozoo split seed {seed}".encode()).digest()
    )
    held_out = max(1, round(0.15 * len(seeds)))
    part = dict(zip(reversed(seeds), ["test"] * held_out + ["validation"] * held_out, strict=False))
    return np.array([part.get(seed, "train") for seed in members["seed"]])


def chance_level(dataset: Mapping[str, object], layout: Layout) -> float:
    """Accuracy of the best constant guess, as far as a zoo's description of its image set tells it."""
    classes = dataset.get("classes")
    guess = 1 / (len(classes) if isinstance(classes, list) else layout[-1].shape[0])
    share = dataset.get("majority_share")
    return max(guess, share) if isinstance(share, float) else guess


def draw_states(part: np.ndarray, checkpoints: int, parameters: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the states to work on: at most 20,000 of the train part and 5,000 of each other, fewer of wide networks.

    Args:
        part: ``[members]``.
        checkpoints: how many states a member has; the last one is the final epoch.
        parameters: of one state; all states together hold at most 75 million.
        seed: of the draw.

    Returns:
        State numbers ``member * checkpoints + checkpoint``, ascending: over all epochs, and at the final epoch.
    """
    generator = np.random.default_rng(seed)
    scale = min(1.0, MAX_SCALARS / (parameters * sum(MAX_STATES.values())))
    every, final = [], []
    for name in PARTS:
        limit = max(1, int(MAX_STATES[name] * scale))
        first = np.flatnonzero(part == name) * checkpoints
        every.append(_at_most(limit, (first[:, None] + np.arange(checkpoints)).ravel(), generator))
        final.append(_at_most(limit, first + checkpoints - 1, generator))
    return np.sort(np.concatenate(every)), np.sort(np.concatenate(final))


def _at_most(limit: int, items: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return items if len(items) <= limit else generator.choice(items, limit, replace=False)


def collect_states(
    zoo: Zoo,
    population: Population,
    features: Sequence[str],
    targets: Sequence[str],
    seed: int,
    progress: Progress,
) -> tuple[ProbeStates, list[str]]:
    """Draw states, read their weights, and compute every feature set on exactly the same ones.

    Returns:
        The states, and the names of targets left out because they do not vary.

    Raises:
        InputError: an unknown feature set or target, or no target that varies.
    """
    import pandas as pd

    feature_sets = find_feature_sets(features, zoo.header.num_parameters)
    checkpoints = np.asarray(zoo.checkpoints)
    every, final = draw_states(population.part, len(checkpoints), zoo.header.num_parameters, seed)
    states = np.union1d(every, final)
    member, epoch = states // len(checkpoints), checkpoints[states % len(checkpoints)]
    rows = population.members.iloc[member].reset_index(drop=True)
    index = pd.MultiIndex.from_arrays([rows["member"], epoch], names=["member", "epoch"])
    wanted, constant = collect_targets(rows, population.metrics.reindex(index).reset_index(), targets)
    if not wanted:
        raise InputError(f"none of {', '.join(constant)} varies in zoo {zoo.header.name!r}: there is nothing to probe.")
    computed = compute_features(zoo, rows["member"].tolist(), epoch.tolist(), feature_sets, progress)
    usable = usable_states(computed, member)
    drawn = {"final": final, "all": every}
    selections = {
        selection: usable
        & np.isin(states, drawn[selection.epochs])
        & (population.above_chance[member] | (selection.members == "all"))
        for selection in SELECTIONS
    }
    return ProbeStates(computed, member, population.part[member], wanted, selections), constant


def usable_states(features: Mapping[str, np.ndarray], member: np.ndarray) -> np.ndarray:
    """Mask of the states of members all of whose features are finite (float16 stores a large weight as infinity)."""
    finite = np.all([np.isfinite(columns).all(axis=1) for columns in features.values()], axis=0)
    return ~np.isin(member, member[~finite])


def compute_features(
    zoo: Zoo, members: list[str], epochs: list[int], feature_sets: Sequence[FeatureSet], progress: Progress
) -> dict[str, np.ndarray]:
    """Read states in chunks and compute their features ``[n, columns]`` by feature set."""
    chunk = max(1, _CHUNK_SCALARS // zoo.header.num_parameters)
    parts: dict[str, list[np.ndarray]] = {feature_set.name: [] for feature_set in feature_sets}
    for start in range(0, len(members), chunk):
        progress("reading states", start, len(members))
        weights = zoo.states(members[start : start + chunk], epochs[start : start + chunk])
        for feature_set in feature_sets:
            parts[feature_set.name].append(feature_set.compute(weights, zoo.layout))
    progress("reading states", len(members), len(members))
    return {name: np.concatenate(chunks) for name, chunks in parts.items()}
