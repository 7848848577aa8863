"""What the rows of a sweep say together: means and deviations over seeds, and paired differences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from geozoo.ssl.downstream.experiment import Method

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.ssl.downstream.rows import Candidate, RowResult

PRETRAINED: tuple[Method, ...] = ("probe", "finetune")
CONFIDENCE = 0.95


class Spread(BaseModel):
    """Mean and sample standard deviation (0 for one value) of some values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float
    std: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Over any number of values, at least one."""
        mean = sum(values) / len(values)
        squares = sum((value - mean) ** 2 for value in values)
        return cls(mean=mean, std=math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else 0.0)


class Cell(BaseModel):
    """One method at one fraction: test scores of the candidates that validation chose, over seeds.

    Attributes:
        method: which.
        fraction: of the training labels.
        labels: chips, the most of a seed.
        updates: steps of the optimiser; 0 where there is none.
        seeds: how many there are.
        rates: that validation chose, by seed.
        mean: of the main score.
        std: its sample standard deviation.
        overall: see `geozoo.ssl.downstream.metrics.Score`.
        average: the same.
        per_class: None for a class that does not occur.
        seconds: that all its rows took together, every candidate included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method
    fraction: float
    labels: int
    updates: int
    seeds: int
    rates: tuple[float, ...]
    mean: float
    std: float
    overall: Spread
    average: Spread
    per_class: tuple[Spread | None, ...]
    seconds: float


class Difference(BaseModel):
    """Pre-trained minus from scratch on the same seeds: mean, and a paired 95 % interval by Student's t.

    Of probe and fine-tuning the one with the better validation score counts, for every seed anew; ``chosen`` says how
    often each did.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fraction: float
    mean: float
    low: float
    high: float
    count: int
    chosen: dict[str, int]


class Table(BaseModel):
    """A cell for every method and fraction, in the order of fraction and method, and a difference a fraction."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cells: tuple[Cell, ...]
    differences: tuple[Difference, ...]


def tabulate(results: Sequence[RowResult]) -> Table:
    """The table of results, at least one."""
    keys = sorted({(one.row.fraction, one.row.method) for one in results})
    cells = [_cell([one for one in results if (one.row.fraction, one.row.method) == key]) for key in keys]
    return Table(cells=tuple(cells), differences=tuple(_differences(results)))


def _cell(rows: Sequence[RowResult]) -> Cell:
    scores = [one.chosen.test for one in rows]
    main = Spread.of([score.main for score in scores])
    return Cell(
        method=rows[0].row.method,
        fraction=rows[0].row.fraction,
        labels=max(one.labels for one in rows),
        updates=max(one.updates for one in rows),
        seeds=len(rows),
        rates=tuple(one.chosen.rate for one in rows),
        mean=main.mean,
        std=main.std,
        overall=Spread.of([score.overall for score in scores]),
        average=Spread.of([score.average for score in scores]),
        per_class=tuple(_known(seeds) for seeds in zip(*(score.per_class for score in scores), strict=True)),
        seconds=sum(one.seconds for one in rows),
    )


def _differences(results: Sequence[RowResult]) -> list[Difference]:
    """At every fraction where two seeds or more have probe or fine-tuning as well as scratch."""
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
        found.append(
            Difference(
                fraction=fraction,
                mean=spread.mean,
                low=spread.mean - reach,
                high=spread.mean + reach,
                count=len(pairs),
                chosen={name: names.count(name) for name in PRETRAINED if name in names},
            )
        )
    return found


def _validation(candidate: Candidate) -> float:
    return candidate.validation.main


def _known(seeds: Sequence[float | None]) -> Spread | None:
    known = [value for value in seeds if value is not None]
    return Spread.of(known) if known else None
