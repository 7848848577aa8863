"""What the rows of a sweep say together: means and deviations over seeds, and paired differences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.ssl.downstream.experiment import Method
    from geozoo.ssl.downstream.metrics import Score
    from geozoo.ssl.downstream.rows import Candidate, RowResult

PRETRAINED: tuple[Method, ...] = ("probe", "finetune")
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (0 for one value) of ``count`` values."""

    mean: float
    std: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Over any number of values, at least one."""
        mean = sum(values) / len(values)
        squares = sum((value - mean) ** 2 for value in values)
        return cls(mean, math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else 0.0, len(values))


@dataclass(frozen=True)
class Cell:
    """One method at one fraction: test scores of the candidates that validation chose, over seeds.

    Attributes:
        method: which.
        fraction: of the training labels.
        labels: chips, in the first seed.
        updates: steps of the optimiser; 0 where there is none.
        test: the main score.
        scores: whole test scores, by seed.
    """

    method: Method
    fraction: float
    labels: int
    updates: int
    test: Spread
    scores: tuple[Score, ...]


@dataclass(frozen=True)
class Difference:
    """Pre-trained minus from scratch on the same seeds: mean, and a paired 95 % interval by Student's t.

    Of probe and fine-tuning the one with the better validation score counts, for every seed anew; ``chosen`` says how
    often each did.
    """

    fraction: float
    mean: float
    low: float
    high: float
    count: int
    chosen: dict[str, int]


def tabulate(results: Sequence[RowResult]) -> list[Cell]:
    """A cell for every method and fraction there are results for, in the order of fraction and method."""
    cells = []
    keys = dict.fromkeys((one.row.fraction, one.row.method) for one in results)
    for fraction, method in sorted(keys):
        rows = [one for one in results if (one.row.fraction, one.row.method) == (fraction, method)]
        scores = tuple(one.chosen.test for one in rows)
        spread = Spread.of([score.main for score in scores])
        cells.append(Cell(method, fraction, rows[0].labels, rows[0].updates, spread, scores))
    return cells


def differences(results: Sequence[RowResult]) -> list[Difference]:
    """At every fraction where seeds have probe or fine-tuning as well as scratch."""
    from scipy.stats import t

    found = []
    for fraction in sorted({one.row.fraction for one in results}):
        here = {(one.row.method, one.row.seed): one for one in results if one.row.fraction == fraction}
        pairs: list[tuple[str, float]] = []
        for seed in sorted({seed for method, seed in here if method == "scratch"}):
            ways = [(name, here[name, seed].chosen) for name in PRETRAINED if (name, seed) in here]
            if ways:
                name, best = max(ways, key=lambda way: _validation(way[1]))
                pairs.append((name, best.test.main - here["scratch", seed].chosen.test.main))
        if len(pairs) < 2:
            continue
        spread = Spread.of([gain for _, gain in pairs])
        reach = float(t.ppf(0.5 + CONFIDENCE / 2, len(pairs) - 1)) * spread.std / math.sqrt(len(pairs))
        names = [name for name, _ in pairs]
        chosen: dict[str, int] = {name: names.count(name) for name in PRETRAINED if name in names}
        found.append(Difference(fraction, spread.mean, spread.mean - reach, spread.mean + reach, len(pairs), chosen))
    return found


def _validation(candidate: Candidate) -> float:
    return candidate.validation.main
