"""Low-label curves: how well readouts do that know the property of few models only."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import InputError
from geozoo.hyper.probing.features import DEFAULT_FEATURES
from geozoo.hyper.probing.fits import fit_all
from geozoo.hyper.probing.gather import gather
from geozoo.hyper.probing.scores import accuracy_score, r2_score
from geozoo.hyper.probing.table import Selection
from geozoo.hyper.splits import PARTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from geozoo.hyper.probing.features import Encoder
    from geozoo.hyper.probing.fits import Fit
    from geozoo.hyper.probing.fitting import Kind
    from geozoo.hyper.probing.states import ProbeStates, Progress
    from geozoo.hyper.splits import SplitBy
    from geozoo.store import Zoo

DRAWS = 5
LEAST_VALIDATION = 2


@dataclass(frozen=True)
class LabelRow:
    """Test scores of one feature set for one target with so many labelled training members.

    ``scores`` has one entry per draw of members among whom the target varies, R2 or accuracy (``None`` where not
    defined), each of the readout in ``readouts`` that the labelled validation members chose; ``floor`` is the mean of
    what a constant guess reaches.
    """

    target: str
    kind: Kind
    selection: Selection
    features: str
    labels: int
    scores: tuple[float | None, ...]
    readouts: tuple[str, ...]
    floor: float

    @property
    def mean(self) -> float | None:
        """Mean over the draws; ``None`` unless all are defined."""
        values = [score for score in self.scores if score is not None]
        return float(np.mean(values)) if values and len(values) == len(self.scores) else None

    @property
    def spread(self) -> float | None:
        """Standard deviation over the draws (``n - 1``); ``None`` unless all are defined and there are two."""
        return None if self.mean is None or len(self.scores) < 2 else float(np.std(np.array(self.scores), ddof=1))


@dataclass(frozen=True)
class LabelTable:
    """The curves of all feature sets and targets, and how they were drawn.

    ``validation_labels`` says how many labelled validation members go with each number of training members.
    """

    rows: tuple[LabelRow, ...]
    labels: tuple[int, ...]
    validation_labels: dict[int, int]
    draws: int
    split: str
    test_zoo: str
    split_members: dict[str, int]
    constant: tuple[str, ...]
    notes: tuple[str, ...]
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """The table as JSON values."""
        rows = [
            asdict(row) | {"selection": row.selection._asdict(), "mean": row.mean, "spread": row.spread}
            for row in self.rows
        ]
        return asdict(self) | {"rows": rows}


def label_curves(
    zoo: Zoo,
    labels: Sequence[int],
    *,
    features: Sequence[str] = DEFAULT_FEATURES,
    split: SplitBy = "member",
    targets: Sequence[str] = (),
    encoder: Encoder | None = None,
    test_zoo: Zoo | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress | None = None,
) -> LabelTable:
    """Score readouts fitted on the states of few labelled members, as ``geozoo.hyper.probing.probe.probe`` does on all.

    Members are drawn from the training part, the smaller draws within the larger ones, several times. Validation
    members are drawn along in the proportion of the split, two at least, since choosing by them needs their labels
    too. What needs no label, principal components and a trained model, still knows all training members. A model has
    one state, its final epoch; a target that does not vary there (the epoch) is read from states of all epochs.

    Args:
        zoo: as in ``probe``, and so are all that are not said here.
        labels: numbers of labelled training members.
        features: as in ``probe``.
        split: as in ``probe``.
        targets: as in ``probe``.
        encoder: as in ``probe``.
        test_zoo: as in ``probe``.
        draws: how often members are drawn.
        seed: of all draws and of the readouts.
        progress: as in ``probe``.

    Raises:
        InputError: as there, or a number of labels below 2 or above the number of training members.
    """
    report = progress or (lambda *_: None)
    gathered = gather(zoo, features, split, targets, encoder, test_zoo, seed, report)
    states = gathered.states
    along = _validation_labels(states, labels)
    total = draws * len(along)
    found: dict[tuple[str, str, int], list[tuple[Fit, float | None]]] = {}
    for done, (count, labelled) in enumerate(labelled_states(states, along, draws, seed)):
        report(f"fitting on {count} labels, draw {done // len(along) + 1} of {draws}", done, total)
        for narrowed in _narrowed(labelled, states):
            for fit, score in _best_fits(narrowed, seed):
                found.setdefault((fit.target.name, fit.features, count), []).append((fit, score))
    report("fitting on labels", total, total)
    if not found:
        raise InputError(gathered.too_few)
    return LabelTable(
        rows=tuple(_row(key, fits) for key, fits in sorted(found.items(), key=lambda item: _place(item[0], states))),
        labels=tuple(along),
        validation_labels=along,
        draws=draws,
        split=split,
        test_zoo=test_zoo.header.name if test_zoo else "",
        split_members=gathered.split_members,
        constant=tuple(gathered.constant),
        notes=tuple(gathered.notes),
        seed=seed,
    )


def labelled_states(
    states: ProbeStates, along: Mapping[int, int], draws: int, seed: int
) -> Iterator[tuple[int, ProbeStates]]:
    """The number of labels and the states of every draw; the smaller draws lie within the larger ones.

    Args:
        states: of all members.
        along: numbers of training members, and of validation members that go with each.
        draws: how often members are drawn.
        seed: of the draws.
    """
    for draw in range(draws):
        train, validation = (
            np.random.default_rng([seed, draw, number]).permutation(_members(states, part))
            for number, part in enumerate(PARTS[:2])
        )
        for count, others in along.items():
            kept = np.isin(states.member, np.concatenate([train[:count], validation[:others]]))
            yield count, replace(states, part=np.where(kept | (states.part == "test"), states.part, ""))


def _validation_labels(states: ProbeStates, labels: Sequence[int]) -> dict[int, int]:
    """How many validation members go with each number of training members, ascending."""
    train, validation = (len(_members(states, part)) for part in PARTS[:2])
    counts = sorted(set(labels))
    if not counts or counts[0] < 2 or counts[-1] > train:
        raise InputError(
            f"{', '.join(map(str, labels)) or 'no'} labels cannot be drawn from {train} training members: give "
            f"numbers from 2 to {train}."
        )
    share = validation / train
    return {count: min(validation, max(LEAST_VALIDATION, round(share * count))) for count in counts}


def _members(states: ProbeStates, part: str) -> np.ndarray:
    """Numbers of the members of a part that can be used."""
    usable = np.any(list(states.selections.values()), axis=0)
    return np.unique(states.member[usable & (states.part == part)])


def _narrowed(states: ProbeStates, whole: ProbeStates) -> list[ProbeStates]:
    """The states at the final epoch for targets that vary there among all members, those of all epochs for others."""
    final, every = (Selection(epochs, "all") for epochs in ("final", "all"))
    train = whole.selections[final] & (whole.part == "train")
    varying = [target for target in states.targets if len(np.unique(target.values[train & target.present])) > 1]
    others = [target for target in states.targets if target not in varying]
    return [
        replace(states, targets=targets, selections={selection: states.selections[selection]})
        for selection, targets in ((final, varying), (every, others))
        if targets
    ]


def _best_fits(states: ProbeStates, seed: int) -> Iterator[tuple[Fit, float | None]]:
    """For each target and feature set the fit with the best validation score, and its test score."""
    best: dict[tuple[str, str], tuple[float, Fit]] = {}
    for fit in fit_all(states, seed, lambda *_: None):
        key = fit.target.name, fit.features
        score = _score(fit, fit.validation, fit.predicted.validation, states.member)
        value = float("-inf") if score is None else score
        if key not in best or value > best[key][0]:
            best[key] = value, fit
    for _, fit in best.values():
        yield fit, _score(fit, fit.test, fit.predicted.test, states.member)


def _score(fit: Fit, rows: np.ndarray, guess: np.ndarray, member: np.ndarray) -> float | None:
    measure = r2_score if fit.target.kind == "regression" else accuracy_score
    return measure(fit.target.values[rows], guess, member[rows], 0).value


def _row(key: tuple[str, str, int], fits: list[tuple[Fit, float | None]]) -> LabelRow:
    first = fits[0][0]
    return LabelRow(
        target=key[0],
        kind=first.target.kind,
        selection=first.selection,
        features=key[1],
        labels=key[2],
        scores=tuple(score for _, score in fits),
        readouts=tuple(fit.readout for fit, _ in fits),
        floor=float(np.mean([fit.floor for fit, _ in fits])),
    )


def _place(key: tuple[str, str, int], states: ProbeStates) -> tuple[int, int, int]:
    """Order of rows: targets and feature sets as they came, then labels."""
    return [target.name for target in states.targets].index(key[0]), list(states.features).index(key[1]), key[2]
