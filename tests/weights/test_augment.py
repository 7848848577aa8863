"""Augmentations do what they say to every state on its own, and leave their input as it is."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from scipy import stats

from geozoo.errors import InputError
from geozoo.weights.augment import AddNoise, Erase, Permute, ScaleNoise, compose
from geozoo.weights.draws import RowDraws
from geozoo.weights.symmetry import network_symmetry, permute
from tests.support.networks import CATALOGUE, hollow_network, logits_of, random_state

CNN_S = network_symmetry("cnn_s", **CATALOGUE["cnn_s"])
EVERY = [Permute(CNN_S), Erase(), AddNoise(0.1), ScaleNoise(0.1), compose([Erase(), AddNoise(0.1)])]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draws(states: torch.Tensor, seed: int = 0) -> RowDraws:
    return RowDraws.of(generator(seed), len(states))


@pytest.mark.parametrize("augment", EVERY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_augmenting_is_a_function_of_input_and_generator(augment, dtype) -> None:
    weights = torch.randn(6, CNN_S.params, generator=generator()).to(dtype)
    before, state = weights.clone(), torch.get_rng_state()
    first, again, other = (augment(weights, draws(weights, seed)) for seed in (1, 1, 2))
    assert torch.equal(weights, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.dtype == dtype
    assert first.shape == weights.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, weights)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("augment", EVERY)
def test_states_are_augmented_each_on_its_own(augment) -> None:
    alike = torch.randn(1, CNN_S.params, generator=generator()).expand(40, -1)
    assert len(augment(alike, draws(alike, 1)).unique(dim=0)) > 15


@pytest.mark.parametrize("augment", EVERY)
def test_gradients_flow_through(augment) -> None:
    weights = torch.randn(3, CNN_S.params, generator=generator(), requires_grad=True)
    augment(weights, draws(weights, 1)).sum().backward()
    assert weights.grad is not None
    assert (weights.grad != 0).any(dim=1).all()


@pytest.mark.parametrize("augment", EVERY)
def test_an_augmentation_goes_to_another_process(augment) -> None:
    weights = torch.randn(3, CNN_S.params, generator=generator())
    there = pickle.loads(pickle.dumps(augment))
    assert torch.equal(there(weights, draws(weights, 1)), augment(weights, draws(weights, 1)))


def test_permute_keeps_every_function() -> None:
    module = hollow_network("cnn_s", "tanh")
    states = torch.stack([random_state(CNN_S.layout, generator(seed)) for seed in range(4)])
    images = torch.randn(3, 1, 28, 28, dtype=torch.float64, generator=generator())
    for before, after in zip(states, Permute(CNN_S)(states, draws(states)), strict=True):
        assert not torch.equal(before, after)
        torch.testing.assert_close(logits_of(module, after, images), logits_of(module, before, images))


def test_erased_blocks_are_contiguous_and_follow_the_published_distribution() -> None:
    params, count = 5000, 4000
    weights = torch.ones(count, params)
    erased = (Erase()(weights, draws(weights)) == 0).numpy()
    lengths = erased.sum(axis=1)
    edges = np.abs(np.diff(np.pad(erased, ((0, 0), (1, 1))).astype(np.int8), axis=1)).sum(axis=1)
    hit = lengths > 0
    np.testing.assert_array_equal(edges, np.where(hit, 2, 0))
    assert stats.binomtest(int(hit.sum()), count, 0.5).pvalue > 1e-3
    assert stats.kstest(lengths[hit] / params, stats.uniform(0.02, 0.31).cdf).pvalue > 1e-3
    place = erased.argmax(axis=1)[hit] / (params - lengths[hit])
    assert stats.kstest(place, stats.uniform(0, 1).cdf).pvalue > 1e-3
    assert stats.pearsonr(place, lengths[hit]).pvalue > 1e-3


def test_erasing_keeps_what_it_does_not_hit_and_writes_its_value() -> None:
    weights = torch.randn(50, 200, generator=generator())
    erased = Erase(probability=1.0, fraction=(0.5, 0.5), value=7.0)(weights, draws(weights, 1))
    hit = erased != weights
    np.testing.assert_array_equal(hit.sum(dim=1), 100)
    assert (erased[hit] == 7).all()
    assert torch.equal(Erase(probability=0.0)(weights, draws(weights)), weights)
    assert (Erase(probability=1.0, fraction=(1.0, 1.0))(weights, draws(weights)) == 0).all()


def test_noise_is_gaussian_with_the_deviation_asked_for() -> None:
    weights = torch.randn(8, 5000, dtype=torch.float64, generator=generator())
    added = (AddNoise(0.05)(weights, draws(weights, 1)) - weights) / 0.05
    scaled = (ScaleNoise(0.1)(weights, draws(weights, 2)) / weights - 1) / 0.1
    for noise in (added, scaled):
        assert stats.kstest(noise.flatten().numpy(), "norm").pvalue > 1e-3
        assert abs(stats.pearsonr(noise.flatten(), weights.flatten()).statistic) < 0.02
        assert abs(np.corrcoef(noise)[np.triu_indices(8, 1)]).max() < 0.06
    assert (ScaleNoise(0.1)(torch.zeros(2, 10), draws(torch.zeros(2, 10))) == 0).all()
    assert torch.equal(AddNoise(0.0)(weights, draws(weights)), weights)


def test_composition_applies_one_after_the_other_with_one_generator() -> None:
    weights = torch.randn(5, CNN_S.params, generator=generator())
    steps = [Permute(CNN_S), AddNoise(0.1), Erase(probability=1.0)]
    together = compose(steps)(weights, draws(weights, 1))
    shared, expected = draws(weights, 1), weights
    for step in steps:
        expected = step(expected, shared)
    assert torch.equal(together, expected)
    assert (together == 0).any(dim=1).all()
    assert torch.equal(compose([])(weights, draws(weights)), weights)


def test_views_drawn_one_after_the_other_are_permutations_of_each_other() -> None:
    weights = torch.randn(5, CNN_S.params, generator=generator())
    shared = draws(weights, 1)
    first, second = (Permute(CNN_S)(weights, shared) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(first.sort(dim=1).values, second.sort(dim=1).values)
    with pytest.raises(InputError, match=r"give \[n, 2464\]"):
        permute(weights[:, 1:], CNN_S, [])


@pytest.mark.parametrize("augment", EVERY)
def test_workers_that_share_a_batch_draw_what_one_would(augment) -> None:
    weights = torch.randn(7, CNN_S.params, generator=generator())
    alone = augment(weights, draws(weights, 1))
    for rows in (slice(0, 3), slice(3, 3), slice(3, 7)):
        assert torch.equal(augment(weights[rows], RowDraws(generator(1), 7, rows)), alone[rows])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Erase(probability=1.5), "with probability 1.5: give numbers in"),
        (lambda: Erase(fraction=(0.5, 0.2)), r"fraction \(0.5, 0.2\)"),
        (lambda: AddNoise(-0.1), "sigma is -0.1"),
        (lambda: ScaleNoise(float("nan")), "sigma is nan"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(make, message) -> None:
    with pytest.raises(InputError, match=message):
        make()
