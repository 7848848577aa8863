import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from threadpoolctl import threadpool_limits

from geozoo.hyper.readouts import READOUTS, RIDGE_LAMBDAS, Features, associated_columns

RIDGE, TREES, SOFTMAX, TREE_CLASSES = (readout.prepare for readout in READOUTS)


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


def features(states, columns, seed=0):
    draw = np.random.default_rng(seed)
    return Features(*(draw.normal(1.0, 2.0, size=(count, columns)) for count in (states, states // 2, states // 2)))


def test_the_grid_is_the_published_one():
    assert len(RIDGE_LAMBDAS) == 17
    assert RIDGE_LAMBDAS[:4] == (1e3, 3e2, 1e2, 3e1)
    assert RIDGE_LAMBDAS[-2:] == (3e-5, 1e-5)


@pytest.mark.parametrize(("states", "columns"), [(60, 7), (30, 90)], ids=["primal", "dual"])
def test_ridge_equals_scikit_learn_on_augmented_features(states, columns):
    data = features(states, columns)
    y, y_validation = (
        part @ np.linspace(-1, 1, columns) + np.random.default_rng(1).normal(0, 3, len(part))
        for part in (data.train, data.validation)
    )
    predicted, choice = RIDGE(data, 0)(y, y_validation)

    augmented = [np.hstack([part, np.ones((len(part), 1))]) for part in (data.train, data.validation, data.test)]
    models = [Ridge(alpha=alpha, fit_intercept=False, solver="svd").fit(augmented[0], y) for alpha in RIDGE_LAMBDAS]
    scores = [r2_score(y_validation, model.predict(augmented[1])) for model in models]
    best = int(np.argmax(scores))
    assert choice == f"lambda {RIDGE_LAMBDAS[best]:g}"
    np.testing.assert_allclose(predicted, models[best].predict(augmented[2]), rtol=1e-8, atol=1e-8)


def test_one_preparation_serves_several_targets():
    data = features(40, 6)
    fit = RIDGE(data, 0)
    for weights in np.eye(6):
        predicted, _ = fit(data.train @ weights, data.validation @ weights)
        np.testing.assert_allclose(predicted, data.test @ weights, atol=1e-3)


def test_ridge_chooses_on_validation_states():
    """Noise on the training targets alone: the smallest lambda fits it best, the validation states forbid that."""
    data = features(30, 60)
    noise = np.random.default_rng(2).normal(0, 50, len(data.train))
    _, choice = RIDGE(data, 0)(noise, np.zeros(len(data.validation)))
    assert choice == "lambda 1000"


@pytest.mark.parametrize("columns", [8, 120], ids=["narrow", "row space"])
def test_softmax_is_scikit_learns_on_standardised_features(columns):
    data = features(60, columns)
    labels = [np.where(part[:, 0] > 1, "high", "low") for part in (data.train, data.validation)]
    predicted, choice = SOFTMAX(data, 0)(*labels)
    mean, std = data.train.mean(axis=0), data.train.std(axis=0)
    model = LogisticRegression(C=float(choice.split()[1]), max_iter=1000, tol=1e-8)
    expected = model.fit((data.train - mean) / std, labels[0]).predict((data.test - mean) / std)
    assert np.mean(predicted == expected) >= 0.95


def test_trees_find_what_no_line_can():
    data = features(400, 5)
    y, y_validation, y_test = (np.abs(part[:, 2] - 1) for part in (data.train, data.validation, data.test))
    assert r2_score(y_test, TREES(data, 0)(y, y_validation)[0]) > 0.9
    assert r2_score(y_test, RIDGE(data, 0)(y, y_validation)[0]) < 0.2


def test_trees_stop_when_validation_no_longer_improves():
    data = features(200, 5)
    y = data.train[:, 0]
    helpful = TREES(data, 0)(y, data.validation[:, 0])[1]
    useless = TREES(data, 0)(y, -data.validation[:, 0])[1]
    assert int(useless.split()[0]) < int(helpful.split()[0])


def test_trees_classify_with_a_class_that_only_validation_knows():
    data = features(80, 4)
    labels = np.where(data.train[:, 0] > 1, "a", "b")
    validation = np.where(data.validation[:, 0] > 1, "a", "unknown")
    predicted, _ = TREE_CLASSES(data, 0)(labels, validation)
    assert np.mean(predicted == np.where(data.test[:, 0] > 1, "a", "b")) > 0.8


def test_trees_are_the_same_for_the_same_seed():
    data = features(100, 400)
    y = [part[:, 3] for part in (data.train, data.validation)]
    np.testing.assert_array_equal(TREES(data, 5)(*y)[0], TREES(data, 5)(*y)[0])


def test_associated_columns_find_shift_and_spread():
    draw = np.random.default_rng(0)
    columns = draw.normal(size=(500, 50))
    target = columns[:, 7] + draw.normal(size=500)
    columns[:, 31] *= np.abs(target)
    assert {7, 31} <= set(associated_columns(columns, target, 5))
    labels = np.where(target > 0, "x", "y")
    assert 7 in associated_columns(columns, labels, 5)
    np.testing.assert_array_equal(associated_columns(columns, target, 50), np.arange(50))
