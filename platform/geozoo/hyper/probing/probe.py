"""Probes: how well simple readouts predict properties of models from features of their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geozoo.errors import InputError
from geozoo.hyper.probing.features import DEFAULT_FEATURES
from geozoo.hyper.probing.fits import distinct_selections, fit_all
from geozoo.hyper.probing.gather import gather
from geozoo.hyper.probing.scores import accuracy_score, kendall_tau, r2_score
from geozoo.hyper.probing.table import ProbeRow, ProbeTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.hyper.probing.features import Encoder
    from geozoo.hyper.probing.fits import Fit
    from geozoo.hyper.probing.states import ProbeStates, Progress
    from geozoo.hyper.splits import SplitBy
    from geozoo.store import Zoo


def probe(
    zoo: Zoo,
    *,
    features: Sequence[str] = DEFAULT_FEATURES,
    split: SplitBy = "member",
    targets: Sequence[str] = (),
    encoder: Encoder | None = None,
    test_zoo: Zoo | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> ProbeTable:
    """Predict test accuracy, generalization gap, epoch and every varying hyper-parameter from weights.

    Every feature set and readout works on exactly the same states. Members, never states, are split into 70 % train,
    15 % validation and 15 % test (``geozoo.hyper.splits``). All choices are made on validation states, whatever a
    feature set learns is learnt from training states, and the scores are of test states. Diverged members are left out
    and counted.

    Args:
        zoo: an open zoo, finished or not; committed members are used.
        features: names in ``geozoo.hyper.probing.features.FEATURE_NAMES``.
        split: what is never divided: a member, all members of a seed, or all of a cell of hyper-parameters.
        targets: only these; all that vary where empty.
        encoder: a trained model, for the feature set ``embedding``.
        test_zoo: another zoo of the same layout whose test members take the place of this zoo's.
        seed: of the draw of states, the readouts and the bootstrap; the split depends on the members alone.
        progress: called with what is being done, how much is done, and how much there is.

    Raises:
        InputError: nothing to probe, too few members for three parts, an unknown name, another layout, or a model that
            was trained on members held out here.
    """
    report = progress or (lambda *_: None)
    gathered = gather(zoo, features, split, targets, encoder, test_zoo, seed, report)
    rows, notes = score_states(gathered.states, seed, report)
    if not rows:
        raise InputError(gathered.too_few)
    populations = gathered.populations
    return ProbeTable(
        rows=tuple(rows),
        split=split,
        test_zoo=test_zoo.header.name if test_zoo else "",
        split_members=gathered.split_members,
        diverged=sum(population.diverged for population in populations),
        near_chance=sum(int(np.sum(~population.above_chance)) for population in populations),
        chance_threshold=populations[0].chance_threshold,
        constant=tuple(gathered.constant),
        notes=tuple(gathered.notes + notes),
        seed=seed,
    )


def score_states(states: ProbeStates, seed: int, progress: Progress) -> tuple[list[ProbeRow], list[str]]:
    """Fit and score every target, selection, feature set and readout (``geozoo.hyper.probing.fits``).

    Returns:
        The rows, ordered by target and selection, and a sentence for each selection without rows.
    """
    rows = [_score_fit(fit, states.member, seed) for fit in fit_all(states, seed, progress)]
    selections = distinct_selections(states.selections)
    notes = [
        f"Not scored, since a part of the split has too few states: {selection.describe()}."
        for selection in selections
        if not any(row.selection == selection for row in rows)
    ]
    order = {target.name: place for place, target in enumerate(states.targets)}
    return sorted(rows, key=lambda row: (order[row.target], selections.index(row.selection))), notes


def _score_fit(fit: Fit, member: np.ndarray, seed: int) -> ProbeRow:
    target, truth, members = fit.target, fit.target.values[fit.test], member[fit.test]
    regression = target.kind == "regression"
    measure = r2_score if regression else accuracy_score
    validation = measure(target.values[fit.validation], fit.predicted.validation, member[fit.validation], seed)
    return ProbeRow(
        target=target.name,
        kind=target.kind,
        selection=fit.selection,
        features=fit.features,
        family=fit.family,
        readout=fit.readout,
        score=measure(truth, fit.predicted.test, members, seed),
        tau=kendall_tau(truth, fit.predicted.test, members, seed) if regression else None,
        floor=fit.floor,
        validation=validation.value,
        choice=fit.predicted.choice,
        train_states=len(fit.train),
        validation_states=len(fit.validation),
        test_states=len(fit.test),
        test_members=len(np.unique(members)),
    )
