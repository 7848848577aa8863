"""Softmax regression: the linear readout of classes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from geozoo.hyper.probing.fitting import Features, Prediction, in_row_space, standardise

if TYPE_CHECKING:
    from geozoo.hyper.probing.fitting import FitPredict

SOFTMAX_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


def prepare_softmax(features: Features, seed: int) -> FitPredict:
    """One linear softmax layer on standardised features, L2-penalised, strength chosen by validation accuracy.

    Deviation: the published readout is the same layer on raw features, trained by Adam (learning rate 1e-4, 50 epochs);
    it stops long before convergence, at a point set by the scale of the features. Here the layer is fitted by L-BFGS.
    The fit runs in the row space of the training features: the penalised optimum lies there, so nothing is lost.
    """
    from sklearn.linear_model import LogisticRegression

    scaled = in_row_space(standardise(features))
    train, validation, test = scaled.train, scaled.validation, scaled.test

    def fit_predict(y_train: np.ndarray, y_validation: np.ndarray) -> Prediction:
        model = LogisticRegression(max_iter=100, tol=1e-3, warm_start=True, random_state=seed)
        candidates = []
        for strength in SOFTMAX_STRENGTHS:
            with warnings.catch_warnings():  # a fit cut at 100 steps is one more candidate, judged on validation
                warnings.filterwarnings("ignore", message="lbfgs failed to converge")
                model.set_params(C=strength).fit(train, y_train)
            guess = model.predict(validation)
            accuracy = np.mean(guess == y_validation)
            candidates.append((accuracy, Prediction(guess, model.predict(test), f"C {strength:g}")))
        return max(candidates, key=lambda candidate: candidate[0])[1]

    return fit_predict
