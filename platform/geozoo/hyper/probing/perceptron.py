"""A small multi-layer perceptron, for numbers and for classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geozoo.hyper.probing.fitting import Features, Prediction, in_row_space, standardise

if TYPE_CHECKING:
    from collections.abc import Callable

    from sklearn.neural_network import MLPClassifier, MLPRegressor

    from geozoo.hyper.probing.fitting import FitPredict

HIDDEN = (64, 64)
BATCH = 128
LEARNING_RATE = 1e-3
PENALTY = 1.0
MAX_ROUNDS = 100
LEAST_STEPS = 5
PATIENCE = 10
MAX_TRAIN_STATES = 6_000
LARGEST_DEVIATION = 10.0


def prepare_perceptron_regressor(features: Features, seed: int) -> FitPredict:
    """A perceptron for numbers, standardised, under a squared error.

    Two hidden layers of 64 ReLU units (scikit-learn) on standardised features, float32; Adam with learning rate 1e-3,
    batches of 128, L2 penalty 1. After every round over the training states, of 5 steps at least, the validation
    loss is taken; training stops when it has not fallen for 10 rounds, after 100 at most, and the weights of the best
    round predict. At most 6,000 training states, the same for every feature set, in the coordinates of their row space
    where they are fewer than the columns; standardised features are cut at 10 deviations, since one extreme weight
    would throw the network off.
    """
    from sklearn.neural_network import MLPRegressor

    parts, kept = _inputs(features, seed)

    def fit_predict(y_train: np.ndarray, y_validation: np.ndarray) -> Prediction:
        mean, scale = y_train[kept].mean(), y_train[kept].std() or 1.0
        target, wanted = ((y - mean) / scale for y in (y_train[kept], y_validation))
        model = MLPRegressor(**_settings(len(y_train), seed))
        chosen = _train(
            model,
            lambda: model.partial_fit(parts.train, target),
            lambda: float(np.mean((model.predict(parts.validation) - wanted) ** 2)),
        )
        guesses = [model.predict(part).astype(np.float64) * scale + mean for part in (parts.validation, parts.test)]
        return Prediction(guesses[0], guesses[1], f"{chosen} rounds")

    return fit_predict


def prepare_perceptron_classifier(features: Features, seed: int) -> FitPredict:
    """A perceptron for classes under a cross-entropy; all else as in ``prepare_perceptron_regressor``."""
    from sklearn.neural_network import MLPClassifier

    parts, kept = _inputs(features, seed)

    def fit_predict(y_train: np.ndarray, y_validation: np.ndarray) -> Prediction:
        names, codes = np.unique(y_train[kept], return_inverse=True)
        guides = np.flatnonzero(
            np.isin(y_validation, names)
        )  # a class without training states cannot guide the stopping
        states, wanted = parts.validation[guides], np.searchsorted(names, y_validation[guides])
        if not len(guides):
            states, wanted = parts.train, codes
        model = MLPClassifier(**_settings(len(y_train), seed))

        def loss() -> float:
            chances = model.predict_proba(states)[np.arange(len(wanted)), wanted]
            return float(-np.mean(np.log(np.maximum(chances, 1e-10))))

        chosen = _train(model, lambda: model.partial_fit(parts.train, codes, classes=np.arange(len(names))), loss)
        guesses = [names[model.predict(part)] for part in (parts.validation, parts.test)]
        return Prediction(guesses[0], guesses[1], f"{chosen} rounds")

    return fit_predict


def _inputs(features: Features, seed: int) -> tuple[Features, np.ndarray]:
    """Standardised, cut features, and which training states a round takes: few enough, or each several times."""
    scaled = standardise(features)
    kept = np.random.default_rng(seed).permutation(len(features.train))[:MAX_TRAIN_STATES]
    cut = (
        np.clip(part, -LARGEST_DEVIATION, LARGEST_DEVIATION)
        for part in (scaled.train[kept], scaled.validation, scaled.test)
    )
    inputs = in_row_space(Features(*cut))
    steps = -(-len(kept) // BATCH)
    times = -(-LEAST_STEPS // steps)
    train = np.tile(inputs.train, (times, 1))
    parts = (part.astype(np.float32) for part in (train, inputs.validation, inputs.test))
    return Features(*parts), np.tile(kept, times)


def _settings(states: int, seed: int) -> dict[str, object]:
    # A generator, not a number: a number would deal the same batches in every round.
    return {
        "hidden_layer_sizes": HIDDEN,
        "learning_rate_init": LEARNING_RATE,
        "alpha": PENALTY,
        "batch_size": min(BATCH, states),
        "random_state": np.random.RandomState(seed),
    }


def _train(model: MLPRegressor | MLPClassifier, fit_round: Callable[[], object], loss: Callable[[], float]) -> int:
    """Train until the loss stops falling, leave the model at its best round, and say which that was."""
    lowest, chosen, best = float("inf"), 0, None
    for number in range(1, MAX_ROUNDS + 1):
        fit_round()
        found = loss()
        if found < lowest:
            lowest, chosen = found, number
            best = [part.copy() for part in (*model.coefs_, *model.intercepts_)]
        elif number - chosen >= PATIENCE:
            break
    if best is not None:
        model.coefs_, model.intercepts_ = best[: len(model.coefs_)], best[len(model.coefs_) :]
    return chosen
