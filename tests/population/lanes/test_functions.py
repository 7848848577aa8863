"""The functions in float32, against NumPy and SciPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numba import njit
from scipy import special

from geozoo.population.lanes.activations import activate, activation_gradient
from geozoo.population.lanes.functions import (
    EXP_HIGHEST,
    EXP_LOWEST,
    FAST,
    error_function,
    exponential,
    tangent,
)
from geozoo.population.lanes.lowering import ACTIVATION_CODES

EDGES = [0, np.inf, np.nan, 1e-45, 1e-38, 1.2e-38, 1, 7.905, 7.906, 8, 87.3, 87.31, 88.3, 88.4, 104, 1e10, 3.4028235e38]
TOLERANCE = 1e-6


@njit(fastmath=FAST)
def evaluate_all(x, exps, tanhs, erfs):  # type: ignore[no-untyped-def]
    for i in range(len(x)):
        exps[i] = exponential(x[i])
        tanhs[i] = tangent(x[i])
        erfs[i] = error_function(x[i], exponential(-x[i] * x[i]))


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """Edges, a fine grid where the functions bend, and every order of magnitude; both signs, float32."""
    size = np.concatenate(
        [EDGES, np.linspace(0, 10, 100_001), np.linspace(0, 110, 100_001), 10 ** np.arange(-45, 38.5)]
    )
    return np.concatenate([size, -size]).astype(np.float32)


@pytest.fixture(scope="module")
def values(points: np.ndarray) -> dict[str, np.ndarray]:
    out = {name: np.empty_like(points) for name in ("exp", "tanh", "erf")}
    evaluate_all(points, *out.values())
    return out


def test_the_exponential_is_right_to_a_millionth_of_itself(points: np.ndarray, values: dict[str, np.ndarray]) -> None:
    inside = (points >= EXP_LOWEST) & (points <= EXP_HIGHEST)
    np.testing.assert_allclose(values["exp"][inside], np.exp(points[inside].astype(np.float64)), rtol=TOLERANCE)


def test_the_exponential_stands_still_outside_its_range(points: np.ndarray, values: dict[str, np.ndarray]) -> None:
    """Almost nothing below, huge but finite above: what a softmax and a logistic function need."""
    below, above = values["exp"][points < EXP_LOWEST], values["exp"][points > EXP_HIGHEST]
    assert (below >= 0).all()
    assert (below < 2e-38).all()
    assert (above > 2e38).all()
    assert np.isfinite(above).all()


@pytest.mark.parametrize(("name", "truth"), [("tanh", np.tanh), ("erf", special.erf)])
def test_tangent_and_error_function_are_right_to_a_millionth(
    name: str, truth: np.ufunc, points: np.ndarray, values: dict[str, np.ndarray]
) -> None:
    known = ~np.isnan(points)
    np.testing.assert_allclose(values[name][known], truth(points[known].astype(np.float64)), rtol=0, atol=TOLERANCE)
    assert (np.abs(values[name][known]) <= 1).all()


def test_not_a_number_stays_what_it_is(points: np.ndarray, values: dict[str, np.ndarray]) -> None:
    for name, found in values.items():
        np.testing.assert_array_equal(np.isnan(found), np.isnan(points), err_msg=name)


@pytest.mark.parametrize("name", sorted(ACTIVATION_CODES))
def test_activations_and_their_gradients_are_those_of_torch(name: str) -> None:
    x = np.concatenate([np.linspace(-12, 12, 4001), [0, -0.0, 90, -90, 1e4, -1e4, np.nan]]).astype(np.float32)
    upstream = np.linspace(1, 2, len(x), dtype=np.float32)
    inputs = torch.from_numpy(x).double().requires_grad_()
    expected = getattr(torch.nn, name)()(inputs)
    expected.backward(torch.from_numpy(upstream).double())
    y, gradient = np.empty_like(x), np.empty_like(x)
    activate(ACTIVATION_CODES[name], x, y)
    activation_gradient(ACTIVATION_CODES[name], x, y, upstream, gradient)
    scale = np.maximum(1, np.nan_to_num(np.abs(x)))
    np.testing.assert_array_less(np.abs(y - expected.detach().numpy())[:-1], 2 * TOLERANCE * scale[:-1])
    np.testing.assert_array_less(np.abs(gradient - inputs.grad.numpy())[:-1], 5 * TOLERANCE)
    assert np.isnan(y[-1])
    assert np.isnan(gradient[-1]) or name in ("ReLU", "LeakyReLU")
