"""Batches of every size, whole and cut short, and lanes that hold no image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from geozoo.population.dropout import StreamDropout
from geozoo.population.lanes.engine import lanes_of
from geozoo.population.lanes.training import LARGEST, is_finite
from geozoo.population.lanes.vectors import MAX_LANES
from tests.support.engine_conformance import relative_difference, train
from tests.support.lanes import Batch, pass_in_lanes, pass_in_torch, random_stack
from tests.support.population import cohort_job, hyperparameters, simulated_images


def small_network() -> nn.Sequential:
    return random_stack(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 3))


@settings(deadline=None)
@given(st.integers(1, 10_000))
def test_a_batch_is_cut_into_as_few_and_as_equal_parts_as_its_lanes_allow(batch_size: int) -> None:
    lanes = lanes_of(batch_size)
    parts = -(-batch_size // lanes)
    assert lanes <= MAX_LANES
    assert parts == -(-batch_size // MAX_LANES)
    assert parts * lanes - batch_size < parts


@pytest.mark.parametrize("images", [3, 0])
@pytest.mark.parametrize("batch_size", [1, 7, 16, 17, 33, 100])
def test_batches_of_every_size_agree_with_reference(batch_size: int, images: int) -> None:
    """Three steps, and with ``images`` a last one of so many; dropout ties every image to its place in the batch."""
    data = simulated_images(train=3 * batch_size + min(images, batch_size), test=5, size=4, classes=4)
    members = [hyperparameters(dropout=rate, batch_size=batch_size, lr=1e-3) for rate in (0.0, 0.4)]
    job = replace(cohort_job(data, members, network="tetris_mlp", epochs=2), checkpoints=(2,))
    (ours,), (theirs,) = train("lanes", job, data), train("reference", job, data)
    assert relative_difference(theirs.weights, job.initial) > 1e-4
    assert relative_difference(ours.weights, theirs.weights) < 1e-7
    for name, column in theirs.metrics.items():
        np.testing.assert_allclose(ours.metrics[name], column, rtol=1e-7, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("count", [1, 5, 15, 21])
def test_lanes_without_an_image_contribute_nothing(count: int) -> None:
    """Of 21 images, the last five leave lanes that held one of the first sixteen."""
    module, batch = small_network(), Batch.random(count)
    wide, narrow = (pass_in_lanes(module, batch, "float64", lanes=lanes) for lanes in (MAX_LANES, 1))
    assert wide.logit_gradients.shape == (MAX_LANES, 3)
    assert (wide.logit_gradients[count % MAX_LANES :] == 0).all()
    assert (wide.logit_gradients[: count % MAX_LANES] != 0).all()
    np.testing.assert_allclose(wide.gradient, narrow.gradient, rtol=0, atol=1e-14)
    np.testing.assert_allclose(wide.gradient, pass_in_torch(module, batch).gradient, rtol=0, atol=1e-14)


def test_dropout_in_lanes_without_an_image_contributes_nothing() -> None:
    module = random_stack(nn.Flatten(), nn.Linear(16, 9), nn.Tanh(), StreamDropout(0), nn.Linear(9, 3))
    wide, narrow = (pass_in_lanes(module, Batch.random(5), "float64", lanes=lanes, dropout=0.4) for lanes in (16, 5))
    np.testing.assert_array_equal(wide.masks[0], narrow.masks[0])
    np.testing.assert_allclose(wide.gradient, narrow.gradient, rtol=0, atol=1e-14)


@pytest.mark.parametrize("lanes", range(1, MAX_LANES + 1))
def test_the_number_of_lanes_changes_nothing_but_rounding(lanes: int) -> None:
    module, batch = small_network(), Batch.random(19)
    ours, theirs = pass_in_lanes(module, batch, "float64", lanes=lanes), pass_in_torch(module, batch)
    np.testing.assert_allclose(ours.gradient, theirs.gradient, rtol=0, atol=1e-13)
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-13)
    assert ours.right == theirs.right


def test_every_channel_has_its_own_normalisation() -> None:
    data = replace(simulated_images(train=20, test=5, channels=3), mean=(0.1, 0.4, 0.6), std=(0.2, 0.3, 0.5))
    job = cohort_job(data, [hyperparameters()])
    ours, theirs = train("lanes", job, data)[-1], train("reference", job, data)[-1]
    assert relative_difference(ours.weights, theirs.weights) < 1e-7


JUST_ROUNDED_DOWN = LARGEST * (1 + 2.0**-26)
"""Larger than float32 holds, and stored as its largest number."""

ROUNDED_UP = LARGEST * (1 + 2.0**-24)
"""Stored as infinity."""


@pytest.mark.parametrize(
    ("precision", "weight", "finite"),
    [
        *((precision, value, True) for precision in ("float32", "float64") for value in (0, 1e-45, LARGEST, -LARGEST)),
        *((p, value, False) for p in ("float32", "float64") for value in (np.inf, -np.inf, np.nan)),
        ("float64", JUST_ROUNDED_DOWN, True),
        ("float64", -ROUNDED_UP, False),
        ("float64", 1e300, False),
    ],
)
@pytest.mark.parametrize("place", [0, 7, 40])
def test_a_member_is_finite_when_its_weights_are_once_stored_in_float32(
    precision: str, weight: float, finite: bool, place: int
) -> None:
    weights = np.linspace(-1, 1, 41).astype(precision)
    weights[place] = weight
    assert bool(is_finite(weights)) == finite


@pytest.mark.parametrize(("weight", "finite"), [(LARGEST, True), (np.inf, False), (np.nan, False)])
def test_the_compiled_epoch_judges_weights_the_same_way(weight: float, finite: bool) -> None:
    """The weight meets a pixel that is always zero, so that a finite one harms nothing."""
    module, batch = random_stack(nn.Flatten(), nn.Linear(16, 3)), Batch.random(10)
    batch.images[:, 0, 2, 1] = 7
    batch.values[0, 7] = 0
    module[1].weight.data[1, 2 * 4 + 1] = weight
    ours = pass_in_lanes(module, batch, "float32", lr=1e-3)
    assert ours.finite == finite
    assert np.isfinite(ours.loss) == finite
