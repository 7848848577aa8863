"""Losses against torch.nn, pytorch-metric-learning, plain loops and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pytorch_metric_learning.losses import NTXentLoss
from torch import Tensor, nn

from geozoo.errors import InputError
from geozoo.hyper.losses import (
    batch_normalised,
    combined,
    layer_normalised,
    layer_numbers,
    layer_scales,
    nt_xent,
    reconstruction,
)
from geozoo.nets import build_network, derive_layout

CNN_S = derive_layout(build_network("cnn_s", channels=1, size=28, classes=10, activation="tanh"))
SPANS = [slice(0, 208), slice(208, 1414), slice(1414, 1514), slice(1514, 2254), slice(2254, 2464)]
"""The five layers of the published index: each with its bias."""


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture
def weights() -> tuple[Tensor, Tensor, Tensor]:
    """Prediction, target and mask of six simulated states; layers differ in scale, a weight in three is covered."""
    scale = torch.ones(2464, dtype=torch.float64)
    for number, span in enumerate(SPANS):
        scale[span] = 10.0**-number
    mask = torch.rand(6, 2464, generator=torch.Generator().manual_seed(9)) < 1 / 3
    return normal(6, 2464, seed=1) * scale, normal(6, 2464, seed=2) * scale + 0.5, mask


def test_reconstruction_is_the_mean_squared_error(weights: tuple[Tensor, Tensor, Tensor]) -> None:
    predicted, target, mask = weights
    torch.testing.assert_close(reconstruction(predicted, target), nn.MSELoss()(predicted, target))
    torch.testing.assert_close(reconstruction(predicted, target, mask), nn.MSELoss()(predicted[mask], target[mask]))


def test_layers_are_those_of_the_published_index_and_buffers_stand_alone() -> None:
    numbers = layer_numbers(CNN_S)
    assert [numbers[span].unique().tolist() for span in SPANS] == [[0], [1], [2], [3], [4]]
    module = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    assert layer_numbers(derive_layout(module)).tolist() == [0] * 4 + [1] * 4 + [2] * 2 + [3] * 2


def test_layer_scales_are_standard_deviations_with_a_floor() -> None:
    states = normal(9, 2464, dtype=torch.float32)
    states[:, SPANS[1]] *= 1e-6
    expected = [np.std(states[:, span].numpy().astype(np.float64)) for span in SPANS]
    expected[1] = 1e-4
    scales = layer_scales(states, CNN_S)
    assert scales.dtype == torch.float32
    for span, value in zip(SPANS, expected, strict=True):
        np.testing.assert_allclose(scales[span], value, rtol=1e-6)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("reduction", ["global_mean", "layer_mean"])
def test_layer_normalised_equals_a_plain_loop(
    weights: tuple[Tensor, Tensor, Tensor], reduction: str, masked: bool
) -> None:
    predicted, target, mask = weights
    layers, scales = layer_numbers(CNN_S), layer_scales(target, CNN_S)
    if masked:
        mask[:, SPANS[2]] = False
    used = mask if masked else torch.ones_like(mask)
    sums, counts = [], []
    for span in SPANS:
        sigma = max(target[:, span].numpy().std(), 1e-4)
        covered = used[:, span]
        sums.append((((predicted - target)[:, span][covered] / sigma) ** 2).sum())
        counts.append(int(covered.sum()))
    whole = sum(sums) / sum(counts)
    by_layer = [total / count for total, count in zip(sums, counts, strict=True) if count]
    expected = whole if reduction == "global_mean" else sum(by_layer) / len(by_layer)
    given = mask if masked else None
    loss = layer_normalised(predicted, target, scales, reduction, given, layers=layers)  # type: ignore[arg-type]
    torch.testing.assert_close(loss, expected)


def test_layer_mean_needs_to_know_the_layers(weights: tuple[Tensor, Tensor, Tensor]) -> None:
    predicted, target, _ = weights
    with pytest.raises(InputError, match="pass layers=layer_numbers"):
        layer_normalised(predicted, target, torch.ones(2464), "layer_mean")


@pytest.mark.parametrize("masked", [False, True])
def test_batch_normalised_equals_standardising_layer_by_layer(
    weights: tuple[Tensor, Tensor, Tensor], masked: bool
) -> None:
    predicted, target, mask = weights
    used = mask if masked else torch.ones_like(mask)
    squares = []
    for span in SPANS:
        p, t = predicted[:, span][used[:, span]], target[:, span][used[:, span]]
        mean, std = t.mean(), t.std(correction=0) + 1e-4
        squares.append(((p - mean) / std - (t - mean) / std) ** 2)
    loss = batch_normalised(predicted, target, layer_numbers(CNN_S), mask if masked else None)
    torch.testing.assert_close(loss, torch.cat(squares).mean())


def test_batch_normalised_is_blind_to_the_scale_of_a_zoo(weights: tuple[Tensor, Tensor, Tensor]) -> None:
    predicted, target, mask = weights
    layers = layer_numbers(CNN_S)
    small, large = (batch_normalised(predicted * by, target * by, layers, mask) for by in (1e3, 1e6))
    torch.testing.assert_close(small, large, rtol=1e-2, atol=0)


def test_what_is_not_covered_does_not_matter_and_nothing_covered_is_zero(
    weights: tuple[Tensor, Tensor, Tensor],
) -> None:
    predicted, target, mask = weights
    other = torch.where(mask, target, normal(6, 2464, seed=5))
    layers, scales = layer_numbers(CNN_S), torch.ones(2464, dtype=torch.float64)
    for loss in (
        lambda t, m: reconstruction(predicted, t, m),
        lambda t, m: layer_normalised(predicted, t, scales, "global_mean", m),
        lambda t, m: layer_normalised(predicted, t, scales, "layer_mean", m, layers=layers),
        lambda t, m: batch_normalised(predicted, t, layers, m),
    ):
        torch.testing.assert_close(loss(other, mask), loss(target, mask))
        assert loss(target, torch.zeros_like(mask)) == 0


def test_gradients_of_the_reconstruction_losses_are_right(weights: tuple[Tensor, Tensor, Tensor]) -> None:
    layout = derive_layout(build_network("tetris_mlp", channels=1, size=4, classes=4, activation="tanh"))
    predicted, target, mask = (one[:2, :100] for one in weights)
    layers, scales = layer_numbers(layout), layer_scales(target, layout)
    leaf = predicted.clone().requires_grad_()
    for loss in (
        lambda p: reconstruction(p, target, mask),
        lambda p: layer_normalised(p, target, scales, "layer_mean", mask, layers=layers),
        lambda p: batch_normalised(p, target, layers, mask),
    ):
        assert torch.autograd.gradcheck(loss, leaf)


def test_the_statistics_of_a_batch_carry_no_gradient(weights: tuple[Tensor, Tensor, Tensor]) -> None:
    """The gradient for the target is that of a loss whose scales are plain numbers."""
    predicted, target, mask = weights
    layers, leaf, again = layer_numbers(CNN_S), target.clone().requires_grad_(), target.clone().requires_grad_()
    batch_normalised(predicted, leaf, layers, mask).backward()
    scales = torch.empty(2464, dtype=torch.float64)
    for span in SPANS:
        scales[span] = target[:, span][mask[:, span]].std(correction=0) + 1e-4
    ((predicted - again) / scales)[mask].square().mean().backward()
    torch.testing.assert_close(leaf.grad, again.grad)


def test_nt_xent_equals_the_library_with_its_gradient() -> None:
    pairs = 7
    ours, theirs = (normal(2 * pairs, 5).requires_grad_() for _ in range(2))
    loss = nt_xent(ours, ours, torch.arange(2 * pairs)) / (2 * pairs)
    expected = NTXentLoss(temperature=0.1)(theirs, torch.arange(pairs).repeat(2))
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_nt_xent_counts_2b_minus_2_negatives() -> None:
    """Orthogonal embeddings of B pairs, a pair alike: log(1 + (2B - 2) exp(-1 / T)) for every anchor."""
    pairs = 4
    views = torch.eye(pairs, dtype=torch.float64).repeat(2, 1)
    loss = nt_xent(views, views, torch.arange(2 * pairs), temperature=0.5)
    assert loss.item() == pytest.approx(2 * pairs * math.log1p((2 * pairs - 2) * math.exp(-1 / 0.5)))


@pytest.mark.parametrize("shares", [[6, 6], [12, 0], [0, 5, 7], [1] * 12])
def test_workers_add_up_to_one_with_the_whole_batch(shares: list[int]) -> None:
    """Each worker's gradient towards all embeddings is summed, as gathering with gradient does."""
    alone = normal(12, 4).requires_grad_()
    whole = nt_xent(alone, alone, torch.arange(12))
    whole.backward()
    together = normal(12, 4).requires_grad_()
    losses = [
        nt_xent(together[rows], together, rows)
        for rows in torch.randperm(12, generator=torch.Generator().manual_seed(1)).split([n for n in shares if n > 0])
    ] + [nt_xent(together[:0], together, torch.arange(0)) for n in shares if n == 0]
    total = torch.stack(losses).sum()
    total.backward()
    torch.testing.assert_close(total, whole)
    torch.testing.assert_close(together.grad, alone.grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nt_xent_of_one_pair_of_equal_rows_and_of_no_anchor_is_finite(dtype: torch.dtype) -> None:
    pair = normal(2, 3, dtype=dtype).requires_grad_()
    loss = nt_xent(pair, pair, torch.arange(2))
    loss.backward()
    assert loss == 0
    assert pair.grad is not None
    assert (pair.grad == 0).all()
    equal = torch.zeros(6, 3, dtype=dtype, requires_grad=True)
    loss = nt_xent(equal, equal, torch.arange(6))
    loss.backward()
    assert loss.item() == pytest.approx(6 * math.log(5))
    assert equal.grad is not None
    assert equal.grad.isfinite().all()
    nobody = torch.zeros(0, 3, dtype=dtype, requires_grad=True)
    nt_xent(nobody, pair, torch.arange(0)).backward()
    assert nobody.grad is not None


def test_nt_xent_does_not_lose_digits_under_autocast() -> None:
    views = normal(64, 16, dtype=torch.float32)
    rows = torch.arange(64)
    with torch.autocast("cpu", torch.bfloat16):
        inside = nt_xent(views, views, rows)
    torch.testing.assert_close(inside, nt_xent(views.double(), views.double(), rows).float())


def test_an_odd_number_of_embeddings_is_refused() -> None:
    with pytest.raises(InputError, match="3 embeddings cannot be two views"):
        nt_xent(torch.ones(1, 2), torch.ones(3, 2), torch.tensor([0]))


def test_terms_are_weighed_as_published() -> None:
    contrast, structure, behaviour = (torch.tensor(value) for value in (2.0, 3.0, 5.0))
    total = combined(contrast, structure, behaviour, gamma=0.25, beta=0.1)
    assert total.item() == pytest.approx(0.25 * 2 + 0.75 * (0.1 * 3 + 0.9 * 5))
    assert combined(contrast, structure, gamma=0.25).item() == pytest.approx(0.25 * 2 + 0.75 * 3)


def test_a_term_of_weight_zero_is_not_looked_at() -> None:
    broken = torch.tensor(torch.nan)
    assert combined(torch.tensor(2.0), broken, None, gamma=1) == 2
    assert combined(None, torch.tensor(3.0), broken, gamma=0, beta=1) == 3
    assert combined(None, None, torch.tensor(5.0), gamma=0, beta=0) == 5
    with pytest.raises(InputError, match=r"the behaviour loss has weight 0\.5 but was not computed"):
        combined(None, torch.tensor(3.0), gamma=0, beta=0.5)
    with pytest.raises(InputError, match="gamma is 2 but"):
        combined(torch.tensor(2.0), torch.tensor(3.0), gamma=2)
