"""Collecting the states of a probe: weights read once, every feature set computed on exactly the same states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geozoo.errors import InputError
from geozoo.hyper.probing.states import ProbeStates, draw_states, usable_states
from geozoo.hyper.probing.table import SELECTIONS
from geozoo.hyper.probing.targets import collect_targets
from geozoo.hyper.splits import PARTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from geozoo.hyper.probing.features import Compute, FeatureSet
    from geozoo.hyper.probing.states import Population, Progress
    from geozoo.hyper.probing.table import Selection
    from geozoo.store import Zoo

_CHUNK_SCALARS = 16_000_000


@dataclass(frozen=True)
class Source:
    """A zoo, its usable members, and which parts of its split are taken from it."""

    zoo: Zoo
    population: Population
    parts: tuple[str, ...] = PARTS


@dataclass(frozen=True)
class _Drawn:
    """The states drawn from one source, one entry or row per state.

    ``row`` is the member's row of the population, ``epoch`` the checkpoint.
    """

    source: Source
    row: np.ndarray
    epoch: np.ndarray
    selections: dict[Selection, np.ndarray]

    def __len__(self) -> int:
        return len(self.row)

    @property
    def members(self) -> pd.DataFrame:
        return self.source.population.members.iloc[self.row].reset_index(drop=True)

    @property
    def metrics(self) -> pd.DataFrame:
        import pandas as pd

        index = pd.MultiIndex.from_arrays([self.members["member"], self.epoch], names=["member", "epoch"])
        return self.source.population.metrics.reindex(index).reset_index()


def collect_states(
    sources: Sequence[Source], feature_sets: Sequence[FeatureSet], targets: Sequence[str], seed: int, progress: Progress
) -> tuple[ProbeStates, list[str]]:
    """Draw states, read their weights, and compute every feature set on exactly the same ones.

    What a feature set learns (principal components), it learns from the training states of usable members alone.

    Args:
        sources: one zoo with all parts, or one to fit on and one to test on; of one layout.
        feature_sets: what to compute.
        targets: only these; all that vary in the first zoo where empty.
        seed: of the draw and of what is learnt.
        progress: called while states are read.

    Returns:
        The states, and the names of targets left out because they do not vary in the first zoo.

    Raises:
        InputError: an unknown target, or no target that varies.
    """
    import pandas as pd

    drawn = [_draw(source, seed) for source in sources]
    first = np.arange(sum(map(len, drawn))) < len(drawn[0])
    members = pd.concat([each.members for each in drawn], ignore_index=True, join="inner")
    metrics = pd.concat([each.metrics for each in drawn], ignore_index=True, join="inner")
    wanted, constant = collect_targets(members, metrics, targets, among=first)
    if not wanted:
        name = sources[0].zoo.header.name
        raise InputError(f"none of {', '.join(constant)} varies in zoo {name!r}: there is nothing to probe.")
    offsets = np.cumsum([0, *(len(source.population.members) for source in sources)])
    member = np.concatenate([each.row + offset for each, offset in zip(drawn, offsets, strict=False)])
    part = np.concatenate([each.source.population.part[each.row] for each in drawn])
    columns = _read(drawn, feature_sets, progress)
    usable = usable_states(columns.values(), member)
    progress("fitting feature sets", 0, len(feature_sets))
    return ProbeStates(
        features=_learn(feature_sets, columns, usable & (part == "train"), usable, seed),
        member=member,
        part=part,
        targets=wanted,
        selections={
            selection: usable & np.concatenate([each.selections[selection] for each in drawn])
            for selection in SELECTIONS
        },
    ), constant


def _draw(source: Source, seed: int) -> _Drawn:
    population, checkpoints = source.population, np.asarray(source.zoo.checkpoints)
    every, final = draw_states(population.part, len(checkpoints), source.zoo.header.num_parameters, seed)
    states = np.union1d(every, final)
    states = states[np.isin(population.part[states // len(checkpoints)], source.parts)]
    row = states // len(checkpoints)
    of_epochs = {"final": np.isin(states, final), "all": np.isin(states, every)}
    return _Drawn(
        source=source,
        row=row,
        epoch=checkpoints[states % len(checkpoints)],
        selections={
            selection: of_epochs[selection.epochs] & (population.above_chance[row] | (selection.members == "all"))
            for selection in SELECTIONS
        },
    )


def _read(drawn: Sequence[_Drawn], feature_sets: Sequence[FeatureSet], progress: Progress) -> dict[Compute, np.ndarray]:
    """Read states in chunks and compute each distinct map of weights to columns ``[n, columns]`` once."""
    total, done = sum(map(len, drawn)), 0
    parts: dict[Compute, list[np.ndarray]] = {feature_set.compute: [] for feature_set in feature_sets}
    for each in drawn:
        zoo, ids = each.source.zoo, each.members["member"].tolist()
        chunk = max(1, _CHUNK_SCALARS // zoo.header.num_parameters)
        for start in range(0, len(each), chunk):
            progress("reading states", done + start, total)
            weights = zoo.states(ids[start : start + chunk], each.epoch[start : start + chunk].tolist())
            for compute, chunks in parts.items():
                chunks.append(compute(weights, zoo.layout))
        done += len(each)
    progress("reading states", total, total)
    return {compute: np.concatenate(chunks) for compute, chunks in parts.items()}


def _learn(
    feature_sets: Sequence[FeatureSet],
    columns: dict[Compute, np.ndarray],
    train: np.ndarray,
    usable: np.ndarray,
    seed: int,
) -> dict[str, np.ndarray]:
    """Features ``[n, columns]`` by name: as computed, or by what training states teach, NaN if unusable."""
    features = {}
    for feature_set in feature_sets:
        found = columns[feature_set.compute]
        if feature_set.fit is not None and train.any():
            learnt = feature_set.fit(found[train], seed)(found[usable])
            found = np.full((len(found), learnt.shape[1]), np.nan, dtype=learnt.dtype)
            found[usable] = learnt
        features[feature_set.name] = found
    return features
