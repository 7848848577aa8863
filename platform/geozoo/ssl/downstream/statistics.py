"""The floor: logistic regression on the mean and standard deviation of every band."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from geozoo.eo.tiles import IGNORE
from geozoo.ssl.downstream.fit import evaluated
from geozoo.ssl.downstream.metrics import ClassCounts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from geozoo.ssl.downstream.data import LabelledChips
    from geozoo.ssl.downstream.metrics import Score
    from geozoo.ssl.experiment import AugmentationSettings

STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Inverse penalties of the logistic regression; the validation score chooses."""


def band_statistics(pixels: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float64]:
    """Mean and standard deviation of every band of each chip, ``[n, 2 * bands]``, NaN left out."""
    parts = []
    for one in pixels.values():
        wide = one.astype(np.float64)
        parts += [np.nanmean(wide, (2, 3)), np.nanstd(wide, (2, 3))]
    filled: NDArray[np.float64] = np.nan_to_num(np.concatenate(parts, axis=1))
    return filled


def fit_statistics(
    train: LabelledChips, validation: LabelledChips, test: LabelledChips, augmentation: AugmentationSettings
) -> list[tuple[float, Score, Score]]:
    """Strength, validation score and test score of every regression, all on chips as evaluation sees them."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    (features, labels), *scored = (_seen(part, augmentation) for part in (train, validation, test))
    fits = []
    for strength in STRENGTHS:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000))
        model.fit(features, labels)
        scores = []
        for seen, truth in scored:
            logits = torch.full((len(truth), train.classes), -torch.inf)
            logits[:, model.classes_] = torch.from_numpy(model.predict_log_proba(seen)).float()
            counts = ClassCounts(train.classes)
            counts.add(logits, torch.from_numpy(truth))
            scores.append(counts.score())
        fits.append((strength, scores[0], scores[1]))
    return fits


def _seen(data: LabelledChips, augmentation: AugmentationSettings) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Statistics and class of every chip that has one."""
    features, labels = [], []
    for pixels, geometry, answers in evaluated(data, augmentation, "cpu"):
        features.append(band_statistics({name: geometry(one).numpy() for name, one in pixels.items()}))
        labels.append(answers.numpy())
    found = np.concatenate(labels)
    return np.concatenate(features)[found != IGNORE], found[found != IGNORE]
