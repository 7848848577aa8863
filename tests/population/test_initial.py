from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from geozoo.nets import INITIALISERS, build_network, derive_layout
from geozoo.population.initial import initial_weights
from tests.support.population import hyperparameters

CNN_S = {"name": "cnn_s", "channels": 1, "size": 28, "classes": 10, "activation": "tanh"}
LAYOUT = derive_layout(build_network(**CNN_S))


def draw(init: str, seeds: range = range(60), **chosen: object) -> dict[str, np.ndarray]:
    """Initial tensors by name, ``[members, size]``."""
    rows = initial_weights(CNN_S, list(seeds), [hyperparameters(init=init, **chosen)] * len(seeds))
    return {slot.name: rows[:, slot.span] for slot in LAYOUT}


@pytest.mark.parametrize(
    ("init", "distribution"),
    [
        # conv 1 has fan-in 25 and fan-out 200, the first dense layer fan-in 36 and fan-out 20
        ("uniform", lambda fan_in, fan_out: stats.uniform(0, 1)),
        ("normal", lambda fan_in, fan_out: stats.norm(0, 0.7)),
        ("trunc_normal", lambda fan_in, fan_out: stats.truncnorm(-2, 2, 0, 0.7)),
        ("kaiming_uniform", lambda fan_in, fan_out: stats.uniform(-((6 / fan_in) ** 0.5), 2 * (6 / fan_in) ** 0.5)),
        ("kaiming_normal", lambda fan_in, fan_out: stats.norm(0, (2 / fan_in) ** 0.5)),
        (
            "xavier_uniform",
            lambda fan_in, fan_out: stats.uniform(
                -((6 / (fan_in + fan_out)) ** 0.5), 2 * (6 / (fan_in + fan_out)) ** 0.5
            ),
        ),
        ("xavier_normal", lambda fan_in, fan_out: stats.norm(0, (2 / (fan_in + fan_out)) ** 0.5)),
    ],
)
def test_weights_follow_the_distribution_in_closed_form(init: str, distribution: object) -> None:
    tensors = draw(init, init_std=0.7)
    for name, fan_in, fan_out in (("module_list.0.weight", 25, 200), ("module_list.9.weight", 36, 20)):
        assert stats.kstest(tensors[name].ravel(), distribution(fan_in, fan_out).cdf).pvalue > 1e-3


def test_orthogonal_rows_are_orthonormal() -> None:
    for matrix in draw("orthogonal", range(3))["module_list.9.weight"].reshape(3, 20, 36):
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(20), atol=1e-5)


def test_every_initialiser_is_covered_and_every_bias_starts_at_a_hundredth() -> None:
    for init in INITIALISERS:
        for name, values in draw(init, range(2)).items():
            if name.endswith("bias"):
                assert (values == np.float32(0.01)).all()


def test_unterthiner_biases_start_at_zero() -> None:
    network = CNN_S | {"name": "unterthiner"}
    layout = derive_layout(build_network(**network))
    (row,) = initial_weights(network, [1], [hyperparameters()])
    assert all((row[slot.span] == 0).all() for slot in layout if slot.role == "bias")


def test_batch_norm_starts_as_the_identity() -> None:
    network = {"name": "resnet18", "channels": 3, "size": 16, "classes": 10, "activation": "relu"}
    layout = derive_layout(build_network(**network))
    (row,) = initial_weights(network, [1], [hyperparameters(init="normal")])
    starts = {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1}
    norms = [slot for slot in layout if slot.kind == "batchnorm2d"]
    assert len(norms) == 20 * len(starts)
    assert all((row[slot.span] == starts[slot.name.rpartition(".")[2]]).all() for slot in norms)


def test_weights_depend_on_seed_and_initialiser_alone() -> None:
    members = [hyperparameters(), hyperparameters(lr=1e-1, dropout=0.5), hyperparameters(init="normal")]
    first, second, third = initial_weights(CNN_S, [5, 5, 5], members)
    np.testing.assert_array_equal(first, second)
    assert (first != third).any()
    assert (initial_weights(CNN_S, [6], members[:1])[0] != first).any()


def test_drawing_leaves_torch_global_randomness_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    initial_weights(CNN_S, [1], [hyperparameters()])
    state = torch.rand(3)
    torch.manual_seed(1)
    build_network(**CNN_S)
    assert torch.equal(state, torch.rand(3)) or torch.equal(state, expected)
