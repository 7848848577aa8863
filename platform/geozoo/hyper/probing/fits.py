"""Fitting every readout on every feature set for every target and selection of states."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from geozoo.hyper.probing.features import EQUIVARIANT
from geozoo.hyper.probing.fitting import Features, Prediction
from geozoo.hyper.probing.readouts import READOUTS
from geozoo.hyper.splits import PARTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from geozoo.hyper.probing.fitting import FitPredict, Readout
    from geozoo.hyper.probing.states import ProbeStates, Progress
    from geozoo.hyper.probing.table import Selection
    from geozoo.hyper.probing.targets import Target
    from geozoo.weights.wiring import Wiring


END_TO_END = ("end to end", "end to end")
"""Family and readout of a network that is trained on the weights themselves."""


@dataclass(frozen=True)
class Fit:
    """One readout fitted on one feature set for one target and selection; row numbers of its states, its predictions.

    ``family`` and ``readout`` name it: see `geozoo.hyper.probing.table.ProbeRow`.

    Where a selection has no validation state, the training states stand in, as published.
    """

    target: Target
    selection: Selection
    features: str
    family: str
    readout: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    predicted: Prediction

    @property
    def floor(self) -> float:
        """What a constant guess reaches: the share of the most frequent training class, 0 for R2."""
        if self.target.kind == "regression":
            return 0.0
        majority = Counter(self.target.values[self.train].tolist()).most_common(1)[0][0]
        return float(np.mean(self.target.values[self.test] == majority))


def fit_all(states: ProbeStates, seed: int, progress: Progress) -> Iterator[Fit]:
    """Fit all combinations, on one thread.

    A target that is constant among the training states of a selection, or a selection without training or test states,
    is passed over, and so is a selection of the same states as an earlier one.
    """
    import sklearn.ensemble  # noqa: F401  limits reach only the thread pools of libraries that are loaded
    from threadpoolctl import threadpool_limits

    jobs = [
        (selection, name, readout)
        for selection in distinct_selections(states.selections)
        for name in states.features
        for readout in READOUTS
        if name != EQUIVARIANT
    ]
    with threadpool_limits(1):  # fits this small lose more to waiting threads on a shared machine than they gain
        for done, (selection, name, readout) in enumerate(jobs):
            progress(f"fitting {readout.title} on {name}, {selection.describe()}", done, len(jobs))
            yield from _fit_selection(states, selection, name, readout, seed)
    if states.wiring is not None:
        for selection in distinct_selections(states.selections):
            yield from _fit_end_to_end(states, selection, states.wiring, seed, progress)
    progress("fitting", len(jobs), len(jobs))


def distinct_selections(selections: Mapping[Selection, np.ndarray]) -> list[Selection]:
    """The selections without those that repeat an earlier one (no member is near chance; one checkpoint only)."""
    masks = {mask.tobytes(): selection for selection, mask in reversed(list(selections.items()))}
    return [selection for selection in selections if selection in masks.values()]


def _fit_selection(states: ProbeStates, selection: Selection, name: str, readout: Readout, seed: int) -> Iterator[Fit]:
    """Fit one readout on one feature set for all targets of its kind, preparing once for all that share states."""
    prepared: dict[bytes, FitPredict] = {}
    for target in states.targets:
        rows = _rows_by_part(states, states.selections[selection] & target.present)
        train, validation, test = rows
        if target.kind != readout.kind or not len(test) or len(np.unique(target.values[train])) < 2:
            continue
        key = np.concatenate(rows).tobytes()
        if key not in prepared:
            prepared[key] = readout.prepare(Features(*(states.features[name][part] for part in rows)), seed)
        predicted = prepared[key](target.values[train], target.values[validation])
        yield Fit(target, selection, name, readout.name, readout.title, train, validation, test, predicted)


def _fit_end_to_end(
    states: ProbeStates, selection: Selection, wiring: Wiring, seed: int, progress: Progress
) -> Iterator[Fit]:
    """Train one equivariant network on the weights of a selection for all its targets."""
    from geozoo.hyper.probing.equivariant import fit_equivariant

    weights = states.features[EQUIVARIANT]
    train, validation, test = rows = _rows_by_part(states, states.selections[selection])
    wanted = [target for target in states.targets if len(np.unique(target.values[train][target.present[train]])) > 1]
    if not wanted or not len(test):
        return
    learned, held_out = ([replace(target, values=target.values[part]) for target in wanted] for part in rows[:2])
    trained = fit_equivariant(
        weights[train], learned, weights[validation], held_out, wiring, seed=seed, progress=progress
    )
    predicted = [trained(weights[part]) for part in rows]
    for target in wanted:
        kept = [target.present[part] for part in rows]
        places = [part[mask] for part, mask in zip(rows, kept, strict=True)]
        values = [of_part[target.name][mask] for of_part, mask in zip(predicted, kept, strict=True)]
        prediction = Prediction(values[1], values[2], f"{trained.epochs} epochs")
        family, readout = END_TO_END
        yield Fit(target, selection, EQUIVARIANT, family, readout, places[0], places[1], places[2], prediction)


def _rows_by_part(states: ProbeStates, mask: np.ndarray) -> list[np.ndarray]:
    """Row numbers of the three parts; training states stand in where there is no validation state."""
    train, validation, test = (np.flatnonzero(mask & (states.part == part)) for part in PARTS)
    return [train, validation if len(validation) else train, test]
