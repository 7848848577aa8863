"""Gradient-boosted trees, for numbers and for classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geozoo.hyper.probing.fitting import Features, Prediction

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    from geozoo.hyper.probing.fitting import FitPredict

TREE_COLUMNS = 256


def prepare_tree_regressor(features: Features, seed: int) -> FitPredict:
    """Gradient-boosted trees for numbers: see ``_prepare_trees``."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    return _prepare_trees(features, seed, HistGradientBoostingRegressor)


def prepare_tree_classifier(features: Features, seed: int) -> FitPredict:
    """Gradient-boosted trees for classes: see ``_prepare_trees``."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return _prepare_trees(features, seed, HistGradientBoostingClassifier)


def _prepare_trees(
    features: Features,
    seed: int,
    estimator: type[HistGradientBoostingRegressor] | type[HistGradientBoostingClassifier],
) -> FitPredict:
    """Histogram gradient boosting (scikit-learn), stopped when the validation loss no longer falls.

    At most 200 rounds of trees with 8 leaves, at least 5 states in a leaf, 63 bins. Where there are more than 256
    columns (flat weights), the trees see the 256 most associated with the target on the training states
    (``associated_columns``): this keeps a probe of a small zoo at seconds.
    """

    def fit_predict(y_train: np.ndarray, y_validation: np.ndarray) -> Prediction:
        columns = associated_columns(features.train, y_train, TREE_COLUMNS)
        train, validation, test = (part[:, columns] for part in (features.train, features.validation, features.test))
        model = estimator(
            max_iter=200,
            max_leaf_nodes=8,
            min_samples_leaf=min(5, max(1, len(y_train) // 4)),
            max_bins=63,
            early_stopping=True,
            n_iter_no_change=10,
            random_state=seed,
        )
        guide = validation, y_validation
        if y_train.dtype.kind == "U" and not np.isin(y_validation, y_train).all():
            known = np.isin(y_validation, y_train)  # a class without training states cannot guide the stopping
            guide = (validation[known], y_validation[known]) if known.any() else (train, y_train)
        model.fit(train, y_train, X_val=guide[0], y_val=guide[1])
        return Prediction(model.predict(validation), model.predict(test), f"{model.n_iter_} rounds")

    return fit_predict


def associated_columns(features: np.ndarray, target: np.ndarray, count: int) -> np.ndarray:
    """The ``count`` columns most associated with the target, in column order (all of them if there are no more).

    Association is the larger of two squared correlations: of the target with the column, and with its squared
    deviation from the mean (a property may show in the spread of a weight alone). For classes, the largest over
    the indicators of the classes.
    """
    if features.shape[1] <= count:
        return np.arange(features.shape[1])
    if target.dtype.kind in "fiu":
        outputs = target[:, None].astype(np.float64)
    else:
        outputs = (target[:, None] == np.unique(target)[None, :]).astype(np.float64)
    centred = features - features.mean(axis=0, dtype=np.float64)
    strength = np.maximum(_squared_correlation(centred, outputs), _squared_correlation(centred**2, outputs))
    return np.sort(np.argsort(-strength, kind="stable")[:count])


def _squared_correlation(columns: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Largest squared correlation of each column ``[n, C]`` with any output ``[n, K]``; 0 for a constant one."""
    a, b = columns - columns.mean(axis=0), outputs - outputs.mean(axis=0)
    scale = np.sum(a**2, axis=0)[:, None] * np.sum(b**2, axis=0)[None, :]
    squared = np.divide((a.T @ b) ** 2, scale, out=np.zeros_like(scale), where=scale > 0)
    return np.asarray(squared.max(axis=1))
