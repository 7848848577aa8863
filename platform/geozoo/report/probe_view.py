"""A probe table in words: what the command line and the card print of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geozoo.hyper.probing.features import TITLES
from geozoo.hyper.probing.table import best, chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.hyper.probing.fitting import Kind
    from geozoo.hyper.probing.scores import Score
    from geozoo.hyper.probing.table import ProbeRow, ProbeTable

LOWEST = -100.0


@dataclass(frozen=True)
class Cell:
    """One score: value, 95% interval and Kendall's tau (empty where undefined), the readout, and whether it is best."""

    value: str
    interval: str
    tau: str
    readout: str
    best: bool


@dataclass(frozen=True)
class Line:
    """One target and selection of states: for each feature set its readout that did best on validation, if any.

    ``metric`` names the score.
    """

    target: str
    selection: str
    metric: str
    floor: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class FullLine:
    """One row of a probe table: everything that is known of one readout on one feature set."""

    target: str
    selection: str
    metric: str
    features: str
    cell: Cell
    validation: str
    choice: str
    states: str


def column_titles(table: ProbeTable) -> list[str]:
    """The feature set of every column, in words."""
    return [TITLES[name] for name in _columns(table)]


def table_lines(table: ProbeTable) -> list[Line]:
    """One line per target and selection, one cell per feature set; the best of a line is the best of those shown."""
    lines = []
    for (target, selection), rows in table.groups().items():
        shown = chosen(rows)
        winners = best(list(shown.values()))
        cells = {name: _cell(row, row in winners) for name, row in shown.items()}
        lines.append(
            Line(
                target=describe_name(target),
                selection=selection.describe(),
                metric=describe_metric(rows[0].kind),
                floor=describe_floor(rows[0].floor, rows[0].kind),
                cells=tuple(cells.get(name) for name in _columns(table)),
            )
        )
    return lines


def full_lines(table: ProbeTable) -> list[FullLine]:
    """Every row; the best of a target and selection is the best of all feature sets and readouts."""
    lines = []
    for (target, selection), rows in table.groups().items():
        winners = best(rows)
        lines += [
            FullLine(
                target=describe_name(target),
                selection=selection.describe(),
                metric=describe_metric(row.kind),
                features=TITLES[row.features],
                cell=_cell(row, row in winners),
                validation=describe_number(row.validation),
                choice=row.choice,
                states=f"{row.train_states:,} / {row.validation_states:,} / {row.test_states:,}",
            )
            for row in rows
        ]
    return lines


def caption(table: ProbeTable) -> list[str]:
    """The sentences that a reader of the scores needs."""
    sentences = [
        "Scores on held-out members: R² for numbers, accuracy for classes, 95% intervals by bootstrap over members, "
        "Kendall's tau-b (τ). The floor is what a constant guess reaches; the best of a row is bold where it is above.",
        "Readouts are ridge on raw and on scaled features or a softmax layer, boosted trees, and a small perceptron "
        "(MLP); of each feature set the one shown did best on validation members.",
        describe_split(table.split, table.split_members, table.test_zoo),
        _left_out(table),
    ]
    return sentences + describe_constant(table.constant) + list(table.notes)


def describe_split(split: str, split_members: dict[str, int], test_zoo: str) -> str:
    """How members were split, and whose the test members are."""
    parts = ", ".join(f"{count} {name}" for name, count in split_members.items())
    elsewhere = f", the test members of zoo {test_zoo}" if test_zoo else ""
    by = "cell of hyper-parameters" if split == "cell" else split
    return f"Split by {by}: {parts} members{elsewhere}; every choice is made on validation members."


def describe_constant(constant: Sequence[str]) -> list[str]:
    """Which targets are left out, if any."""
    return [f"Not probed because they do not vary: {', '.join(constant)}."] if constant else []


def describe_name(target: str) -> str:
    """A target in words."""
    return target.replace("_", " ")


def describe_metric(kind: Kind) -> str:
    """The score of a kind of target."""
    return "accuracy" if kind == "classification" else "R²"


def describe_floor(floor: float, kind: Kind) -> str:
    """What a constant guess reaches."""
    return f"{floor:.2f}" if kind == "classification" else "0"


def describe_number(value: float | None) -> str:
    """A score with two decimals; a dash where it is not defined."""
    if value is None:
        return "–"
    if value < LOWEST:
        return f"< {LOWEST:.0f}"
    return f"{value:z.2f}" if abs(value) < 10 else f"{value:.0f}"


def _left_out(table: ProbeTable) -> str:
    chance = f"a final test accuracy of at least {table.chance_threshold:.0%}"
    near = f"{table.near_chance} are not" if table.near_chance else "all are"
    return f"Left out: {table.diverged} diverged members. Members above chance have {chance}: {near}."


def _columns(table: ProbeTable) -> list[str]:
    present = {row.features for row in table.rows}
    return [name for name in TITLES if name in present]


def _cell(row: ProbeRow, is_best: bool) -> Cell:
    tau = "" if row.tau is None or row.tau.value is None else describe_number(row.tau.value)
    return Cell(describe_number(row.score.value), _interval(row.score), tau, row.readout, is_best)


def _interval(score: Score) -> str:
    if score.low is None or score.high is None:
        return ""
    return f"{describe_number(score.low)} to {describe_number(score.high)}"
