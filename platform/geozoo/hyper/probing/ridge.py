"""Ridge regression: as published, on raw features, and on standardised ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geozoo.hyper.probing.fitting import Features, Prediction, standardise

if TYPE_CHECKING:
    from geozoo.hyper.probing.fitting import FitPredict

RIDGE_LAMBDAS = (1e3, *(float(f"{digit}e{power}") for power in range(2, -6, -1) for digit in (3, 1)))


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
    denominators = np.maximum(eigenvalues, 0.0)[:, None] + np.array(RIDGE_LAMBDAS)

    def fit_predict(y_train: np.ndarray, y_validation: np.ndarray) -> Prediction:
        moments = y_train if dual else train.T @ y_train
        solutions = vectors @ ((vectors.T @ moments)[:, None] / denominators)
        coefficients = train.T @ solutions if dual else solutions
        guesses = validation @ coefficients
        # R2 on one set of states falls as the squared error grows, so the least error has the highest R2.
        best = int(np.argmin(np.mean((guesses - y_validation[:, None]) ** 2, axis=0)))
        return Prediction(guesses[:, best], test @ coefficients[:, best], f"lambda {RIDGE_LAMBDAS[best]:g}")

    return fit_predict


def prepare_standardised_ridge(features: Features, seed: int) -> FitPredict:
    """Ridge regression on standardised features, with the same 17 values of lambda and the same choice.

    The published ridge weighs a column by its scale; this one, as is usual, does not, and does not penalise the
    intercept: the centred columns and the centred target leave the coefficient of the ones at 0.
    """
    fit_centred = prepare_ridge(standardise(features), seed)

    def fit_predict(y_train: np.ndarray, y_validation: np.ndarray) -> Prediction:
        mean = y_train.mean()
        centred = fit_centred(y_train - mean, y_validation - mean)
        return Prediction(centred.validation + mean, centred.test + mean, centred.choice)

    return fit_predict


def _with_ones(features: np.ndarray) -> np.ndarray:
    return np.hstack([features.astype(np.float64), np.ones((len(features), 1))])
