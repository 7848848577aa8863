"""What a readout is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["regression", "classification"]


@dataclass(frozen=True)
class Features:
    """Features of the states of the three parts, each ``[states, columns]``."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Prediction:
    """Predictions for validation and test states, and in words what was chosen on the validation states."""

    validation: np.ndarray
    test: np.ndarray
    choice: str


FitPredict = Callable[[np.ndarray, np.ndarray], Prediction]


@dataclass(frozen=True)
class Readout:
    """One way to read a property out of features.

    ``prepare(features, seed)`` does once what does not depend on the target and returns ``fit_predict(y_train,
    y_validation)``, which fits on the training states, makes its choices on the validation states, and predicts.
    """

    name: str
    kind: Kind
    title: str
    prepare: Callable[[Features, int], FitPredict]


def standardise(features: Features) -> Features:
    """Columns with mean 0 and variance 1 over the training states, float64; a constant one is only centred."""
    mean, scale = features.train.mean(axis=0, dtype=np.float64), features.train.std(axis=0, dtype=np.float64)
    scale[scale == 0] = 1.0
    return Features(*((part - mean) / scale for part in (features.train, features.validation, features.test)))


def in_row_space(features: Features) -> Features:
    """The features in coordinates of the training states' row space, where there are fewer states than columns.

    What a linear layer learns from training states lies in that space, so nothing is lost and much is saved.
    """
    if features.train.shape[0] >= features.train.shape[1]:
        return features
    basis = np.linalg.svd(features.train, full_matrices=False)[2].T
    return Features(*(part @ basis for part in (features.train, features.validation, features.test)))
