"""The scores of decoders as a table: what the command line prints and READMEs show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geozoo.hyper.decoding.decoded_scores import over_seeds
from geozoo.hyper.probing.scores import Score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table
    from rich.text import Text

    from geozoo.hyper.decoding.decoded_scores import DecodedScores, Spread

NOTHING = "–"
NAME_WIDTH = 24
BORDERS = 3
"""What rich puts around a cell: a space on either side and a line."""


@dataclass(frozen=True)
class Column:
    """One score: its name in `DecodedScores.values`, its heading, and the value that is best, ``None`` for the largest.

    ``percent`` shows a share as a percentage.
    """

    name: str
    title: str
    percent: bool = True
    ideal: float | None = None


COLUMNS = (
    Column("r2", "R²", percent=False),
    Column("agreement", "agreement"),
    Column("agreement_where_wrong", "where the original is wrong"),
    Column("accuracy", "accuracy"),
    Column("identified_by_agreement", "identified by agreement"),
    Column("identified_by_logits", "identified by logits"),
    Column("weight_diversity", "diversity of weights", ideal=1),
    Column("answer_diversity", "diversity of answers", ideal=1),
)


@dataclass(frozen=True)
class Cell:
    """One score, the interval or range beside it (empty where there is none), and whether it is the best."""

    value: str
    interval: str
    best: bool

    def __str__(self) -> str:
        return f"{self.value} ({self.interval})" if self.interval else self.value


def table_lines(decoders: Mapping[str, Sequence[DecodedScores]]) -> list[tuple[str, list[Cell]]]:
    """Decoder and cells, one for each of `COLUMNS`; ``decoders`` maps a name to its runs, one for each seed.

    Of one run a cell shows the 95 % interval over members, of several their mean with the smallest and the largest.
    Best is what prints best, several decoders where they print alike: the largest, or for diversity the nearest to 1.
    """
    spreads = {name: over_seeds(runs) for name, runs in decoders.items()}
    cells: dict[str, list[Cell]] = {name: [] for name in decoders}
    for column in COLUMNS:
        means = {name: _printed(spread[column.name], column) for name, spread in spreads.items()}
        merits = [_merit(mean, column) for mean in means.values() if mean is not None]
        for name, mean in means.items():
            best = mean is not None and _merit(mean, column) == max(merits)
            value = NOTHING if mean is None else _number(mean, column)
            cells[name].append(Cell(value, _interval(decoders[name], spreads[name][column.name], column), best))
    return list(cells.items())


def caption(decoders: Mapping[str, Sequence[DecodedScores]]) -> str:
    """The sentences that a reader of the table needs."""
    runs = next(iter(decoders.values()))
    first, seeds = runs[0], len(runs)
    accuracy = first.original_accuracy.value
    beside = f"mean of {seeds} seeds and their range" if seeds > 1 else "95% intervals by bootstrap over members"
    wrong = "" if accuracy is None else f" The originals have an accuracy of {accuracy:.1%}."
    return (
        f"{first.states:,} held-out states, {first.images:,} images that no decoder has learnt from; {beside}.{wrong} "
        "R² is relative to the training mean; agreement is the share of images with the original's prediction. "
        f"Identified is the share of {first.candidates} members whose decoded network is nearest to its own original, "
        f"{1 / first.candidates:.0%} by chance. Diversity is the mean distance or disagreement of two decoded "
        "members, relative to their originals. The best of a column is bold: the largest, for diversity the nearest to "
        "100%."
    )


def markdown_table(decoders: Mapping[str, Sequence[DecodedScores]]) -> str:
    """The table as Markdown, winners bold."""
    rows = [["decoder", *(column.title for column in COLUMNS)], ["---"] * (len(COLUMNS) + 1)]
    for name, cells in table_lines(decoders):
        rows.append([name, *(f"**{cell}**" if cell.best else str(cell) for cell in cells)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def terminal_tables(decoders: Mapping[str, Sequence[DecodedScores]], width: int) -> list[Table]:
    """The scores in tables that fit a terminal of ``width`` characters: winners bold, intervals dim below them."""
    from rich.text import Text

    rows = {
        name: [
            Text.assemble((cell.value, "bold" if cell.best else ""), (f"\n{cell.interval}".rstrip(), "dim"))
            for cell in cells
        ]
        for name, cells in table_lines(decoders)
    }
    return _tables("decoder", [column.title for column in COLUMNS], rows, width)


def layers_markdown(decoders: Mapping[str, Sequence[DecodedScores]]) -> str:
    """R2 of every tensor by decoder, as Markdown."""
    titles, rows = _layers(decoders)
    return "\n".join(f"| {' | '.join(row)} |" for row in [titles, ["---"] * len(titles), *rows])


def layers_tables(decoders: Mapping[str, Sequence[DecodedScores]], width: int) -> list[Table]:
    """R2 of every tensor by decoder, in tables that fit a terminal of ``width`` characters."""
    from rich.text import Text

    titles, rows = _layers(decoders)
    cells = {name: [Text(value) for value in values] for name, *values in rows}
    return _tables(titles[0], [title.replace(".", ".\n") for title in titles[1:]], cells, width)


def _tables(corner: str, titles: Sequence[str], rows: Mapping[str, Sequence[Text]], width: int) -> list[Table]:
    """One table, or several with the same first column where the columns do not fit beside each other.

    Titles and the names of rows may break between words, cells at their own lines alone.
    """
    from rich.table import Table

    first = max(_longest([corner, *" ".join(rows).split()]), min(NAME_WIDTH, _longest(list(rows))))
    needed = [
        _longest([*title.split(), *"\n".join(cells[place].plain for cells in rows.values()).split("\n")])
        for place, title in enumerate(titles)
    ]
    tables: list[Table] = []
    for group in _groups(needed, width - 1 - first - BORDERS):
        table = Table()
        table.add_column(corner, width=first)
        for place in group:
            table.add_column(titles[place], width=needed[place])
        for name, cells in rows.items():
            table.add_row(name, *(cells[place] for place in group))
        tables.append(table)
    return tables


def _groups(needed: Sequence[int], room: int) -> list[list[int]]:
    """Columns that are ``needed`` wide, in turn as many to a table as there is room for, at least one."""
    groups: list[list[int]] = [[]]
    for place in range(len(needed)):
        if groups[-1] and sum(needed[one] + BORDERS for one in [*groups[-1], place]) > room:
            groups.append([])
        groups[-1].append(place)
    return groups


def _longest(words: Sequence[str]) -> int:
    return max(map(len, words))


def _layers(decoders: Mapping[str, Sequence[DecodedScores]]) -> tuple[list[str], list[list[str]]]:
    """Titles and rows: the mean over seeds of R2 of every tensor, for decoders that decode."""
    tensors = list(next(iter(decoders.values()))[0].r2_by_tensor)
    rows = []
    for name, runs in decoders.items():
        columns = [[run.r2_by_tensor[tensor] for run in runs] for tensor in tensors]
        known = [[value for value in column if value is not None] for column in columns]
        rows.append([name, *(f"{sum(column) / len(column):z.2f}" if column else NOTHING for column in known)])
    return ["R² of", *tensors], rows


def _printed(spread: Spread | None, column: Column) -> float | None:
    """The mean as far as it is printed."""
    return None if spread is None else round(spread.mean, 3 if column.percent else 2)


def _merit(mean: float, column: Column) -> float:
    return mean if column.ideal is None else -abs(mean - column.ideal)


def _number(value: float, column: Column) -> str:
    if column.percent:
        return f"{value:.1%}"
    return f"{value:z.2f}" if abs(value) < 100 else f"{value:.0f}"


def _interval(runs: Sequence[DecodedScores], spread: Spread | None, column: Column) -> str:
    if len(runs) > 1:
        return "" if spread is None else f"{_number(spread.low, column)} to {_number(spread.high, column)}"
    score = getattr(runs[0], column.name)
    if not isinstance(score, Score) or score.low is None or score.high is None:
        return ""
    return f"{_number(score.low, column)} to {_number(score.high, column)}"
