"""Scores from counts over everything that is scored, never from means over batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import BaseModel, ConfigDict
from torchmetrics.functional.classification import multiclass_confusion_matrix, multilabel_stat_scores

from geozoo.eo.tiles import IGNORE

if TYPE_CHECKING:
    from torch import Tensor

THRESHOLD = 0.5
"""Probability from which a class is said to be there."""


class Score(BaseModel):
    """What one model scores.

    Attributes:
        main: the number that choices are made by and tables show: overall accuracy, micro F1 or mean IoU.
        overall: share of chips (pixels) that are right, or micro F1 over all classes.
        average: mean over the classes that occur of ``per_class``.
        per_class: recall of every class, or its F1; None where the class does not occur.
        mean_iou: mean over the classes that occur of intersection over union; segmentation only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    main: float
    overall: float
    average: float
    per_class: tuple[float | None, ...]
    mean_iou: float | None = None


class ClassCounts:
    """A confusion matrix over chips or pixels, `IGNORE` left out.

    Args:
        classes: how many.
        pixels: whether pixels are counted; then the mean IoU is the main score.
    """

    def __init__(self, classes: int, *, pixels: bool = False) -> None:
        self.pixels = pixels
        self.counts = torch.zeros(classes, classes, dtype=torch.int64)

    def add(self, logits: Tensor, truth: Tensor) -> None:
        """Count ``logits [n, classes, ...]`` against ``truth`` int64 ``[n, ...]``."""
        found = multiclass_confusion_matrix(logits.argmax(1), truth, len(self.counts), ignore_index=IGNORE)
        self.counts += found.cpu()

    def score(self) -> Score:
        """Recall and IoU from the counts: rows are the truth."""
        counts = self.counts.double()
        right, truth, said = counts.diagonal(), counts.sum(1), counts.sum(0)
        occurs = truth > 0
        recall, union = right / truth.clamp_min(1), truth + said - right
        mean_iou = (right / union.clamp_min(1))[occurs].mean().item()
        overall = (right.sum() / counts.sum().clamp_min(1)).item()
        return Score(
            main=mean_iou if self.pixels else overall,
            overall=overall,
            average=recall[occurs].mean().item(),
            per_class=_where(recall, occurs),
            mean_iou=mean_iou if self.pixels else None,
        )


class LabelCounts:
    """Hits and misses of every class of chips that may have several."""

    def __init__(self, classes: int) -> None:
        self.counts = torch.zeros(classes, 5, dtype=torch.int64)

    def add(self, logits: Tensor, truth: Tensor) -> None:
        """Count ``logits [n, classes]`` against ``truth`` 0 or 1 ``[n, classes]``."""
        found = multilabel_stat_scores(
            logits.sigmoid(), truth.long(), len(self.counts), threshold=THRESHOLD, average="none"
        )
        self.counts += found.cpu()

    def score(self) -> Score:
        """F1 of every class, their mean over the classes that occur, and the F1 over all classes together."""
        hit, wrong, _, missed, support = self.counts.double().unbind(1)
        occurs = support > 0
        each = 2 * hit / (2 * hit + wrong + missed).clamp_min(1)
        overall = (2 * hit.sum() / (2 * hit.sum() + wrong.sum() + missed.sum()).clamp_min(1)).item()
        return Score(main=overall, overall=overall, average=each[occurs].mean().item(), per_class=_where(each, occurs))


def _where(values: Tensor, occurs: Tensor) -> tuple[float | None, ...]:
    return tuple(value if there else None for value, there in zip(values.tolist(), occurs.tolist(), strict=True))
