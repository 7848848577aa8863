"""Probes: how well simple readouts predict properties of models from features of their weights."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from geozoo.errors import InputError
from geozoo.hyper.readouts import READOUTS, Features
from geozoo.hyper.scores import accuracy_score, kendall_tau, r2_score
from geozoo.hyper.states import PARTS, collect_states, read_population
from geozoo.hyper.table import ProbeRow, ProbeTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from geozoo.hyper.readouts import FitPredict, Readout
    from geozoo.hyper.scores import Score
    from geozoo.hyper.states import Population, ProbeStates, Progress, SplitBy
    from geozoo.hyper.table import Selection
    from geozoo.hyper.targets import Target
    from geozoo.store import Zoo

FEW_MEMBERS = 20


def probe(
    zoo: Zoo,
    *,
    features: Sequence[str] = ("weights", "stats"),
    split: SplitBy = "member",
    targets: Sequence[str] = (),
    seed: int = 0,
    progress: Progress | None = None,
) -> ProbeTable:
    """Predict test accuracy, generalization gap, epoch and every varying hyper-parameter from weights.

    Every feature set and readout works on exactly the same states. Members, never states, are split into 70 % train,
    15 % validation and 15 % test by a hash of their id; with ``split="seed"`` all members of one seed fall into the
    same part, as zoos that reuse their seeds need. All choices are made on validation states and the scores are of
    test states. Diverged members are left out and counted.

    Args:
        zoo: an open zoo, finished or not; committed members are used.
        features: names in ``geozoo.hyper.features.FEATURE_SETS``.
        split: what is split.
        targets: only these; all where empty.
        seed: of the draw of states, the readouts and the bootstrap; the split depends on the members alone.
        progress: called with what is being done, how much is done, and how much there is.

    Raises:
        InputError: nothing to probe, too few members for three parts, or an unknown name.
    """
    report = progress or (lambda *_: None)
    population = read_population(zoo, split)
    states, constant = collect_states(zoo, population, features, targets, seed, report)
    rows, notes = score_states(states, seed, report)
    if not rows:
        raise InputError(
            f"{len(population.members)} members of zoo {zoo.header.name!r} are too few to probe: "
            f"by {split} they leave a part of the split empty; populate more."
        )
    return ProbeTable(
        rows=tuple(rows),
        split=split,
        split_members={name: int(np.sum(population.part == name)) for name in PARTS},
        diverged=population.diverged,
        near_chance=int(np.sum(~population.above_chance)),
        chance_threshold=population.chance_threshold,
        constant=tuple(constant),
        notes=tuple(_size_notes(population) + notes),
        seed=seed,
    )


def score_states(states: ProbeStates, seed: int, progress: Progress) -> tuple[list[ProbeRow], list[str]]:
    """Fit and score every target, selection, feature set and readout.

    A target that is constant among the training states of a selection, or a selection without training or test states,
    has no row.

    Returns:
        The rows, ordered by target and selection, and a sentence for each selection without rows.
    """
    import sklearn.ensemble  # noqa: F401  limits reach only the thread pools of libraries that are loaded
    from threadpoolctl import threadpool_limits

    rows: list[ProbeRow] = []
    selections = _distinct(states.selections)
    jobs = [(selection, name, readout) for selection in selections for name in states.features for readout in READOUTS]
    with threadpool_limits(1):  # fits this small lose more to waiting threads on a shared machine than they gain
        for done, (selection, name, readout) in enumerate(jobs):
            progress(f"fitting {readout.title} on {name}", done, len(jobs))
            rows += _score_selection(states, selection, name, readout, seed)
    progress("fitting", len(jobs), len(jobs))
    notes = [
        f"Not scored, since a part of the split has too few states: {selection.describe()}."
        for selection in selections
        if not any(row.selection == selection for row in rows)
    ]
    order = {target.name: place for place, target in enumerate(states.targets)}
    return sorted(rows, key=lambda row: (order[row.target], selections.index(row.selection))), notes


def _distinct(selections: Mapping[Selection, np.ndarray]) -> list[Selection]:
    """The selections without those that repeat an earlier one (no member is near chance; one checkpoint only)."""
    masks = {mask.tobytes(): selection for selection, mask in reversed(list(selections.items()))}
    return [selection for selection in selections if selection in masks.values()]


def _score_selection(
    states: ProbeStates, selection: Selection, name: str, readout: Readout, seed: int
) -> Iterator[ProbeRow]:
    """Score one readout on one feature set for all targets of its kind, preparing once for all that share states."""
    prepared: dict[bytes, FitPredict] = {}
    for target in states.targets:
        rows = _rows_by_part(states, states.selections[selection] & target.present)
        train, validation, test = rows
        if target.kind != readout.kind or not len(test) or len(np.unique(target.values[train])) < 2:
            continue
        key = np.concatenate(rows).tobytes()
        if key not in prepared:
            prepared[key] = readout.prepare(Features(*(states.features[name][part] for part in rows)), seed)
        predicted, choice = prepared[key](target.values[train], target.values[validation])
        score, tau, floor = _score(target, rows, predicted, states.member[test], seed)
        yield ProbeRow(
            target=target.name,
            kind=target.kind,
            selection=selection,
            features=name,
            family=readout.name,
            readout=readout.title,
            score=score,
            tau=tau,
            floor=floor,
            choice=choice,
            train_states=len(train),
            validation_states=len(validation),
            test_states=len(test),
            test_members=len(np.unique(states.member[test])),
        )


def _rows_by_part(states: ProbeStates, mask: np.ndarray) -> list[np.ndarray]:
    """Row numbers of the three parts; as published, training states stand in where there is no validation state."""
    train, validation, test = (np.flatnonzero(mask & (states.part == part)) for part in PARTS)
    return [train, validation if len(validation) else train, test]


def _score(
    target: Target, rows: list[np.ndarray], predicted: np.ndarray, member: np.ndarray, seed: int
) -> tuple[Score, Score | None, float]:
    """Score, Kendall's tau for regression, and the floor of a constant guess."""
    train, _, test = rows
    truth = target.values[test]
    if target.kind == "regression":
        return r2_score(truth, predicted, member, seed), kendall_tau(truth, predicted, member, seed), 0.0
    majority = Counter(target.values[train].tolist()).most_common(1)[0][0]
    return accuracy_score(truth, predicted, member, seed), None, float(np.mean(truth == majority))


def _size_notes(population: Population) -> list[str]:
    """What the reader must know about few members."""
    count = len(population.members)
    if count >= FEW_MEMBERS:
        return []
    return [
        f"{count} members are too few for a meaningful score: read the intervals, or populate at least {FEW_MEMBERS}."
    ]
