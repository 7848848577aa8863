"""Targets as outputs of one network: against plain sums and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from geozoo.errors import InputError
from geozoo.hyper.probing.outputs import code_outputs, decode_outputs, encode_targets, known_targets, outputs_loss
from geozoo.hyper.probing.targets import Target


@pytest.fixture
def targets():
    return [
        Target("accuracy", "regression", np.array([0.1, np.nan, 0.7, 0.4, 0.9])),
        Target("init", "classification", np.array(["normal", "uniform", "", "uniform", "kaiming"])),
    ]


def test_loss_is_the_mean_over_targets_of_that_of_known_values(targets):
    outputs = code_outputs(targets)
    raw = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 4)))
    known = np.array([0.1, 0.7, 0.4, 0.9])
    squared = np.mean((raw[[0, 2, 3, 4], 0].numpy() - (known - known.mean()) / known.std()) ** 2)
    chances = torch.softmax(raw[[0, 1, 3, 4], 1:], dim=1).numpy()
    entropy = log_loss(["normal", "uniform", "uniform", "kaiming"], chances, labels=["kaiming", "normal", "uniform"])
    loss = outputs_loss(raw, encode_targets(targets, outputs), outputs)
    assert float(loss) == pytest.approx((squared + entropy) / 2, rel=1e-12)


def test_missing_values_have_no_gradient(targets):
    outputs = code_outputs(targets)
    raw = torch.zeros(5, 4, requires_grad=True)
    outputs_loss(raw, encode_targets(targets, outputs), outputs).backward()
    touched = raw.grad.ne(0)
    assert touched[:, 0].tolist() == [True, False, True, True, True]
    assert touched[:, 1:].all(dim=1).tolist() == [True, True, False, True, True]
    assert known_targets(encode_targets(targets, outputs), outputs).T.tolist() == [
        [True, False, True, True, True],
        [True, True, False, True, True],
    ]


def test_a_batch_without_a_known_value_counts_nothing(targets):
    outputs = code_outputs(targets)
    coded = torch.tensor([[float("nan"), -1.0]], dtype=torch.float64)
    assert float(outputs_loss(torch.ones(1, 4), coded, outputs)) == 0


def test_decoding_gives_back_what_was_coded_within_the_training_range(targets):
    outputs = code_outputs(targets)
    coded = encode_targets(targets, outputs)
    raw = torch.cat([coded[:, :1], torch.eye(3)[coded[:, 1].long()]], dim=1)
    decoded = decode_outputs(raw[[0, 3, 4]], outputs)
    np.testing.assert_allclose(decoded["accuracy"], [0.1, 0.4, 0.9], rtol=1e-12)
    assert decoded["init"].tolist() == ["normal", "uniform", "kaiming"]
    assert decode_outputs(torch.tensor([[99.0, 0, 0, 0], [-99.0, 0, 0, 0]]), outputs)["accuracy"].tolist() == [0.9, 0.1]


def test_a_class_that_was_not_coded_is_missing(targets):
    outputs = code_outputs(targets[1:])
    coded = encode_targets([Target("init", "classification", np.array(["orthogonal", "normal"]))], outputs)
    assert known_targets(coded, outputs)[:, 0].tolist() == [False, True]


def test_targets_that_do_not_go(targets):
    with pytest.raises(InputError, match="nothing to predict"):
        code_outputs([])
    with pytest.raises(InputError, match="'gap' has no value among the training states"):
        code_outputs([Target("gap", "regression", np.array([np.nan, np.nan]))])
    with pytest.raises(InputError, match="targets init are not the trained accuracy, init"):
        encode_targets(targets[1:], code_outputs(targets))
