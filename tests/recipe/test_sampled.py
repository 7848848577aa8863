"""Sampled spaces against SciPy's distributions and its Sobol sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from geozoo.recipe import HyperParameters, parse_recipe
from tests.support.recipes import recipe_tree, space_population

if TYPE_CHECKING:
    from geozoo.recipe.sampled import Space

AXES: dict[str, Any] = {
    "lr": {"kind": "log_uniform", "low": 5e-4, "high": 5e-2},
    "dropout": {"kind": "uniform", "low": 0.1, "high": 0.7},
    "init": {"kind": "choice", "values": ["normal", "orthogonal", "xavier_normal", "trunc_normal"]},
}


def make_space(axes: dict[str, Any] | None = None, **more: Any) -> Space:
    space = parse_recipe(recipe_tree(population=space_population(axes or AXES, **more))).population.space
    assert space is not None
    return space


@pytest.mark.parametrize("method", ["random", "sobol"])
@pytest.mark.parametrize("seed", [0, 1])
def test_draws_follow_their_distributions(method: str, seed: int) -> None:
    draws = make_space(method=method, seed=seed).draws(2048)
    rates, dropouts = [draw.lr for draw in draws], [draw.dropout for draw in draws]
    assert stats.kstest(rates, stats.loguniform(5e-4, 5e-2).cdf).pvalue > 1e-3
    assert stats.kstest(dropouts, stats.uniform(0.1, 0.6).cdf).pvalue > 1e-3
    assert stats.chisquare(np.unique([draw.init for draw in draws], return_counts=True)[1]).pvalue > 1e-3
    assert abs(stats.spearmanr(rates, dropouts).statistic) < 0.08


def test_sobol_draws_are_scipys_points() -> None:
    draws = make_space(method="sobol", seed=7).draws(32)
    points = stats.qmc.Sobol(d=3, scramble=True, rng=7).random(32)
    by_name = dict(zip(sorted(AXES), points.T, strict=True))
    np.testing.assert_allclose([draw.lr for draw in draws], stats.loguniform(5e-4, 5e-2).ppf(by_name["lr"]), rtol=1e-12)
    np.testing.assert_allclose([draw.dropout for draw in draws], stats.uniform(0.1, 0.6).ppf(by_name["dropout"]))
    assert [draw.init for draw in draws] == [AXES["init"]["values"][int(4 * u)] for u in by_name["init"]]


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_draws_are_the_start_of_more_draws(method: str) -> None:
    space = make_space(method=method)
    many = space.draws(70)
    assert len(set(many)) == 70
    for count in (1, 2, 3, 8, 9, 33, 64, 65):
        assert space.draws(count) == many[:count]


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_the_seed_decides(method: str) -> None:
    first, other = (make_space(method=method, seed=seed).draws(50) for seed in (3, 4))
    assert not set(first) & set(other)
    assert first == make_space(method=method, seed=3).draws(50)


def test_the_order_in_which_axes_are_written_does_not_matter() -> None:
    backwards = {name: AXES[name] for name in reversed(AXES)}
    assert make_space(backwards).draws(20) == make_space().draws(20)


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_a_repeated_draw_is_passed_over(method: str) -> None:
    axes = {"lr": {"kind": "choice", "values": [1e-3, 1e-2, 1e-1]}, "batch_size": {"kind": "choice", "values": [8, 16]}}
    space = make_space(axes, method=method)
    everything = {(rate, size) for rate in axes["lr"]["values"] for size in axes["batch_size"]["values"]}
    assert {(draw.lr, draw.batch_size) for draw in space.draws(6)} == everything
    assert len(space.draws(100)) == 6
    assert space.draws(4) == space.draws(6)[:4]


def test_the_others_are_fixed() -> None:
    draws = make_space(fixed={"activation": "gelu", "optimizer": "sgd", "batch_size": 32, "weight_decay": 0.25}).draws(
        5
    )
    assert {(draw.activation, draw.optimizer, draw.batch_size, draw.weight_decay) for draw in draws} == {
        ("gelu", "sgd", 32, 0.25)
    }
    assert all(isinstance(draw, HyperParameters) for draw in draws)


@pytest.mark.parametrize("kind", ["uniform", "log_uniform"])
@pytest.mark.parametrize(("low", "high"), [(0.1, 0.3), (1e-7, 0.7), (0.3, 0.30000000000000004)])
def test_no_draw_lies_outside_the_ends(kind: str, low: float, high: float) -> None:
    axis = make_space({"lr": {"kind": kind, "low": low, "high": high}}).axes["lr"]
    for u in (0.0, 2**-53, 0.5, 1 - 2**-53):
        assert low <= float(axis.at(u)) <= high
