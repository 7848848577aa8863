"""A permuted network computes what the network computes, and trains as it trains."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geozoo.nets import ACTIVATIONS, INITIALISERS, build_network, derive_layout, flatten, load_flat, unflatten
from geozoo.population.initial import initial_weights
from geozoo.population.optimizers import OPTIMIZERS
from geozoo.weights.symmetry import (
    Symmetry,
    draw_permutations,
    identity_permutations,
    network_symmetry,
    permute,
    symmetry_of,
)
from tests.support.networks import CATALOGUE, hollow_network, logits_of, random_state, small_resnet
from tests.support.population import hyperparameters

if TYPE_CHECKING:
    from geozoo.weights.permutation import Permutations

PLAIN = [name for name in CATALOGUE if name != "resnet18"]


@cache
def drawn_state(name: str, init: str) -> Tensor:
    """Weights from an initialiser, float64; what starts as a constant (biases, BatchNorm) is disturbed."""
    symmetry = network_symmetry(name, **CATALOGUE[name])
    arguments = {"name": name, "activation": "relu", **CATALOGUE[name]}
    state = torch.from_numpy(initial_weights(arguments, [1], [hyperparameters(init=init)])[0]).double()
    noise = 0.1 * torch.randn(state.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for slot in symmetry.layout:
        if len(slot.shape) == 1:
            state[slot.span] += noise[slot.span]
    return state


def random_images(name: str, count: int) -> Tensor:
    given = CATALOGUE[name]
    shape = (count, given["channels"], given["size"], given["size"])
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def randomise_statistics(module: nn.Module, images: Tensor) -> None:
    """Running statistics of the size of the activations that there are, each off by up to a factor of two."""
    generator = torch.Generator().manual_seed(3)
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        module.train()(images)
        for norm in norms:
            shift, scale = torch.rand((2, norm.num_features), dtype=torch.float64, generator=generator)
            norm.running_mean += (shift - 0.5) * norm.running_var.sqrt()
            norm.running_var *= 4 ** (scale - 0.5)


def deviation(module: nn.Module, state: Tensor, moved: Tensor, images: Tensor) -> float:
    """max |f(x) - f(Px)| / max(1, max |f(x)|)."""
    logits = logits_of(module, state, images)
    assert logits.isfinite().all()
    return float((logits - logits_of(module, moved, images)).abs().max() / logits.abs().max().clamp(min=1))


def check_equivalence(name: str, init: str, activation: str, images: Tensor) -> None:
    symmetry = network_symmetry(name, **CATALOGUE[name])
    module = hollow_network(name, activation)
    load_flat(module, drawn_state(name, init), symmetry.layout)
    randomise_statistics(module, images)
    state = flatten(module.state_dict(), symmetry.layout)
    drawn = draw_permutations(symmetry, 1, torch.Generator().manual_seed(4))
    (moved,) = permute(state[None], symmetry, drawn)
    assert not torch.equal(moved, state)
    assert deviation(module, state, moved, images) < 1e-10
    assert deviation(module.float(), state, moved, images.float()) < 1e-5


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("init", sorted(INITIALISERS))
@pytest.mark.parametrize("name", PLAIN)
def test_a_permuted_network_computes_the_same(name: str, init: str, activation: str) -> None:
    check_equivalence(name, init, activation, random_images(name, 8))


@pytest.mark.parametrize("init", sorted(INITIALISERS))
def test_a_permuted_resnet_computes_the_same(init: str) -> None:
    for activation in sorted(ACTIVATIONS):
        check_equivalence("resnet18", init, activation, random_images("resnet18", 2))
    drawn_state.cache_clear()


def test_running_statistics_left_behind_change_a_network() -> None:
    """What the test above would not see if statistics kept their defaults."""
    module = small_resnet()
    symmetry = symmetry_of(module, (2, 8, 8))
    generator = torch.Generator().manual_seed(0)
    state = random_state(symmetry.layout, generator)
    images = torch.randn(4, 2, 8, 8, dtype=torch.float64, generator=generator)
    (moved,) = permute(state[None], symmetry, draw_permutations(symmetry, 1, generator))
    assert deviation(module, state, moved, images) < 1e-10
    for slot in symmetry.layout:
        if slot.role == "buffer":
            moved[slot.span] = state[slot.span]
    assert deviation(module, state, moved, images) > 1e-2


class Training:
    """A network in training on fixed batches by an optimiser of the catalogue; both can be permuted on the way."""

    def __init__(self, module: nn.Module, state: Tensor, symmetry: Symmetry, optimizer: str) -> None:
        self.module, self.symmetry, self.layout = module, symmetry, derive_layout(module)
        load_flat(module, state, self.layout)
        chosen = hyperparameters(optimizer=optimizer, lr=1e-2, weight_decay=1e-2, momentum=0.9)
        self.optimizer = OPTIMIZERS[optimizer].reference(module.parameters(), chosen)

    @property
    def state(self) -> Tensor:
        return flatten(self.module.state_dict(), self.layout)

    def run(self, images: Tensor, labels: Tensor) -> None:
        """Train on batches ``[steps, batch, ...]`` in their order."""
        self.module.train()
        for inputs, targets in zip(images, labels, strict=True):
            self.optimizer.zero_grad()
            F.cross_entropy(self.module(inputs), targets).backward()
            self.optimizer.step()

    def permute_weights(self, permutations: Permutations) -> None:
        load_flat(self.module, permute(self.state[None], self.symmetry, permutations)[0], self.layout)

    def permute_moments(self, permutations: Permutations) -> None:
        """Every tensor that the optimiser keeps for each weight moves as the weights do."""
        parameters = dict(self.module.named_parameters())
        kept = self.optimizer.state[next(iter(parameters.values()))]
        for key in [key for key, value in kept.items() if isinstance(value, Tensor) and value.ndim]:
            moments = {name: self.optimizer.state[tensor][key] for name, tensor in parameters.items()}
            vector = flatten({**self.module.state_dict(), **moments}, self.layout)
            (moved,) = permute(vector[None], self.symmetry, permutations)
            for name, tensor in unflatten(moved, self.layout).items():
                if name in moments:
                    moments[name].copy_(tensor)


def batches(steps: int, batch: int, shape: tuple[int, ...], classes: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    images = torch.randn((steps, batch, *shape), dtype=torch.float64, generator=generator)
    return images, torch.randint(classes, (steps, batch), generator=generator)


def worst(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / one.abs().max())


def check_training(build, shape: tuple[int, ...], classes: int, optimizer: str, steps: int, batch: int) -> None:
    """Train, permute, train on: the same as training all along and permuting at the end; weights and moments."""
    plain, halfway, careless = build(), build(), build()
    symmetry = symmetry_of(plain, shape)
    start = random_state(symmetry.layout, torch.Generator().manual_seed(5))
    drawn = draw_permutations(symmetry, 1, torch.Generator().manual_seed(6))
    runs = [Training(module, start, symmetry, optimizer) for module in (plain, halfway, careless)]
    images, labels = batches(steps, batch, shape, classes)
    half = steps // 2
    for run in runs:
        run.run(images[:half], labels[:half])
    before, halfway_run, careless_run = runs
    halfway_run.permute_weights(drawn)
    halfway_run.permute_moments(drawn)
    careless_run.permute_weights(drawn)
    for run in runs:
        run.run(images[half:], labels[half:])
    (expected,) = permute(before.state[None], symmetry, drawn)
    assert worst(expected, permute(start[None], symmetry, drawn)[0]) > 1e-3
    assert worst(expected, halfway_run.state) < 1e-9
    assert worst(expected, careless_run.state) > 1e-5


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_training_a_permuted_cnn_equals_permuting_the_trained_one(optimizer: str) -> None:
    """20 steps in float64 without dropout; moments left behind in the middle would be seen."""

    def build() -> nn.Module:
        return build_network("cnn_s", activation="tanh", **CATALOGUE["cnn_s"]).double()

    check_training(build, (1, 28, 28), 10, optimizer, steps=20, batch=8)


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_training_a_permuted_residual_network_equals_permuting_the_trained_one(optimizer: str) -> None:
    """Small residual blocks with BatchNorm in training mode: running statistics included."""
    check_training(small_resnet, (2, 8, 8), 5, optimizer, steps=20, batch=8)


def test_training_a_permuted_resnet18_equals_permuting_the_trained_one() -> None:
    check_training(lambda: hollow_network("resnet18"), (3, 16, 16), 10, "sgd", steps=2, batch=3)


def test_the_identity_changes_nothing() -> None:
    symmetry = network_symmetry("cnn_s", **CATALOGUE["cnn_s"])
    state = random_state(symmetry.layout, torch.Generator().manual_seed(0))[None]
    assert torch.equal(permute(state, symmetry, identity_permutations(symmetry, 1)), state)
