import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from geozoo.hyper.probing import perceptron
from geozoo.hyper.probing.fitting import Features, standardise
from geozoo.hyper.probing.perceptron import MAX_TRAIN_STATES
from geozoo.hyper.probing.readouts import READOUTS
from geozoo.hyper.probing.ridge import RIDGE_LAMBDAS, SCALED_LAMBDAS
from geozoo.hyper.probing.trees import associated_columns

RIDGE, SCALED_RIDGE, TREES, MLP, SOFTMAX, TREE_CLASSES, MLP_CLASSES = (readout.prepare for readout in READOUTS)


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
    assert (max(SCALED_LAMBDAS), min(SCALED_LAMBDAS), len(set(SCALED_LAMBDAS))) == (1e6, 1e-5, 23)


@pytest.mark.parametrize(("states", "columns"), [(60, 7), (30, 90)], ids=["primal", "dual"])
def test_ridge_equals_scikit_learn_on_augmented_features(states, columns):
    data = features(states, columns)
    y, y_validation = (
        part @ np.linspace(-1, 1, columns) + np.random.default_rng(1).normal(0, 3, len(part))
        for part in (data.train, data.validation)
    )
    found = RIDGE(data, 0)(y, y_validation)

    augmented = [np.hstack([part, np.ones((len(part), 1))]) for part in (data.train, data.validation, data.test)]
    models = [Ridge(alpha=alpha, fit_intercept=False, solver="svd").fit(augmented[0], y) for alpha in RIDGE_LAMBDAS]
    scores = [r2_score(y_validation, model.predict(augmented[1])) for model in models]
    best = int(np.argmax(scores))
    assert found.choice == f"lambda {RIDGE_LAMBDAS[best]:g}"
    np.testing.assert_allclose(found.test, models[best].predict(augmented[2]), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(found.validation, models[best].predict(augmented[1]), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("extreme", [False, True], ids=["as they are", "cut"])
@pytest.mark.parametrize(("states", "columns"), [(60, 7), (30, 90)], ids=["primal", "dual"])
def test_scaled_ridge_equals_a_pipeline_of_scikit_learn(states, columns, extreme):
    data = features(states, columns)
    data.train[:, 1] = 3.0
    y, y_validation = (
        50 + part @ np.linspace(-1, 1, columns) + np.random.default_rng(1).normal(0, 3, len(part))
        for part in (data.train, data.validation)
    )
    if extreme:  # their targets are as moderate as all others
        data.validation[:2] *= 1e3
        data.test[:2] *= 1e3
    found = SCALED_RIDGE(data, 0)(y, y_validation)

    candidates = []
    for words, cut in (("", np.inf), (", cut at 3", 3.0)):
        clip = FunctionTransformer(np.clip, kw_args={"a_min": -cut, "a_max": cut})
        for alpha in SCALED_LAMBDAS:
            model = make_pipeline(StandardScaler(), clip, Ridge(alpha=alpha)).fit(data.train, y)
            error = mean_squared_error(y_validation, model.predict(data.validation))
            candidates.append((error, f"lambda {alpha:g}{words}", model))
    _, choice, model = min(candidates, key=lambda candidate: candidate[0])
    assert found.choice == choice
    assert choice.endswith("cut at 3") == extreme
    np.testing.assert_allclose(found.test, model.predict(data.test), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(found.validation, model.predict(data.validation), rtol=1e-7, atol=1e-7)


def test_many_standardised_columns_of_noise_are_penalised_away():
    """Beyond the published largest lambda: more columns than states, none of which knows the target."""
    data = features(400, 3000)
    y, y_validation = (np.random.default_rng(1).normal(size=len(part)) for part in (data.train, data.validation))
    assert float(SCALED_RIDGE(data, 0)(y, y_validation).choice.split()[1].rstrip(",")) > max(RIDGE_LAMBDAS)


def test_scaling_is_learnt_from_training_states_alone():
    data = features(50, 6)
    other = Features(data.train, data.validation * 100, data.test + 5)
    np.testing.assert_array_equal(standardise(other).train, standardise(data).train)
    np.testing.assert_allclose(standardise(data).train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(standardise(data).train.std(axis=0), 1, rtol=1e-12)
    steps = standardise(other).test - standardise(data).test
    np.testing.assert_allclose(steps, np.broadcast_to(5 / data.train.std(axis=0), steps.shape))


@pytest.mark.parametrize("readout", READOUTS, ids=lambda readout: f"{readout.name} {readout.kind}")
def test_other_states_do_not_change_a_prediction(readout):
    """What is predicted for a test state does not depend on the other test states."""
    data = features(80, 12)
    values = [part[:, 0] for part in (data.train, data.validation)]
    if readout.kind == "classification":
        values = [np.where(part > 1, "high", "low") for part in values]
    alone = readout.prepare(Features(data.train, data.validation, data.test[:5]), 0)(*values)
    crowd = readout.prepare(Features(data.train, data.validation, np.vstack([data.test[:5], 1e3 * data.test])), 0)
    found = crowd(*values)
    if readout.kind == "classification":
        assert found.test[:5].tolist() == alone.test.tolist()
    else:
        np.testing.assert_allclose(found.test[:5], alone.test, rtol=1e-5, atol=1e-6)
    assert found.choice == alone.choice


def test_one_preparation_serves_several_targets():
    data = features(40, 6)
    fit = RIDGE(data, 0)
    for weights in np.eye(6):
        found = fit(data.train @ weights, data.validation @ weights)
        np.testing.assert_allclose(found.test, data.test @ weights, atol=1e-3)


def test_ridge_chooses_on_validation_states():
    """Noise on the training targets alone: the smallest lambda fits it best, the validation states forbid that."""
    data = features(30, 60)
    noise = np.random.default_rng(2).normal(0, 50, len(data.train))
    found = RIDGE(data, 0)(noise, np.zeros(len(data.validation)))
    assert found.choice == "lambda 1000"


@pytest.mark.parametrize("columns", [8, 120], ids=["narrow", "row space"])
def test_softmax_is_scikit_learns_on_standardised_features(columns):
    data = features(60, columns)
    labels = [np.where(part[:, 0] > 1, "high", "low") for part in (data.train, data.validation)]
    found = SOFTMAX(data, 0)(*labels)
    mean, std = data.train.mean(axis=0), data.train.std(axis=0)
    model = LogisticRegression(C=float(found.choice.split()[1]), max_iter=1000, tol=1e-8)
    expected = model.fit((data.train - mean) / std, labels[0]).predict((data.test - mean) / std)
    assert np.mean(found.test == expected) >= 0.95


def test_trees_find_what_no_line_can():
    data = features(400, 5)
    y, y_validation, y_test = (np.abs(part[:, 2] - 1) for part in (data.train, data.validation, data.test))
    assert r2_score(y_test, TREES(data, 0)(y, y_validation).test) > 0.9
    assert r2_score(y_test, RIDGE(data, 0)(y, y_validation).test) < 0.2


def test_the_perceptron_finds_what_no_line_can():
    data = features(400, 5)
    y, y_validation, y_test = (1e3 + np.abs(part[:, 2] - 1) for part in (data.train, data.validation, data.test))
    assert r2_score(y_test, MLP(data, 0)(y, y_validation).test) > 0.8
    labels = [np.where(part > 1e3 + 1, "far", "near") for part in (y, y_validation, y_test)]
    assert np.mean(MLP_CLASSES(data, 0)(*labels[:2]).test == labels[2]) > 0.8


def test_the_perceptron_is_that_of_its_best_round():
    """Validation targets that contradict the training targets: the first rounds are the best of them."""
    data = features(300, 5)
    helpful = MLP(data, 0)(data.train[:, 0], data.validation[:, 0]).choice
    useless = MLP(data, 0)(data.train[:, 0], -data.validation[:, 0]).choice
    assert int(useless.split()[0]) <= 2 < int(helpful.split()[0])


def test_the_perceptron_is_the_same_for_the_same_seed():
    data = features(100, 8)
    y = [part[:, 3] for part in (data.train, data.validation)]
    first = MLP(data, 5)(*y)
    np.testing.assert_array_equal(first.test, MLP(data, 5)(*y).test)
    assert not np.array_equal(first.test, MLP(data, 6)(*y).test)


def test_the_perceptron_sees_as_many_training_states_whatever_the_features(monkeypatch):
    """Past the limit the states kept depend on seed and number alone: the others do not matter."""
    count = MAX_TRAIN_STATES + 50
    kept = np.random.default_rng(0).permutation(count)[:MAX_TRAIN_STATES]
    data = features(count, 2)
    y = [part[:, 0] for part in (data.train, data.validation)]
    changed = y[0].copy()
    changed[np.setdiff1d(np.arange(count), kept)] = 1e6
    monkeypatch.setattr(perceptron, "MAX_ROUNDS", 3)
    fit = MLP(data, 0)
    np.testing.assert_array_equal(fit(changed, y[1]).test, fit(*y).test)


def test_trees_stop_when_validation_no_longer_improves():
    data = features(200, 5)
    y = data.train[:, 0]
    helpful = TREES(data, 0)(y, data.validation[:, 0]).choice
    useless = TREES(data, 0)(y, -data.validation[:, 0]).choice
    assert int(useless.split()[0]) < int(helpful.split()[0])


@pytest.mark.parametrize("prepare", [TREE_CLASSES, MLP_CLASSES], ids=["trees", "mlp"])
def test_a_class_that_only_validation_knows_is_passed_over(prepare):
    data = features(80, 4)
    labels = np.where(data.train[:, 0] > 1, "a", "b")
    validation = np.where(data.validation[:, 0] > 1, "a", "unknown")
    found = prepare(data, 0)(labels, validation)
    assert set(found.validation) <= {"a", "b"}
    assert np.mean(found.test == np.where(data.test[:, 0] > 1, "a", "b")) > 0.8


def test_trees_are_the_same_for_the_same_seed():
    data = features(100, 400)
    y = [part[:, 3] for part in (data.train, data.validation)]
    np.testing.assert_array_equal(TREES(data, 5)(*y).test, TREES(data, 5)(*y).test)


def test_associated_columns_find_shift_and_spread():
    draw = np.random.default_rng(0)
    columns = draw.normal(size=(500, 50))
    target = columns[:, 7] + draw.normal(size=500)
    columns[:, 31] *= np.abs(target)
    assert {7, 31} <= set(associated_columns(columns, target, 5))
    labels = np.where(target > 0, "x", "y")
    assert 7 in associated_columns(columns, labels, 5)
    np.testing.assert_array_equal(associated_columns(columns, target, 50), np.arange(50))
