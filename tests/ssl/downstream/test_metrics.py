from __future__ import annotations

import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, jaccard_score, recall_score

from geozoo.eo.tiles import IGNORE
from geozoo.ssl.downstream.metrics import ClassCounts, LabelCounts


def drawn(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(60, 5, generator=generator), torch.randint(0, 4, (60,), generator=generator)


def test_class_scores_are_scikit_learns_whatever_the_batches() -> None:
    logits, truth = drawn()  # class 4 never occurs
    counts = ClassCounts(5)
    for start, end in ((0, 7), (7, 8), (8, 60)):
        counts.add(logits[start:end], truth[start:end])
    score, predicted = counts.score(), logits.argmax(1)
    recalls = recall_score(truth, predicted, average=None, labels=range(5), zero_division=0)
    assert score.per_class[:4] == pytest.approx(recalls[:4])
    assert score.per_class[4] is None
    assert score.main == score.overall == pytest.approx(accuracy_score(truth, predicted))
    assert score.average == pytest.approx(recalls[:4].mean())
    assert score.mean_iou is None


def test_pixels_that_count_for_nothing_are_left_out() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, 6, 6, generator=generator)
    truth = torch.randint(0, 4, (3, 6, 6), generator=generator)
    truth[0, :2] = IGNORE
    counts = ClassCounts(4, pixels=True)
    for one, other in zip(logits.split(1), truth.split(1), strict=True):
        counts.add(one, other)
    score, seen = counts.score(), truth != IGNORE
    expected = jaccard_score(truth[seen], logits.argmax(1)[seen], average=None)
    assert score.main == score.mean_iou == pytest.approx(expected.mean())
    assert score.overall == pytest.approx(accuracy_score(truth[seen], logits.argmax(1)[seen]))


def test_label_scores_are_scikit_learns() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, truth = torch.randn(50, 4, generator=generator), torch.rand(50, 4, generator=generator) < 0.3
    truth[:, 3] = False
    counts = LabelCounts(4)
    counts.add(logits[:20], truth[:20].float())
    counts.add(logits[20:], truth[20:].float())
    score, said = counts.score(), logits.sigmoid() >= 0.5
    each = f1_score(truth, said, average=None, zero_division=0)
    assert score.per_class[:3] == pytest.approx(each[:3])
    assert score.per_class[3] is None
    assert score.average == pytest.approx(each[:3].mean())
    assert score.main == pytest.approx(f1_score(truth, said, average="micro"))
