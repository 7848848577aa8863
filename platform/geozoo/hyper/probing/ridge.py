"""Ridge regression: as published, on raw features, and on standardised ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geozoo.hyper.probing.fitting import Features, Prediction, standardise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.hyper.probing.fitting import FitPredict

RIDGE_LAMBDAS = (1e3, *(float(f"{digit}e{power}") for power in range(2, -6, -1) for digit in (3, 1)))
SCALED_LAMBDAS = (1e6, 3e5, 1e5, 3e4, 1e4, 3e3, *RIDGE_LAMBDAS)
CUTS = (np.inf, 3.0)


def prepare_ridge(features: Features, seed: int) -> FitPredict:
    """Ridge regression in closed form, as published with the model zoos (Schuerholt et al., 2021).

    Raw unscaled features with an appended column of ones whose coefficient is penalised too; lambda is one of 17 values
    from 1e3 to 1e-5, the one with the highest R2 on validation; float64. All lambdas and targets share one
    eigendecomposition: of the columns' Gram matrix, or of the states' where there are fewer states than columns (the
    dual problem, whose solution is the same).
    """
    del seed
    return _solve(features, RIDGE_LAMBDAS)


def prepare_standardised_ridge(features: Features, seed: int) -> FitPredict:
    """Ridge regression on standardised features, which are cut at 3 deviations where that helps.

    The published ridge weighs a column by its scale; this one, as is usual, does not, and does not penalise the
    intercept: the centred columns and the centred target leave the coefficient of the ones at 0. Lambda is one of 23
    values from 1e6 to 1e-5: thousands of standardised weights need larger ones than raw weights do. A few extreme
    states, of diverging members, can throw a line off; so every fit is made once on the features as they are and once
    on features cut at 3 deviations of the training states, and validation chooses between the two as it does among the
    lambdas.
    """
    del seed
    scaled = standardise(features)
    fits = {cut: _solve(_centred(scaled, cut), SCALED_LAMBDAS) for cut in CUTS}

    def fit_predict(y_train: np.ndarray, y_validation: np.ndarray) -> Prediction:
        mean = y_train.mean()
        found = {cut: fit(y_train - mean, y_validation - mean) for cut, fit in fits.items()}
        cut = min(CUTS, key=lambda cut: np.mean((found[cut].validation + mean - y_validation) ** 2))
        chosen = found[cut]
        words = chosen.choice if np.isinf(cut) else f"{chosen.choice}, cut at {cut:g}"
        return Prediction(chosen.validation + mean, chosen.test + mean, words)

    return fit_predict


def _solve(features: Features, lambdas: Sequence[float]) -> FitPredict:
    """Ridge regression with a penalised column of ones, the best of some lambdas on validation."""
    train, validation, test = map(_with_ones, (features.train, features.validation, features.test))
    dual = len(train) < train.shape[1]
    eigenvalues, vectors = np.linalg.eigh(train @ train.T if dual else train.T @ train)
    denominators = np.maximum(eigenvalues, 0.0)[:, None] + np.array(lambdas)

    def fit_predict(y_train: np.ndarray, y_validation: np.ndarray) -> Prediction:
        moments = y_train if dual else train.T @ y_train
        solutions = vectors @ ((vectors.T @ moments)[:, None] / denominators)
        coefficients = train.T @ solutions if dual else solutions
        guesses = validation @ coefficients
        # R2 on one set of states falls as the squared error grows, so the least error has the highest R2.
        best = int(np.argmin(np.mean((guesses - y_validation[:, None]) ** 2, axis=0)))
        return Prediction(guesses[:, best], test @ coefficients[:, best], f"lambda {lambdas[best]:g}")

    return fit_predict


def _centred(scaled: Features, cut: float) -> Features:
    """Standardised features cut at so many deviations, centred again over the training states."""
    train, validation, test = (np.clip(part, -cut, cut) for part in (scaled.train, scaled.validation, scaled.test))
    mean = train.mean(axis=0)
    return Features(train - mean, validation - mean, test - mean)


def _with_ones(features: np.ndarray) -> np.ndarray:
    return np.hstack([features.astype(np.float64), np.ones((len(features), 1))])
