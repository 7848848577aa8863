"""The equivariant predictor: what it must not see, and what it must find."""

import sys

import numpy as np
import pytest
import torch
from nfn.common import WeightSpaceFeatures, network_spec_from_wsfeat
from nfn.layers import HNPLinear

from geozoo.errors import InputError, NetworkError
from geozoo.hyper.probing.equivariant import EquivariantSettings, fit_equivariant
from geozoo.hyper.probing.fitting import Features
from geozoo.hyper.probing.invariant import InvariantNetwork
from geozoo.hyper.probing.ridge import prepare_ridge
from geozoo.hyper.probing.targets import Target
from geozoo.weights.layers import LayerBatch, from_layers, to_layers
from geozoo.weights.statistics import layer_statistics
from geozoo.weights.wiring import network_wiring

CNN = {"name": "cnn_s", "channels": 1, "size": 28, "classes": 10}
TETRIS = {"name": "tetris_mlp", "channels": 1, "size": 4, "classes": 4}
QUICK = EquivariantSettings(channels=(4,), hidden=64, epochs=12, batch_size=128, lr=1e-2)


def permute_cnn_s(states: np.ndarray, orders: list[np.ndarray], classes: np.ndarray | None = None) -> np.ndarray:
    """Hidden unit ``u`` of layer ``i`` becomes the one that was ``orders[i][u]``: a plain loop over all weights."""
    sizes = [(8, 1, 25), (6, 8, 25), (4, 6, 4), (20, 4, 9), (10, 20, 1)]
    orders = [np.arange(1), *orders, np.arange(10) if classes is None else classes]
    out, offset = states.copy(), 0
    for layer, (outputs, inputs, block) in enumerate(sizes):
        bias = offset + outputs * inputs * block
        for output in range(outputs):
            for entry in range(inputs):
                old = offset + (orders[layer + 1][output] * inputs + orders[layer][entry]) * block
                new = offset + (output * inputs + entry) * block
                out[:, new : new + block] = states[:, old : old + block]
            out[:, bias + output] = states[:, bias + orders[layer + 1][output]]
        offset = bias + outputs
    return out


@pytest.fixture(scope="module")
def states():
    return np.random.default_rng(0).normal(size=(3, 2464))


@pytest.fixture(scope="module")
def orders():
    draw = np.random.default_rng(1)
    return [draw.permutation(size) for size in (8, 6, 4, 20)]


def outputs_of(network, states, wiring):
    with torch.no_grad():
        return network(torch.from_numpy(states), torch.from_numpy(layer_statistics(states, wiring.layout)[0])).numpy()


def test_nfn_layers_are_equivariant_on_our_layers_across_the_flatten(states, orders):
    wiring = network_wiring(**CNN)
    torch.manual_seed(0)

    def through(flat, layer):
        with torch.no_grad():
            out = layer(WeightSpaceFeatures(*to_layers(torch.from_numpy(flat), wiring)))
        one = LayerBatch(tuple(w[:, :1] for w in out.weights), tuple(b[:, :1] for b in out.biases))
        return from_layers(one, wiring).numpy()

    spec = network_spec_from_wsfeat(WeightSpaceFeatures(*to_layers(torch.from_numpy(states), wiring)))
    layer = HNPLinear(spec, 1, 2).double()
    expected = permute_cnn_s(through(states, layer), orders)
    np.testing.assert_allclose(through(permute_cnn_s(states, orders), layer), expected, atol=1e-10)
    assert np.abs(expected - through(states, layer)).max() > 0.1


def test_permuting_hidden_units_leaves_the_outputs(states, orders):
    wiring = network_wiring(**CNN)
    torch.manual_seed(0)
    network = InvariantNetwork(wiring, (4, 4), 32, statistics=70, outputs=3)
    weights = torch.from_numpy(states).float()
    network.standardise(weights, torch.from_numpy(layer_statistics(states, wiring.layout)[0]).float())
    network = network.double().eval()
    before = outputs_of(network, states, wiring)
    np.testing.assert_allclose(outputs_of(network, permute_cnn_s(states, orders), wiring), before, rtol=0, atol=1e-10)
    other_classes = permute_cnn_s(states, orders, classes=np.roll(np.arange(10), 1))
    assert np.abs(outputs_of(network, other_classes, wiring) - before).max() > 1e-4


def test_standardisation_is_that_of_each_tensor(states):
    wiring = network_wiring(**CNN)
    statistics = layer_statistics(states, wiring.layout)[0]
    network = InvariantNetwork(wiring, (2,), 8, statistics=70, outputs=1).double()
    network.standardise(torch.from_numpy(states), torch.from_numpy(statistics))
    slots = [slot for role in ("weight", "bias") for slot in wiring.layout if slot.role == role]
    np.testing.assert_allclose(network.centre, [states[:, slot.span].mean() for slot in slots], rtol=1e-9)
    np.testing.assert_allclose(network.scale, [states[:, slot.span].std() for slot in slots], rtol=1e-9)
    np.testing.assert_allclose(network.statistics_scale, statistics.std(axis=0), rtol=1e-9)


def coupled(seed: int, n: int) -> tuple[np.ndarray, list[Target]]:
    """States of a two-layer network, and a property that hangs on which weights meet in one hidden unit."""
    draw = np.random.default_rng(seed)
    weights = draw.normal(size=(n, 100)).astype(np.float32)
    inward, outward = weights[:, :80].reshape(n, 5, 16), weights[:, 80:].reshape(n, 4, 5)
    strength = (inward.mean(axis=2) * outward.mean(axis=1)).sum(axis=1).astype(np.float64)
    sign = np.where(strength > 0, "positive", "negative")
    known = draw.uniform(size=n) < 0.8
    return weights, [
        Target("strength", "regression", np.where(known, strength, np.nan)),
        Target("sign", "classification", np.where(known, sign, "")),
    ]


@pytest.fixture(scope="module")
def fitted():
    train, validation = coupled(0, 2000), coupled(1, 500)
    return fit_equivariant(*train, *validation, network_wiring(**TETRIS), settings=QUICK)


def test_it_finds_a_property_that_a_ridge_on_raw_weights_does_not(fitted):
    parts = [coupled(seed, n) for seed, n in ((0, 2000), (1, 500), (2, 500))]
    rows = [targets[0].present for _, targets in parts]
    values = [targets[0].values[known] for (_, targets), known in zip(parts, rows, strict=True)]
    features = Features(*(weights[known] for (weights, _), known in zip(parts, rows, strict=True)))
    ridge = prepare_ridge(features, 0)(values[0], values[1]).test
    predicted = fitted(features.test)

    def r2(guess):
        return 1 - np.sum((values[2] - guess) ** 2) / np.sum((values[2] - values[2].mean()) ** 2)

    assert r2(ridge) < 0.1
    assert r2(predicted["strength"]) > 0.8
    assert np.mean(predicted["sign"] == parts[2][1][1].values[rows[2]]) > 0.85


def test_predictions_of_a_fitted_one_do_not_change_with_the_order_of_units(fitted):
    weights = coupled(3, 20)[0]
    order = [4, 2, 0, 1, 3]
    inward, outward = weights[:, :80].reshape(-1, 5, 16), weights[:, 80:].reshape(-1, 4, 5)
    permuted = np.hstack([inward[:, order].reshape(-1, 80), outward[:, :, order].reshape(-1, 20)])
    np.testing.assert_allclose(fitted(permuted)["strength"], fitted(weights)["strength"], atol=1e-4)


def test_the_seed_decides_and_torch_is_left_alone():
    train, validation = coupled(0, 200), coupled(1, 50)
    settings = QUICK.model_copy(update={"epochs": 2})

    def fit(seed):
        state = torch.random.get_rng_state()
        predictor = fit_equivariant(*train, *validation, network_wiring(**TETRIS), settings=settings, seed=seed)
        assert torch.equal(torch.random.get_rng_state(), state)
        return predictor(validation[0])["strength"]

    first = fit(0)
    np.testing.assert_array_equal(fit(0), first)
    assert np.abs(fit(1) - first).max() > 1e-3


def test_training_stops_and_keeps_the_epoch_with_the_least_validation_loss():
    """With labels of noise nothing but the first epochs can be of use."""
    draw = np.random.default_rng(0)
    parts = [
        (draw.normal(size=(n, 100)).astype(np.float32), [Target("noise", "regression", draw.normal(size=n))])
        for n in (128, 400)
    ]
    seen = []
    predictor = fit_equivariant(
        *parts[0],
        *parts[1],
        network_wiring(**TETRIS),
        settings=EquivariantSettings(channels=(8,), epochs=60, patience=3, lr=1e-2),
        progress=lambda what, done, whole: seen.append((done, whole)),
    )
    assert seen == [(epoch, 60) for epoch in range(1, predictor.epochs + 1)]
    assert predictor.epochs < 60
    noise = parts[0][1][0].values
    standard = (predictor(parts[1][0])["noise"] - parts[1][1][0].values) / noise.std()
    assert np.mean(standard**2) == pytest.approx(predictor.validation_loss, rel=0.05)


def test_without_nfn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nfn", None)
    with pytest.raises(InputError, match=r"needs the package nfn.*geozoo\[analysis\]"):
        InvariantNetwork(network_wiring(**TETRIS), (4,), 8, statistics=14, outputs=1)


def test_what_cannot_be_fitted():
    weights, targets = coupled(0, 20)
    empty = [Target("strength", "regression", np.full(20, np.nan)), Target("sign", "classification", np.full(20, ""))]
    with pytest.raises(InputError, match="no validation state has a value"):
        fit_equivariant(weights, targets, weights, empty, network_wiring(**TETRIS))
    residual = network_wiring("resnet18", channels=3, size=32, classes=10)
    with pytest.raises(NetworkError, match="not a row of layers"):
        InvariantNetwork(residual, (4,), 8, statistics=14, outputs=1)
