"""The states a probe works on, and the members of a zoo that it can use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geozoo.errors import InputError
from geozoo.hyper.probing.targets import RESULTS, Target
from geozoo.hyper.splits import PARTS, reuses_seeds, split_members

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from geozoo.hyper.probing.table import Selection
    from geozoo.hyper.splits import SplitBy
    from geozoo.nets.layout import Layout
    from geozoo.store import Zoo
    from geozoo.weights.wiring import Wiring

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

FINITE = "finite"
MAX_STATES = {"train": 20_000, "validation": 5_000, "test": 5_000}
MAX_SCALARS = 75_000_000
CHANCE_MARGIN = 0.05


@dataclass(frozen=True)
class ProbeStates:
    """States with all that a probe needs, as plain arrays; every array has one entry per state.

    ``features`` maps a feature set's name to ``[n, columns]``; ``member`` numbers the members; ``part`` is ``train``,
    ``validation``, ``test`` or empty (not used) and the same for all states of a member; ``selections`` maps each
    selection to a mask; ``wiring`` is that of the networks, where one is trained on their weights end to end.
    """

    features: Mapping[str, np.ndarray]
    member: np.ndarray
    part: np.ndarray
    targets: Sequence[Target]
    selections: Mapping[Selection, np.ndarray]
    wiring: Wiring | None = None


@dataclass(frozen=True)
class Population:
    """The members of a zoo that a probe can use, and why others are not used.

    ``members`` is one row per committed member without a diverged state; ``metrics`` is indexed by member id and epoch;
    ``part`` and ``above_chance`` have one entry per row of ``members``. ``reuses_seeds``: members of different
    hyper-parameters share a seed.
    """

    members: pd.DataFrame
    metrics: pd.DataFrame
    part: np.ndarray
    above_chance: np.ndarray
    chance_threshold: float
    diverged: int
    reuses_seeds: bool


def read_population(zoo: Zoo, split: SplitBy) -> Population:
    """Read the tables of a zoo: committed members that did not diverge, split 70/15/15.

    A member is above chance if its final test accuracy is at least 5 points over chance, which is the larger of one
    over the number of classes and, where the zoo knows it, the share of the most frequent class.

    Raises:
        InputError: no member can be used.
    """
    metrics = zoo.read_metrics([FINITE, *(name for name in RESULTS if name != "epoch")]).set_index(["member", "epoch"])
    finite = metrics[FINITE].astype(bool).groupby(level="member").all()
    committed = zoo.members[zoo.members["committed"]]
    usable = committed["member"].isin(finite.index[finite]).to_numpy()
    if not usable.any():
        raise InputError(
            f"zoo {zoo.header.name!r} has no committed member with finite weights to probe: populate it further."
        )
    members = committed[usable].reset_index(drop=True)
    final = metrics["test_accuracy"].xs(max(zoo.checkpoints), level="epoch")
    threshold = chance_level(zoo.header.dataset, zoo.layout) + CHANCE_MARGIN
    return Population(
        members=members,
        metrics=metrics,
        part=split_members(committed, split)[usable],
        above_chance=final.reindex(members["member"]).to_numpy(dtype=np.float64) >= threshold,
        chance_threshold=threshold,
        diverged=int((~finite).sum()),
        reuses_seeds=reuses_seeds(members),
    )


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


def usable_states(features: Iterable[np.ndarray], member: np.ndarray) -> np.ndarray:
    """Mask of the states of members all of whose features are finite (float16 stores a large weight as infinity)."""
    finite = np.all([np.isfinite(columns).all(axis=1) for columns in features], axis=0)
    return ~np.isin(member, member[~finite])
