"""A probe table in words: what the command line and the card print of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geozoo.hyper.features import FEATURE_SETS
from geozoo.hyper.table import best

if TYPE_CHECKING:
    from geozoo.hyper.scores import Score
    from geozoo.hyper.table import ProbeRow, ProbeTable

LOWEST = -100.0


@dataclass(frozen=True)
class Cell:
    """One score: its value, its 95% interval and Kendall's tau (empty where undefined), and whether it is the best."""

    value: str
    interval: str
    tau: str
    best: bool


@dataclass(frozen=True)
class Line:
    """One target and selection of states; ``metric`` names the score; a cell is ``None`` where a readout has none."""

    target: str
    selection: str
    metric: str
    floor: str
    cells: tuple[Cell | None, ...]


def column_titles(table: ProbeTable) -> list[tuple[str, str]]:
    """Feature set and kind of readout of every column, in words."""
    return [(FEATURE_SETS[features].title, family) for features, family in _columns(table)]


def table_lines(table: ProbeTable) -> list[Line]:
    """One line per target and selection, one cell per column."""
    lines = []
    for (target, selection), rows in table.groups().items():
        winners = best(rows)
        by_column = {(row.features, row.family): _cell(row, row in winners) for row in rows}
        classes = rows[0].kind == "classification"
        lines.append(
            Line(
                target=target.replace("_", " "),
                selection=selection.describe(),
                metric="accuracy" if classes else "R²",
                floor=f"{rows[0].floor:.2f}" if classes else "0",
                cells=tuple(by_column.get(column) for column in _columns(table)),
            )
        )
    return lines


def caption(table: ProbeTable) -> list[str]:
    """The sentences that a reader of the scores needs."""
    parts = ", ".join(f"{count} {name}" for name, count in table.split_members.items())
    sentences = [
        "Scores on held-out members: R² for numbers, accuracy for classes, 95% intervals by bootstrap over members, "
        "Kendall's tau-b (τ). The floor is what a constant guess reaches; the best of a row is bold where it is above.",
        f"Linear is ridge regression for numbers and a softmax layer for classes. Split by {table.split}: {parts} "
        "members; every choice is made on validation members.",
        _left_out(table),
    ]
    if table.constant:
        sentences.append(f"Not probed because they do not vary: {', '.join(table.constant)}.")
    return sentences + list(table.notes)


def _left_out(table: ProbeTable) -> str:
    chance = f"a final test accuracy of at least {table.chance_threshold:.0%}"
    near = f"{table.near_chance} are not" if table.near_chance else "all are"
    return f"Left out: {table.diverged} diverged members. Members above chance have {chance}: {near}."


def _columns(table: ProbeTable) -> list[tuple[str, str]]:
    return sorted(
        {(row.features, row.family) for row in table.rows}, key=lambda c: (list(FEATURE_SETS).index(c[0]), c[1])
    )


def _cell(row: ProbeRow, is_best: bool) -> Cell:
    return Cell(_number(row.score.value), _interval(row.score), _tau(row.tau), is_best)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if value < LOWEST:
        return f"< {LOWEST:.0f}"
    return f"{value:z.2f}" if abs(value) < 10 else f"{value:.0f}"


def _tau(score: Score | None) -> str:
    return "" if score is None or score.value is None else _number(score.value)


def _interval(score: Score) -> str:
    if score.low is None or score.high is None:
        return ""
    return f"{_number(score.low)} to {_number(score.high)}"
