import numpy as np
import pytest
from scipy.stats import kendalltau
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from geozoo.errors import InputError
from geozoo.hyper.probing.probe import probe
from geozoo.hyper.probing.table import Selection
from geozoo.hyper.splits import split_members
from geozoo.weights.statistics import layer_statistics
from tests.support.zoos import make_layout, make_zoo


@pytest.fixture(scope="module")
def zoos(tmp_path_factory):
    return [
        make_zoo(tmp_path_factory.mktemp("zoo"), members=members, cohorts=2, seed=seed, checkpoints=checkpoints)
        for members, seed, checkpoints in ((60, 0, (0, 1, 2)), (40, 1, (0, 3)))
    ]


def states_of(zoo, truth, part):
    """Statistics and test accuracies of the states of one part, put together without the probe."""
    members = split_members(zoo.members, "member") == part
    weights = truth.weights[members].reshape(-1, truth.weights.shape[2])
    accuracy = truth.metrics["test_accuracy"].to_numpy().reshape(len(members), -1)[members]
    return layer_statistics(weights, zoo.layout)[0], accuracy.ravel()


def test_fitted_on_one_zoo_and_scored_on_the_other(zoos):
    (first, first_truth), (other, other_truth) = zoos
    table = probe(first, features=["stats"], targets=["test_accuracy"], test_zoo=other)
    (row,) = (row for row in table.rows if (row.selection, row.family) == (Selection("all", "all"), "linear"))
    (x, y), (x_test, y_test) = states_of(first, first_truth, "train"), states_of(other, other_truth, "test")
    model = Ridge(alpha=float(row.choice.split()[1]), fit_intercept=False, solver="svd")
    predicted = model.fit(np.hstack([x, np.ones((len(x), 1))]), y).predict(
        np.hstack([x_test, np.ones((len(x_test), 1))])
    )
    assert (row.train_states, row.test_states) == (len(y), len(y_test))
    assert row.score.value == pytest.approx(r2_score(y_test, predicted), rel=1e-5)
    assert row.tau.value == pytest.approx(kendalltau(y_test, predicted).statistic, abs=1e-3)
    parts = [split_members(zoo.members, "member") for zoo in (first, other)]
    assert table.split_members == {
        "train": int(np.sum(parts[0] == "train")),
        "validation": int(np.sum(parts[0] == "validation")),
        "test": int(np.sum(parts[1] == "test")),
    }
    assert table.test_zoo == "simulated"


def test_a_target_must_vary_in_the_first_zoo(zoos):
    (first, _), (other, _) = zoos
    table = probe(first, features=["stats"], test_zoo=other)
    assert {"momentum", "batch_size"} <= set(table.constant)
    assert {row.target for row in table.rows} >= {"test_accuracy", "epoch", "lr", "init"}


def test_a_zoo_of_other_networks_is_refused(zoos, tmp_path):
    other, _ = make_zoo(tmp_path / "zoo", layout=make_layout({"0.weight": (10, 4), "0.bias": (10,)}))
    with pytest.raises(InputError, match=r"different layouts \(2,464 and 50 parameters\): test on a zoo of the same"):
        probe(zoos[0][0], test_zoo=other)
