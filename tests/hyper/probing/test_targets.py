import numpy as np
import pandas as pd
import pytest

from geozoo.errors import InputError
from geozoo.hyper.probing.targets import collect_targets, varying_hyperparameters


@pytest.fixture
def members():
    return pd.DataFrame(
        {
            "member": ["a", "b", "c"],
            "cohort": ["0-000", "0-000", "0-001"],
            "position": [0, 1, 0],
            "seed": [1, 2, 3],
            "init": ["normal", "uniform", None],
            "lr": [1e-3, 1e-4, np.nan],
            "dropout": [0.0, 0.0, 0.0],
            "batch_size": [10, 20, 10],
            "plan": [0, 0, 1],
            "committed": [True, True, False],
        }
    )


@pytest.fixture
def metrics():
    return pd.DataFrame(
        {
            "epoch": [5, 5, 5],
            "test_accuracy": [0.1, 0.5, 0.9],
            "generalization_gap": [0.1] * 3,
            "train_loss": [3.0, 2.0, 1.0],
        }
    )


def test_targets_are_results_and_varying_hyperparameters(members, metrics):
    targets, constant = collect_targets(members, metrics)
    assert {target.name: target.kind for target in targets} == {
        "test_accuracy": "regression",
        "init": "classification",
        "lr": "regression",
        "batch_size": "regression",
    }
    assert constant == ["generalization_gap", "epoch", "dropout"]


def test_values_are_raw_and_missing_ones_are_known(members, metrics):
    targets, _ = collect_targets(members, metrics)
    by_name = {target.name: target for target in targets}
    np.testing.assert_array_equal(by_name["lr"].values, [1e-3, 1e-4, np.nan])
    assert by_name["lr"].present.tolist() == by_name["init"].present.tolist() == [True, True, False]


def test_named_targets_alone(members, metrics):
    targets, constant = collect_targets(members, metrics, ["lr", "dropout"])
    assert [target.name for target in targets] == ["lr"]
    assert constant == ["dropout"]


@pytest.mark.parametrize("name", ["seed", "train_loss", "learning_rate"])
def test_an_unknown_target_is_refused(members, metrics, name):
    with pytest.raises(InputError, match=f"'{name}' is no target of this zoo: choose from test_accuracy"):
        collect_targets(members, metrics, [name])


def test_the_seed_is_no_hyperparameter(members):
    assert varying_hyperparameters(members) == ["init", "lr", "batch_size"]
