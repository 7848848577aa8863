"""Readouts: what is fitted from features of weights to a property. One registry for both kinds of property."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

Kind = Literal["regression", "classification"]
FitPredict = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, str]]

RIDGE_LAMBDAS = (1e3, *(float(f"{digit}e{power}") for power in range(2, -6, -1) for digit in (3, 1)))
SOFTMAX_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
TREE_COLUMNS = 256


@dataclass(frozen=True)
class Features:
    """Features of the states of the three parts, each ``[states, columns]``."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Readout:
    """One way to read a property out of features.

    ``prepare(features, seed)`` does once what does not depend on the target and returns ``fit_predict(y_train,
    y_validation)``, which fits on the training states, makes its choices on the validation states, and returns the
    predictions for the test states with the choice in words.
    """

    name: str
    kind: Kind
    title: str
    prepare: Callable[[Features, int], FitPredict]


def prepare_ridge(features: Features, seed: int) -> FitPredict:
    """Ridge regression in closed form, as published with the model zoos (Schuerholt et al., 2021).

    Raw unscaled features with an appended column of ones whose coefficient is penalised too; lambda is one of 17 values
    from 1e3 to 1e-5, the one with the highest R2 on validation; float64. All lambdas and targets share one
    eigendecomposition: of the columns' Gram matrix, or of the states' where there are fewer states than columns (the
    dual problem, whose solution is the same).
    """
    del seed
    train, validation, test = map(_with_ones, (features.train, features.validation, features.test))
    dual = len(train) < train.shape[1]
    eigenvalues, vectors = np.linalg.eigh(train @ train.T if dual else train.T @ train)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    to_vectors = train.T @ vectors if dual else vectors
    from_target = vectors.T if dual else vectors.T @ train.T
    validation, test = validation @ to_vectors, test @ to_vectors

    def fit_predict(y_train: np.ndarray, y_validation: np.ndarray) -> tuple[np.ndarray, str]:
        projected = from_target @ y_train
        coefficients = [projected / (eigenvalues + strength) for strength in RIDGE_LAMBDAS]
        # R2 on one set of states falls as the squared error grows, so the least error has the highest R2.
        errors = [np.mean((validation @ c - y_validation) ** 2) for c in coefficients]
        best = int(np.argmin(errors))
        return test @ coefficients[best], f"lambda {RIDGE_LAMBDAS[best]:g}"

    return fit_predict


def _with_ones(features: np.ndarray) -> np.ndarray:
    return np.hstack([features.astype(np.float64), np.ones((len(features), 1))])


def prepare_softmax(features: Features, seed: int) -> FitPredict:
    """One linear softmax layer on standardised features, L2-penalised, strength chosen by validation accuracy.

    Deviation: the published readout is the same layer on raw features, trained by Adam (learning rate 1e-4, 50 epochs);
    it stops long before convergence, at a point set by the scale of the features. Here the layer is fitted by L-BFGS.
    The fit runs in the row space of the training features: the penalised optimum lies there, so nothing is lost.
    """
    from sklearn.linear_model import LogisticRegression

    mean, scale = features.train.mean(axis=0, dtype=np.float64), features.train.std(axis=0, dtype=np.float64)
    scale[scale == 0] = 1.0
    train, validation, test = ((part - mean) / scale for part in (features.train, features.validation, features.test))
    if train.shape[0] < train.shape[1]:
        basis = np.linalg.svd(train, full_matrices=False)[2].T
        train, validation, test = train @ basis, validation @ basis, test @ basis

    def fit_predict(y_train: np.ndarray, y_validation: np.ndarray) -> tuple[np.ndarray, str]:
        model = LogisticRegression(max_iter=100, tol=1e-3, warm_start=True, random_state=seed)
        candidates = []
        for strength in SOFTMAX_STRENGTHS:
            with warnings.catch_warnings():  # a fit cut at 100 steps is one more candidate, judged on validation
                warnings.filterwarnings("ignore", message="lbfgs failed to converge")
                model.set_params(C=strength).fit(train, y_train)
            accuracy = np.mean(model.predict(validation) == y_validation)
            candidates.append((accuracy, strength, model.predict(test)))
        _, chosen, predicted = max(candidates, key=lambda candidate: candidate[0])
        return predicted, f"C {chosen:g}"

    return fit_predict


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

    def fit_predict(y_train: np.ndarray, y_validation: np.ndarray) -> tuple[np.ndarray, str]:
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
        if y_train.dtype.kind == "U" and not np.isin(y_validation, y_train).all():
            known = np.isin(y_validation, y_train)  # a class without training states cannot guide the stopping
            validation, y_validation = (validation[known], y_validation[known]) if known.any() else (train, y_train)
        model.fit(train, y_train, X_val=validation, y_val=y_validation)
        return model.predict(test), f"{model.n_iter_} rounds"

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


READOUTS: tuple[Readout, ...] = (
    Readout("linear", "regression", "ridge", prepare_ridge),
    Readout("trees", "regression", "boosted trees", prepare_tree_regressor),
    Readout("linear", "classification", "softmax", prepare_softmax),
    Readout("trees", "classification", "boosted trees", prepare_tree_classifier),
)
