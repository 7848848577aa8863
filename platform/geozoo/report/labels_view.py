"""Low-label curves in words: what the command line prints of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geozoo.hyper.probing.features import TITLES
from geozoo.report.probe_view import (
    describe_constant,
    describe_floor,
    describe_metric,
    describe_name,
    describe_number,
    describe_split,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from geozoo.hyper.probing.labels import LabelRow, LabelTable


@dataclass(frozen=True)
class CurveLine:
    """One target and feature set: score and spread for each number of labels, whether it is the best of all sets.

    ``cells`` are pairs of text and best, empty where the score is not defined.
    """

    target: str
    metric: str
    features: str
    floor: str
    cells: tuple[tuple[str, bool], ...]


def curve_lines(table: LabelTable) -> list[CurveLine]:
    """One line per target and feature set, one cell per number of labels."""
    by_line: dict[tuple[str, str], dict[int, LabelRow]] = {}
    for row in table.rows:
        by_line.setdefault((row.target, row.features), {})[row.labels] = row
    winners = {
        (target, labels): _highest(row for row in table.rows if (row.target, row.labels) == (target, labels))
        for target, labels in {(row.target, row.labels) for row in table.rows}
    }
    lines = []
    for (target, features), rows in by_line.items():
        first = next(iter(rows.values()))
        lines.append(
            CurveLine(
                target=describe_name(target),
                metric=describe_metric(first.kind),
                features=TITLES[features],
                floor=describe_floor(first.floor, first.kind),
                cells=tuple(_cell(rows.get(labels), winners.get((target, labels))) for labels in table.labels),
            )
        )
    return lines


def curves_caption(table: LabelTable) -> list[str]:
    """The sentences that a reader of the curves needs."""
    along = ", ".join(f"{table.validation_labels[labels]} to {labels}" for labels in table.labels)
    return [
        f"Mean and standard deviation over {table.draws} draws of labelled training members (the smaller draws within "
        "the larger) of R² for numbers and accuracy for classes on all test members. The best feature set is bold "
        "where it is above the floor of a constant guess.",
        f"Labelled validation members go along ({along}) and choose the readout. Principal components and embeddings "
        "need no labels and know all training members.",
        "A model has one state, its final epoch; the epoch itself is read from states of all epochs.",
        describe_split(table.split, table.split_members, table.test_zoo),
        *describe_constant(table.constant),
        *table.notes,
    ]


def _highest(rows: Iterable[LabelRow]) -> float | None:
    """The highest mean above the floor."""
    return max((row.mean for row in rows if row.mean is not None and row.mean > row.floor), default=None)


def _cell(row: LabelRow | None, highest: float | None) -> tuple[str, bool]:
    if row is None or row.mean is None:
        return "", False
    spread = "" if row.spread is None else f" ± {describe_number(row.spread)}"
    return f"{describe_number(row.mean)}{spread}", row.mean == highest
