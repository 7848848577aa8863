import itertools
from itertools import pairwise

import numpy as np
import pytest
import torch

from geozoo.hyper.analysis.barrier import barrier_height, draw_pairs, interpolate, measure_barriers
from geozoo.hyper.analysis.evaluate import Evaluator
from geozoo.hyper.networks import Networks
from geozoo.nets import build_network, derive_layout, flatten
from tests.support.population import simulated_images

NETWORK = {"name": "cnn_s", "channels": 1, "size": 28, "classes": 10}


@pytest.fixture(scope="module")
def trained():
    """A network with sharp logits, and a copy of it with its units in another order."""
    torch.manual_seed(0)
    images = simulated_images(train=200, test=100)
    module = build_network(**NETWORK, activation="tanh")
    inputs = torch.tensor((images.train.images / 255 - 0.4) / 0.3, dtype=torch.float32)
    labels = torch.tensor(images.train.labels)
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(inputs), labels).backward()
        optimizer.step()
    layout = derive_layout(module)
    original = flatten(module.state_dict(), layout).numpy()
    shuffle_units(module)
    return images, original, flatten(module.state_dict(), layout).numpy()


def shuffle_units(module):
    """Put the units of every hidden layer into another order, which changes no output."""
    layers = [module.module_list.get_submodule(name) for name in ("0", "3", "6", "9", "11")]
    with torch.no_grad():
        for layer, following in pairwise(layers):
            order = torch.arange(len(layer.bias)).flip(0)
            layer.weight.copy_(layer.weight[order])
            layer.bias.copy_(layer.bias[order])
            by_unit = following.weight.unflatten(1, (len(order), -1))
            following.weight.copy_(by_unit[:, order].reshape(following.weight.shape))


def test_a_permuted_copy_lies_behind_a_barrier_that_alignment_removes(trained):
    images, original, permuted = trained
    weights = np.stack([original, permuted])
    evaluate = Evaluator(Networks(**NETWORK), images, images=100).on("test", "tanh")
    assert evaluate(weights)[0][0] == pytest.approx(evaluate(weights)[0][1], rel=1e-4)

    def perfect(states, reference):
        assert np.array_equal(states[0], permuted)
        assert np.array_equal(reference, original)
        return original[None]

    (found,) = measure_barriers([(0, 1)], ["a", "b"], weights, evaluate, perfect)
    assert found.before.loss_barrier > 0.1
    assert found.before.accuracy_barrier > 0.05
    assert found.after.loss_barrier == pytest.approx(0, abs=1e-5)
    assert found.after.accuracy_barrier == 0
    (found,) = measure_barriers([(0, 1)], ["a", "b"], weights, evaluate, None)
    assert found.after is None


def test_the_line_of_a_quadratic_loss_has_the_barrier_of_its_closed_form():
    """-|w|² between two states bulges by |a - b|² / 4 over the chord, in the middle."""
    a, b = np.random.default_rng(0).normal(size=(2, 6))
    curve = -(interpolate(a, b, 21).astype(float) ** 2).sum(axis=1)
    assert barrier_height(curve) == pytest.approx(np.sum((a - b) ** 2) / 4, rel=1e-5)
    assert barrier_height(-curve) == pytest.approx(0, abs=1e-12)


def test_the_ends_of_a_line_are_the_members():
    a, b = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    line = interpolate(a, b, 5)
    assert np.array_equal(line[0], a)
    assert np.array_equal(line[-1], b)
    assert np.allclose(line[2], (a + b) / 2)


def test_pairs_share_their_activation_and_never_repeat():
    activations = ["relu"] * 4 + ["tanh"] * 2 + ["gelu"]
    pairs = draw_pairs(activations, 12, np.random.default_rng(0))
    assert all(activations[first] == activations[second] and first != second for first, second in pairs)
    assert len({frozenset(pair) for pair in pairs}) == len(pairs) == 7
    possible = {frozenset(pair) for pair in itertools.combinations(range(4), 2)} | {frozenset((4, 5))}
    assert {frozenset(pair) for pair in pairs} == possible
    assert {activations[first] for first, _ in draw_pairs(activations, 2, np.random.default_rng(0))} == {"relu", "tanh"}
