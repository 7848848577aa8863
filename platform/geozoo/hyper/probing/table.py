"""The table of probe scores."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

    from geozoo.hyper.probing.fitting import Kind
    from geozoo.hyper.probing.scores import Score

Epochs = Literal["final", "all"]
Members = Literal["all", "above chance"]


class Selection(NamedTuple):
    """Which states are fitted and scored: the final epoch or all; all members or those above chance."""

    epochs: Epochs
    members: Members

    def describe(self) -> str:
        """In words, as in a table of scores."""
        epochs = "final epoch" if self.epochs == "final" else "all epochs"
        return epochs if self.members == "all" else f"{epochs}, above chance"


SELECTIONS = (
    Selection("final", "all"),
    Selection("final", "above chance"),
    Selection("all", "all"),
    Selection("all", "above chance"),
)


@dataclass(frozen=True)
class ProbeRow:
    """The score of one readout on one feature set for one target and one selection of states.

    ``score`` is R2 for regression and accuracy for classification; ``tau`` is Kendall's tau-b (regression only);
    ``floor`` is what a constant guess reaches: the share of the most frequent training class, 0 for R2. ``family`` is
    ``linear``, ``standardised``, ``trees`` or ``mlp``, ``readout`` what it is for this kind of target. ``validation``
    is the score on the validation states, by which a readout is chosen where one is shown; ``choice`` says what was
    chosen on them within the readout; the counts are of states, the last one of test members.
    """

    target: str
    kind: Kind
    selection: Selection
    features: str
    family: str
    readout: str
    score: Score
    tau: Score | None
    floor: float
    validation: float | None
    choice: str
    train_states: int
    validation_states: int
    test_states: int
    test_members: int


@dataclass(frozen=True)
class ProbeTable:
    """All rows of a probe with what is needed to read them.

    ``test_zoo`` names the zoo that the test members are of, empty where it is the probed one; ``split_members`` counts
    the members of the train, validation and test parts; ``constant`` names the targets skipped because they do not
    vary; ``chance_threshold`` is the final test accuracy that a member above chance reaches; ``notes`` are sentences
    for the reader (few members, seeds used again, selections that could not be scored).
    """

    rows: tuple[ProbeRow, ...]
    split: str
    test_zoo: str
    split_members: dict[str, int]
    diverged: int
    near_chance: int
    chance_threshold: float
    constant: tuple[str, ...]
    notes: tuple[str, ...]
    seed: int

    def groups(self) -> dict[tuple[str, Selection], list[ProbeRow]]:
        """Rows by target and selection, in order."""
        grouped: dict[tuple[str, Selection], list[ProbeRow]] = {}
        for row in self.rows:
            grouped.setdefault((row.target, row.selection), []).append(row)
        return grouped

    def to_dict(self) -> dict[str, Any]:
        """The table as JSON values."""
        return asdict(self) | {"rows": [asdict(row) | {"selection": row.selection._asdict()} for row in self.rows]}

    def to_frame(self) -> pd.DataFrame:
        """One line per row, scores and intervals in columns of their own."""
        import pandas as pd

        return pd.json_normalize(self.to_dict()["rows"], sep="_")


def best(rows: list[ProbeRow]) -> list[ProbeRow]:
    """The rows with the highest score, if that is above the floor."""
    scored = [row for row in rows if row.score.value is not None and row.score.value > row.floor]
    highest = max((row.score.value for row in scored if row.score.value is not None), default=None)
    return [row for row in scored if row.score.value == highest]


def chosen(rows: list[ProbeRow]) -> dict[str, ProbeRow]:
    """For each feature set its readout with the highest validation score: the choice that does not look at test states.

    A score that is not defined counts as the lowest; the first of equal ones is chosen.
    """
    found: dict[str, ProbeRow] = {}
    for row in rows:
        if row.features not in found or _validation(row) > _validation(found[row.features]):
            found[row.features] = row
    return found


def _validation(row: ProbeRow) -> float:
    return float("-inf") if row.validation is None else row.validation
