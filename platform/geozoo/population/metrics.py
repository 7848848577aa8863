"""The metric columns of a block, from sums over images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass
class Tally:
    """Sums over images, one entry a member: of the loss, and of right answers."""

    loss: NDArray[np.float64]
    correct: NDArray[np.int64]
    images: int = 0

    @classmethod
    def zeros(cls, members: int) -> Tally:
        """Nothing counted yet."""
        return cls(np.zeros(members), np.zeros(members, dtype=np.int64))

    def add(self, loss: Any, correct: Any, images: int) -> None:
        """Count a batch: sums over its images, ``[members]``."""
        self.loss += np.asarray(loss, dtype=np.float64)
        self.correct += np.asarray(correct, dtype=np.int64)
        self.images += images


def block_metrics(
    evaluated: dict[str, Tally], running: Tally | None, finite: NDArray[np.bool_]
) -> dict[str, NDArray[Any]]:
    """Turn tallies into the columns of `geozoo.population.engine.METRICS`.

    Args:
        evaluated: by split, over the images a checkpoint is evaluated on, in evaluation mode.
        running: over the training batches of the epoch as they were seen, dropout included; None at epoch 0, whose
            running columns are NaN.
        finite: which members have nothing but finite weights.

    Accuracies are fractions; a generalization gap is a train accuracy minus the test accuracy. A member that is not
    finite has losses NaN and answers nothing right, whatever an engine's arithmetic made of it.
    """
    columns: dict[str, NDArray[Any]] = {}
    tallies = evaluated | ({"running_train": running} if running else {})
    for split, tally in tallies.items():
        columns[f"{split}_loss"] = np.where(finite, tally.loss / tally.images, np.nan)
        columns[f"{split}_accuracy"] = np.where(finite, tally.correct / tally.images, 0.0)
    columns["generalization_gap"] = columns["train_accuracy"] - columns["test_accuracy"]
    if running is None:
        columns["running_train_loss"] = columns["running_train_accuracy"] = np.full(len(finite), np.nan)
    columns["running_generalization_gap"] = columns["running_train_accuracy"] - columns["test_accuracy"]
    columns["finite"] = finite.copy()
    return columns
